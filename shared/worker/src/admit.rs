//! Whether a delivered task may start, from what is known of it; pure.

use std::time::Duration;

use nova_types::{Policy, UnixMillis, codes};
use nova_wire::{AttemptRecord, ErrorBody};

/// How often workers may die over one task before it is taken for poison. Each time costs a lease.
const CRASH_LIMIT: u32 = 10;

/// What is known when a task is delivered.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// How often the broker delivered it, from 1.
    pub(crate) deliveries: u64,
    /// When it was stored in its queue.
    pub(crate) submitted: UnixMillis,
    /// Now.
    pub(crate) now: UnixMillis,
    /// What earlier attempts left; `None` when nothing can have been.
    pub(crate) record: Option<&'a AttemptRecord>,
    /// When that was stored.
    pub(crate) recorded: Option<UnixMillis>,
    /// Whether someone asked for its end.
    pub(crate) is_cancelled: bool,
    /// What holds for it.
    pub(crate) policy: &'a Policy,
    /// Whether its skill must never start twice unasked.
    pub(crate) is_costly: bool,
    /// How long outcomes are kept.
    pub(crate) outcomes_kept: Duration,
}

/// What to do with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Admission {
    /// Start this attempt.
    Start {
        /// Its number, from 1.
        attempt: u32,
    },
    /// Look again later: another attempt may still be under way.
    Wait {
        /// The pause.
        pause: Duration,
    },
    /// End the task without starting it.
    End {
        /// The attempts that were made before.
        attempts: u32,
        /// Whether by request; otherwise it is dead.
        is_cancel: bool,
        /// Why.
        error: ErrorBody,
    },
}

/// Decides.
pub(crate) fn admit(facts: &Facts<'_>) -> Admission {
    let nothing = AttemptRecord::default();
    let record = facts.record.unwrap_or(&nothing);
    let end = |is_cancel: bool, code: &str, message: String| Admission::End {
        attempts: record.failed,
        is_cancel,
        error: ErrorBody::new(code, &message),
    };
    if facts.is_cancelled {
        return end(true, codes::CANCELLED, "cancelled before it started".into());
    }
    if facts.policy.deadline.is_some_and(|deadline| facts.now >= deadline) {
        return end(false, codes::EXPIRED, "its deadline passed before it started".into());
    }
    if facts.deliveries > 1 {
        // Whoever wrote the attempt record last saw no outcome then; before that nobody can know.
        let last_seen = facts.recorded.map_or(facts.submitted, |at| at.max(facts.submitted));
        if facts.now.since(last_seen) > facts.outcomes_kept {
            return end(false, codes::STALE, "delivered again after its outcome may have been forgotten".into());
        }
        // Starts are noted only from the second on; the first was lost, too.
        let crashes = record.unended.saturating_add(1);
        if crashes >= CRASH_LIMIT {
            return end(false, codes::POISON, format!("its workers were lost {crashes} times"));
        }
    }
    if record.failed >= facts.policy.max_attempts {
        let message = match record.failures.last() {
            Some(last) => format!("all {} attempts failed; the last: {}", record.failed, last.message),
            None => format!("all {} attempts failed", record.failed),
        };
        let code = record.failures.last().map_or(codes::ERROR, |last| last.code.as_str());
        return end(false, code, message);
    }
    match &record.claim {
        Some(claim) if facts.is_costly && facts.now < claim.at.plus(facts.policy.timeout) => {
            Admission::Wait { pause: claim.at.plus(facts.policy.timeout).since(facts.now) }
        }
        Some(claim) if facts.is_costly => {
            let message =
                format!("attempt {} began at worker {} and nobody knows how it ended", claim.attempt, claim.worker);
            end(false, codes::INTERRUPTED, message)
        }
        _ => Admission::Start { attempt: record.next_attempt() },
    }
}

/// Whether this start is to be noted, so that a task that takes its workers down is known in time.
///
/// Deliveries alone do not tell: a task that was put off, or handed back unread, is delivered again, too. A failure, a
/// snooze and a noted hand-back explain one each.
pub(crate) fn is_to_be_noted(deliveries: u64, record: &AttemptRecord) -> bool {
    let explained = 1 + u64::from(record.failed) + u64::from(record.snoozes);
    record.unended > 0 || deliveries > explained
}

#[cfg(test)]
mod tests {
    use nova_types::{Code, WorkerId};
    use nova_wire::{Claim, FailedAttempt};

    use super::*;

