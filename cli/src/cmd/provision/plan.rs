//! `nova provision plan`: what apply would do.

use super::{Line, Wanted};
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

/// Show what differs on the broker; change nothing
#[derive(clap::Args)]
#[command(after_help = "+ create   ~ change   ! loses something: --yes   x refused   ? not Nova's: --prune --yes

Examples:
  nova provision plan
  nova provision plan --skills ./skills.toml --profile durable")]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (wanted, profile) = args.wanted.assets(&cx).await?;
    let plan = nova_provision::plan(&**cx.client.broker(), &wanted).await?;
    if cx.out.is_json() {
        let lines: Vec<Line> = plan.rows().into_iter().map(Line).collect();
        cx.out.list(&lines, "")?;
    } else {
        cx.out.raw(plan.to_text().as_bytes())?;
    }
    let said = if plan.is_clean() { "nothing to do" } else { "to do it: nova provision apply" };
    cx.out.say(format!("profile {profile}: {said}"));
    Ok(Exit::OK)
}
