//! The outermost layer of a binary: the runtime, and how its last error is shown.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// How long the end of the process waits for blocking work that ignores its cancel.
const LINGER: Duration = Duration::from_millis(500);

/// Runs `future`, and all that it spawns, on this thread.
///
/// One thread, for what a fleet's processes do is many small steps that wait for the broker: handing them from thread to
/// thread costs a quarter more. What computes or blocks goes elsewhere. What was spawned and does not end is left behind
/// after half a second, so that a skill which ignores its cancel cannot keep the process from ending.
///
/// # Errors
/// When the machine refuses threads or file descriptors.
pub fn block_on<F: Future>(future: F) -> std::io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Blocking threads of a burst give their memory back soon.
        .thread_keep_alive(Duration::from_secs(2))
        .enable_all()
        .build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(LINGER);
    Ok(output)
}

/// Runs the body of a `main` and turns its error into words on stderr and exit code 1.
pub fn run_main<F>(body: F) -> ExitCode
where
    F: Future<Output = anyhow::Result<ExitCode>>,
{
    match block_on(body) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => report(&error),
        Err(error) => report(&anyhow::Error::new(error).context("could not start the runtime")),
    }
}

/// Writes `error` and all its causes to stderr; returns the exit code of a failure.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // With stderr closed there is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(describe(error).as_bytes());
    ExitCode::FAILURE
}

/// `error: ...`, then one line `  caused by: ...` per cause that adds something.
fn describe(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let said = cause.to_string();
        if said != last {
            text.push_str(&format!("  caused by: {said}\n"));
            last = said;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn chain_is_shown_from_the_outside_in() {
        let error = Err::<(), _>(std::io::Error::other("no route"))
            .context("could not connect")
            .context("could not connect")
            .context("could not start")
            .unwrap_err();
        assert_eq!(describe(&error), "error: could not start\n  caused by: could not connect\n  caused by: no route\n");
    }

    #[test]
    fn work_that_never_ends_does_not_hold_the_process() {
        let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
        let output = block_on(async move {
            tokio::task::spawn_blocking(move || held.recv());
            7
        });
        assert_eq!(output.unwrap(), 7);
        drop(hold);
    }
}