    fn record(failed: u32) -> AttemptRecord {
        let mut record = AttemptRecord::default();
        for attempt in 1..=failed {
            record.fail(FailedAttempt {
                attempt,
                worker: WorkerId::new("w").expect("an id"),
                started: UnixMillis(1),
                finished: UnixMillis(2),
                code: Code::new("exit"),
                message: "1".into(),
            });
        }
        record
    }

    fn policy() -> Policy {
        Policy { deadline: Some(UnixMillis(1_000)), ..Policy::default() }
    }

    #[track_caller]
    fn check<'a>(what: &str, policy: &'a Policy, change: impl FnOnce(&mut Facts<'a>), expect: &str) {
        let mut facts = Facts {
            deliveries: 1,
            submitted: UnixMillis(0),
            now: UnixMillis(10),
            record: None,
            recorded: None,
            is_cancelled: false,
            policy,
            is_costly: false,
            outcomes_kept: Duration::from_millis(500),
        };
        change(&mut facts);
        let got = match admit(&facts) {
            Admission::Start { attempt } => format!("start {attempt}"),
            Admission::Wait { pause } => format!("wait {}", pause.as_millis()),
            Admission::End { is_cancel, error, .. } => {
                format!("{}{}", if is_cancel { "cancel " } else { "" }, error.code)
            }
        };
        assert_eq!(got, expect, "{what}");
    }

    #[test]
    fn a_fresh_task_starts_its_first_attempt() {
        let policy = policy();
        check("fresh", &policy, |_| {}, "start 1");
        let two = record(2);
        check("after two failures", &policy, |f| f.record = Some(&two), "start 3");
        check("redelivered after a crash", &policy, |f| f.deliveries = 5, "start 1");
    }

    #[test]
    fn what_cannot_start_ends_with_its_reason() {
        let policy = policy();
        check("cancelled", &policy, |f| f.is_cancelled = true, "cancel cancelled");
        check("expired", &policy, |f| f.now = UnixMillis(1_000), "expired");
        let all = record(5);
        check("exhausted", &policy, |f| f.record = Some(&all), "exit");
        check("put off time and again", &policy, |f| f.deliveries = 1000, "start 1");
        for (unended, expect) in [(8, "start 1"), (9, "poison")] {
            let lost = AttemptRecord { unended, ..AttemptRecord::default() };
            check(
                "lost workers",
                &policy,
                |f| {
                    f.deliveries = 2;
                    f.record = Some(&lost)
                },
                expect,
            );
        }
    }

    #[test]
    fn a_start_is_noted_where_a_delivery_is_unexplained() {
        assert!(!is_to_be_noted(1, &AttemptRecord::default()));
        assert!(is_to_be_noted(2, &AttemptRecord::default()));
        assert!(!is_to_be_noted(3, &record(2)));
        assert!(is_to_be_noted(4, &record(2)));
        assert!(is_to_be_noted(1, &AttemptRecord { unended: 1, ..AttemptRecord::default() }), "a broker counts anew");
    }

    #[test]
    fn a_redelivery_beyond_the_memory_of_outcomes_is_stale() {
        let policy = policy();
        check(
            "old",
            &policy,
            |f| {
                f.deliveries = 2;
                f.now = UnixMillis(600)
            },
            "stale",
        );
        check("old, but delivered for the first time", &policy, |f| f.now = UnixMillis(600), "start 1");
        let seen = record(1);
        check(
            "old, seen since",
            &policy,
            |f| {
                f.deliveries = 2;
                f.now = UnixMillis(600);
                f.record = Some(&seen);
                f.recorded = Some(UnixMillis(400))
            },
            "start 2",
        );
    }

    #[test]
    fn a_costly_task_never_starts_twice_unasked() {
        let policy = Policy { timeout: Duration::from_millis(100), ..policy() };
        let worker = WorkerId::new("w").expect("an id");
        let claimed = AttemptRecord {
            claim: Some(Claim { attempt: 1, worker, nonce: "n".into(), at: UnixMillis(1) }),
            ..AttemptRecord::default()
        };
        check(
            "costly",
            &policy,
            |f| {
                f.is_costly = true;
                f.now = UnixMillis(101);
                f.record = Some(&claimed)
            },
            "interrupted",
        );
        check(
            "costly, and its attempt may still run",
            &policy,
            |f| {
                f.is_costly = true;
                f.record = Some(&claimed)
            },
            "wait 91",
        );
        check("not costly", &policy, |f| f.record = Some(&claimed), "start 1");
    }
}
