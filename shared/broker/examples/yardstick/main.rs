//! The yardsticks of the benchmark: whole tasks with Nova's guarantees, written by hand on the client library.
//!
//! Same queue, same messages: publish with a dedupe key, outcome under compare-and-set, ack after its receipt, word to the
//! submitter. `raw` keeps receipts on a fixed inbox of its own and pipelines everything in one loop; `stock` makes the calls
//! the library offers; `one-by-one` makes the same calls, but works on the next task only when the one before is told, with
//! so many pulled ahead. What Nova adds is left out: priorities, leases, cancels, retries, deadlines, limits, checks, metrics.
//!
//! ```text
//! yardstick raw|stock|one-by-one work URL SKILL SLOTS
//! yardstick raw|stock|one-by-one submit URL SKILL
//!     then lines on its input: `wait TASKS IN_FLIGHT`, `send TASKS IN_FLIGHT`
//! ```
//!
//! It lives here because no other crate may see the client library.

mod raw;
mod stock;
mod words;

use std::process::ExitCode;

use words::{Asked, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // One thread: a loop that waits for one thing after the other gains nothing by more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let ended: Result<()> = runtime.block_on(async {
        match words[..] {
            ["raw", "work", url, skill, slots] => raw::work(&words::connect(url).await?, skill, slots.parse()?).await,
            ["stock", "work", url, skill, slots] => {
                let slots = slots.parse()?;
                stock::work(words::connect(url).await?, skill, slots, slots).await
            }
            ["one-by-one", "work", url, skill, pulled] => {
                stock::work(words::connect(url).await?, skill, pulled.parse()?, 1).await
            }
            ["raw", "submit", url, skill] => {
                let mut submitter = raw::Submitter::start(words::connect(url).await?, skill).await?;
                while let Some(asked) = Asked::next()? {
                    asked.answer(submitter.submit(asked).await?)?;
                }
                Ok(())
            }
            ["stock" | "one-by-one", "submit", url, skill] => {
                let submitter = stock::Submitter::start(words::connect(url).await?, skill).await?;
                while let Some(asked) = Asked::next()? {
                    asked.answer(submitter.submit(asked).await?)?;
                }
                Ok(())
            }
            _ => {
                Err("usage: yardstick raw|stock|one-by-one work URL SKILL SLOTS, or the same with submit URL SKILL"
                    .into())
            }
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            words::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
