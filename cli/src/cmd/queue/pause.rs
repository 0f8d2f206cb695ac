//! `nova queue pause`: no worker takes a task until it is resumed.

use std::time::Duration;

use nova_types::Skill;
use serde_json::json;

use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::moment::Moment;

/// Ten years: the broker knows no pause without an end.
const UNTIL_RESUMED: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Let no worker take a task of a skill; what runs goes on
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova queue pause shell
  nova queue pause shell --until 30m")]
pub(crate) struct Args {
    /// The queue's skill
    skill: Skill,
    /// When it goes on by itself: 30m, 2026-11-22T18:00:00Z; without it only when resumed
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let now = clock::now();
    let until = args.until.map_or_else(|| now.plus(UNTIL_RESUMED), |until| until.future(now));
    if until <= now {
        return Err(Failure::usage("the pause would end in the past"));
    }
    cx.client.pause(&args.skill, until).await?;
    if cx.out.is_json() {
        cx.out.json(&json!({ "skill": args.skill, "paused_until": until }))?;
    } else {
        cx.out.say(format!("paused; go on: nova queue resume {}", args.skill));
    }
    Ok(Exit::OK)
}
