//! `nova queue resume`: the end of a pause.

use nova_types::Skill;
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

/// End a pause
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The queue's skill
    skill: Skill,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    cx.client.resume(&args.skill).await?;
    if cx.out.is_json() {
        cx.out.json(&json!({ "skill": args.skill, "paused_until": null }))?;
    } else {
        cx.out.say("resumed");
    }
    Ok(Exit::OK)
}
