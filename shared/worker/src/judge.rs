//! From how an attempt ended to what becomes of its task; pure.

use std::time::Duration;

use nova_types::{Policy, UnixMillis, codes};
use nova_wire::{ErrorBody, Payload};

use crate::Verdict;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// The skill returned.
    Returned(Result<Payload, Verdict>),
    /// It panicked.
    Panicked(String),
    /// It ran longer than it may.
    TimedOut,
    /// Someone cancelled the task.
    Cancelled,
    /// The process stops; nobody is to blame.
    HandedBack,
    /// The lease ended: another attempt may have begun.
    LeaseLost,
}

/// What becomes of the task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// Ends with a result.
    Complete(Payload),
    /// Ends without one.
    Dead(ErrorBody),
    /// Ends by request.
    Cancel(ErrorBody),
    /// Is tried again after a pause; the failure counts.
    Retry { after: Duration, error: ErrorBody },
    /// Comes again after a pause; nothing counts.
    Snooze { pause: Duration },
    /// Goes back at once; nothing counts.
    HandBack,
    /// Is no longer ours.
    Drop,
}

/// Decides. `random` in 0..1 spreads the pause.
pub(crate) fn judge(ended: Ended, attempt: u32, policy: &Policy, now: UnixMillis, random: f64) -> Fate {
    let retry = |after: Option<Duration>, error: ErrorBody| {
        let after = after.unwrap_or_else(|| policy.backoff.jittered(attempt, random));
        if attempt >= policy.max_attempts {
            return Fate::Dead(error);
        }
        // A pause beyond the deadline only delays the bad news.
        if policy.deadline.is_some_and(|deadline| now.plus(after) > deadline) {
            let message =
                format!("its deadline comes before attempt {}; the last failed: {}", attempt + 1, error.message);
            return Fate::Dead(ErrorBody { details: error.details, ..ErrorBody::new(codes::EXPIRED, &message) });
        }
        Fate::Retry { after, error }
    };
    let expired = policy.deadline.is_some_and(|deadline| now >= deadline);
    match ended {
        Ended::Returned(Ok(result)) => Fate::Complete(result),
        Ended::Returned(Err(Verdict::Retry { after, error })) => retry(after, error),
        Ended::Returned(Err(Verdict::Reject { error })) => Fate::Dead(error),
        Ended::Returned(Err(Verdict::Cancel)) => {
            Fate::Cancel(ErrorBody::new(codes::CANCELLED, "cancelled by its skill"))
        }
        Ended::Returned(Err(Verdict::Snooze { .. })) if expired => {
            Fate::Dead(ErrorBody::new(codes::EXPIRED, "its deadline passed while it was snoozed"))
        }
        Ended::Returned(Err(Verdict::Snooze { pause })) => Fate::Snooze { pause },
        Ended::Panicked(message) => retry(None, ErrorBody::new(codes::PANIC, &message)),
        Ended::TimedOut if expired => Fate::Dead(ErrorBody::new(codes::EXPIRED, "its deadline passed while it ran")),
        Ended::TimedOut => {
            let message = format!("the attempt ran longer than {} ms", policy.timeout.as_millis());
            retry(None, ErrorBody::new(codes::TIMEOUT, &message))
        }
        Ended::Cancelled => Fate::Cancel(ErrorBody::new(codes::CANCELLED, "cancelled while it ran")),
        Ended::HandedBack => Fate::HandBack,
        Ended::LeaseLost => Fate::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy { max_attempts: 2, ..Policy::default() }
    }

    fn failed(attempt: u32) -> Fate {
        judge(Ended::Returned(Err(Verdict::retry("exit", "x"))), attempt, &policy(), UnixMillis(0), 1.0)
    }

    #[test]
    fn the_last_attempt_that_fails_is_the_end() {
        assert!(matches!(failed(1), Fate::Retry { after, .. } if after == Duration::from_secs(1)));
        assert!(matches!(failed(2), Fate::Dead(error) if error.code.as_str() == "exit"));
    }

    #[test]
    fn a_reject_is_the_end_at_once() {
        let ended = Ended::Returned(Err(Verdict::reject("bad", "x")));
        assert!(matches!(judge(ended, 1, &policy(), UnixMillis(0), 0.5), Fate::Dead(_)));
    }

    #[test]
    fn what_nobody_is_to_blame_for_uses_up_no_attempt() {
        let snooze = Ended::Returned(Err(Verdict::snooze(Duration::from_secs(9))));
        assert_eq!(judge(snooze, 2, &policy(), UnixMillis(0), 0.5), Fate::Snooze { pause: Duration::from_secs(9) });
        assert_eq!(judge(Ended::HandedBack, 2, &policy(), UnixMillis(0), 0.5), Fate::HandBack);
        assert_eq!(judge(Ended::LeaseLost, 2, &policy(), UnixMillis(0), 0.5), Fate::Drop);
    }

    #[test]
    fn a_pause_beyond_the_deadline_is_the_end() {
        let policy = Policy { deadline: Some(UnixMillis(100)), ..policy() };
        let ended = Ended::Returned(Err(Verdict::retry("exit", "x")));
        let fate = judge(ended, 1, &policy, UnixMillis(50), 0.5);
        assert!(matches!(fate, Fate::Dead(error) if error.code.as_str() == "expired"));
    }

    #[test]
    fn a_timeout_and_a_panic_are_failures_like_any() {
        for ended in [Ended::TimedOut, Ended::Panicked("x".into())] {
            assert!(matches!(judge(ended, 1, &policy(), UnixMillis(0), 0.5), Fate::Retry { .. }));
        }
    }
}
