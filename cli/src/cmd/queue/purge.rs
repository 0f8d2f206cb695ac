//! `nova queue purge`: every waiting task ends as cancelled.

use nova_types::Skill;
use serde_json::json;

use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

/// Cancel every task that waits in a queue; what runs goes on
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The queue's skill
    skill: Skill,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let waiting = cx.client.queue(&args.skill).await?.waiting();
    confirm(args.yes, &format!("Cancel the {waiting} tasks that wait for skill {}?", args.skill)).await?;
    let progress = Progress::bar(&cx.out, waiting, "cancelling");
    let purged = cx.client.purge_queue(&args.skill, |so_far| progress.at(so_far.cancelled + so_far.had_ended)).await?;
    drop(progress);
    if cx.out.is_json() {
        cx.out.json(&json!({
            "skill": args.skill, "cancelled": purged.cancelled, "had_ended": purged.had_ended,
        }))?;
    } else {
        cx.out.say(format!("{} tasks cancelled", purged.cancelled));
    }
    Ok(Exit::OK)
}
