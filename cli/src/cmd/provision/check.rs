//! `nova provision check`: whether the broker is as it is wanted.

use super::{Line, Wanted};
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

/// Say whether the broker's assets are as they are wanted; exit 1 when not
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (wanted, profile) = args.wanted.assets(&cx).await?;
    let rows = nova_provision::check(&**cx.client.broker(), &wanted).await?;
    let is_drift = rows.iter().any(nova_provision::Row::is_drift);
    let lines: Vec<Line> = rows.into_iter().map(Line).collect();
    cx.out.list(&lines, "nothing differs")?;
    if is_drift {
        return Err(Failure::new(Exit::FAILURE, "drift", "the broker is not as it is wanted")
            .help("what would be done: nova provision plan; do it: nova provision apply"));
    }
    cx.out.say(format!("profile {profile}: the broker is as it is wanted"));
    Ok(Exit::OK)
}
