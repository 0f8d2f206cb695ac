//! Asking before destruction.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::exit::Exit;
use crate::failure::Failure;

/// Goes on when `--yes` was given or a person at the terminal says so.
///
/// # Errors
/// A refusal otherwise; nothing has been done then.
pub(crate) async fn confirm(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let refused = |why: &str| Failure::new(Exit::REFUSED, "not_confirmed", format!("{question} {why}"));
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused("Not done: nobody confirmed it").help("add --yes"));
    }
    let prompt = format!("{question} [y/N] ");
    // On a thread of its own: Ctrl-C must be heard while nobody answers.
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{prompt}").and_then(|()| stderr.flush())?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map(|_| answer)
    });
    let answer = asked.await.map_err(io::Error::other).flatten();
    let answer = answer.map_err(|source| Failure::io("ask", source))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused("Not done")),
    }
}
