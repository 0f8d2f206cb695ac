//! Waits for a state with a deadline, the only kind of waiting a test may do.

use std::future::Future;
use std::panic::Location;
use std::time::{Duration, Instant};

/// First pause between two looks; short, because most states are there at once.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause between two looks; keeps a long wait cheap on a shared machine without adding visible delay.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Looks until `probe` answers `Some`, with growing pauses between looks.
///
/// A look that has begun before the deadline is cut off at it. There is always at least one look.
///
/// # Panics
/// When `deadline` passes first; the message says what was awaited, where and for how long.
#[track_caller]
pub fn wait_until<T, P>(what: impl Into<String>, deadline: Duration, probe: P) -> impl Future<Output = T>
where
    P: AsyncFnMut() -> Option<T>,
{
    let (caller, what) = (Location::caller(), what.into());
    async move {
        let looking = look(probe);
        match tokio::time::timeout(deadline, looking).await {
            Ok(found) => found,
            Err(_) => panic!("{}", gave_up(&what, deadline, caller)),
        }
    }
}

async fn look<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Looks until `probe` answers `Some` or the deadline passes.
pub(crate) async fn poll<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    tokio::time::timeout(deadline, look(async || probe())).await.ok()
}

/// Looks until `probe` answers `Some`, for tests without a runtime.
///
/// # Panics
/// When `deadline` passes first.
#[track_caller]
pub fn wait_until_blocking<T>(what: &str, deadline: Duration, probe: impl FnMut() -> Option<T>) -> T {
    let caller = Location::caller();
    poll_blocking(deadline, probe).unwrap_or_else(|| panic!("{}", gave_up(what, deadline, caller)))
}

/// As [`poll`], without a runtime.
pub(crate) fn poll_blocking<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        let left = end.checked_duration_since(Instant::now())?;
        #[expect(
            clippy::disallowed_methods,
            reason = "callers have no runtime to sleep on, and this waits for a state"
        )]
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn gave_up(what: &str, deadline: Duration, caller: &Location<'_>) -> String {
    format!("waited {deadline:?} for {what} (at {}:{})", caller.file(), caller.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_state_that_comes_is_returned() {
        let mut looks = 0;
        let found = wait_until("three looks", Duration::from_secs(5), async || {
            looks += 1;
            (looks == 3).then_some("there")
        })
        .await;
        assert_eq!((found, looks), ("there", 3));
    }

    #[tokio::test]
    async fn a_state_that_stays_away_is_named_in_the_panic() {
        let waiting = tokio::spawn(async { wait_until("godot", Duration::from_millis(20), async || None::<()>).await });
        let panic = waiting.await.unwrap_err().into_panic();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.starts_with("waited 20ms for godot (at "), "{message}");
        assert!(message.contains("wait.rs:"), "{message}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off_at_the_deadline() {
        let waiting = tokio::spawn(wait_until("a hanging look", Duration::from_millis(20), async || {
            std::future::pending::<Option<()>>().await
        }));
        assert!(waiting.await.unwrap_err().is_panic());
    }

    #[test]
    fn one_look_is_made_even_without_time() {
        assert_eq!(poll_blocking(Duration::ZERO, || Some(7)), Some(7));
        assert_eq!(poll_blocking(Duration::ZERO, || None::<u8>), None);
    }
}
