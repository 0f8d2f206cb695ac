//! `nova dead drop`: letters that nobody needs any more.

use futures_util::stream::{self, StreamExt as _};
use serde_json::json;

use super::Which;
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

/// How many are dropped at once.
const AT_ONCE: usize = 64;

/// Delete dead letters; the tasks' outcomes stay
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova dead drop cli.018f2c --yes
  nova dead drop --skill shell --code exit --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let letters = args.which.letters(&cx).await?;
    if letters.is_empty() {
        cx.out.say("no dead letter is meant");
        return Ok(Exit::OK);
    }
    confirm(args.which.yes, &format!("Delete {} dead letters for good?", letters.len())).await?;
    let progress = Progress::bar(&cx.out, letters.len() as u64, "dropping");
    let mut answers = stream::iter(&letters)
        .map(|entry| {
            let client = cx.client.clone();
            async move { (entry, client.drop_dead(&entry.letter.skill, &entry.letter.task).await) }
        })
        .buffered(AT_ONCE);
    let (mut done, mut failed) = (0, 0);
    while let Some((entry, answer)) = answers.next().await {
        done += 1;
        progress.at(done);
        let (task, skill) = (&entry.letter.task, &entry.letter.skill);
        match answer {
            Ok(was_there) if cx.out.is_json() => {
                cx.out.json(&json!({ "task": task, "skill": skill, "dropped": was_there }))?;
            }
            Ok(_) => progress.beside(|| cx.out.line(task.to_string()))?,
            Err(error) => {
                failed += 1;
                progress.beside(|| cx.out.fail(&error.into()));
            }
        }
    }
    drop(progress);
    cx.out.say(format!("{} dropped, {failed} failed", done - failed));
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILURE })
}
