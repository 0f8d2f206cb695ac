//! `nova dead redrive`: a new task in the place of each letter.

use futures_util::stream::{self, StreamExt as _};
use nova_client::{Redrive, Redriven};
use serde_json::json;

use super::Which;
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress::Progress;

/// How many redrives are under way at once: each is a few reads and a publish.
const AT_ONCE: usize = 64;

/// Submit dead tasks anew
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova dead redrive cli.018f2c --drop
  nova dead redrive --skill http --code http_503 --since 1h --drop --yes

Prints the new tasks' ids, `<name>-r1` and so on. While a redrive has not ended, redriving again names
the same task.")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Drop each letter once its new task is stored
    #[arg(long)]
    drop: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let letters = args.which.letters(&cx).await?;
    if letters.is_empty() {
        cx.out.say("no dead letter is meant");
        return Ok(Exit::OK);
    }
    let is_one = args.which.is_by_id() && letters.len() == 1;
    // A named redrive destroys nothing; a filter may name more than was thought of.
    if !args.which.is_by_id() {
        confirm(args.which.yes, &format!("Redrive {} dead letters?", letters.len())).await?;
    }
    let progress = Progress::bar(&cx.out, letters.len() as u64, "redriving");
    let mut answers = stream::iter(&letters)
        .map(|entry| {
            let client = cx.client.clone();
            async move {
                let redriven = client.redrive(&entry.letter, Redrive::default()).await?;
                if args.drop {
                    let dropped = client.drop_dead(&entry.letter.skill, &entry.letter.task).await;
                    dropped.map_err(|error| Failure::from(error).while_trying("drop the letter of a redriven task"))?;
                }
                Ok::<Redriven, Failure>(redriven)
            }
        })
        .buffered(AT_ONCE);
    let (mut done, mut failed) = (0, 0);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(redriven) => progress.beside(|| show(&cx.out, &redriven))?,
            Err(failure) if is_one => return Err(failure),
            Err(failure) => {
                failed += 1;
                progress.beside(|| cx.out.fail(&failure));
            }
        }
        done += 1;
        progress.at(done);
    }
    drop(progress);
    if !is_one {
        cx.out.say(format!("{} redriven, {failed} failed", done - failed));
    }
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILURE })
}

/// Shows a redrive: the new task's id.
pub(super) fn show(out: &Out, redriven: &Redriven) -> Result<(), Failure> {
    let new = &redriven.submitted;
    if out.is_json() {
        return out.json(&json!({
            "task": new.task, "skill": new.skill, "redrive_of": redriven.of, "stream": new.stream,
            "sequence": new.sequence, "duplicate": new.is_duplicate,
        }));
    }
    out.line(new.task.to_string())
}
