//! Why a task has not ended: a pure judgement over what is known of it and of its fleet.

use std::fmt;

use nova_types::{Code, OutcomeKind, Priority, Skill, TaskId, TaskState, UnixMillis};
use nova_wire::{WorkerRow, format_rfc3339};
use serde::Serialize;

use crate::show::backoff_until;
use crate::{Ahead, Client, LaneOf, QueryError, TaskView};

/// What is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The task.
    pub view: TaskView,
    /// All workers that are present.
    pub workers: Vec<WorkerRow>,
}

/// One thing that stands between a task and its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// It has ended.
    Ended {
        /// How.
        kind: OutcomeKind,
        /// Why, when it did not complete.
        code: Option<Code>,
    },
    /// Its end was asked for and is not recorded yet.
    CancelAsked,
    /// Its time has not come.
    Scheduled {
        /// When it is due, in the broker's words.
        when: String,
    },
    /// An attempt failed and the pause is not over.
    Backoff {
        /// How many attempts failed.
        failed: u32,
        /// The latest moment the next begins.
        until: UnixMillis,
        /// Why the last failed.
        code: Option<Code>,
    },
    /// An attempt runs, or its lease has not run out yet.
    Running {
        /// Which.
        attempt: u32,
    },
    /// The queue is paused.
    Paused {
        /// Until then.
        until: UnixMillis,
    },
    /// No worker with the skill is present.
    NoWorker {
        /// The skill.
        skill: Skill,
    },
    /// Every worker with the skill takes no more.
    Draining {
        /// How many.
        workers: usize,
    },
    /// Every slot is taken.
    Busy {
        /// Slots of all workers with the skill.
        slots: u32,
    },
    /// The broker hands out no more until some are done.
    MostRunning {
        /// The limit.
        most: i64,
    },
    /// Tasks of a higher priority wait.
    HigherPriority {
        /// How many.
        waiting: u64,
    },
    /// Tasks of the same priority are before it.
    Behind {
        /// How many.
        ahead: Ahead,
    },
    /// Tasks of the same key come first.
    KeyBusy {
        /// How many.
        ahead: Ahead,
    },
    /// Nothing stands in its way: it starts within moments.
    Next,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { kind, code: None } => write!(f, "it has ended: {kind}"),
            Self::Ended { kind, code: Some(code) } => write!(f, "it has ended: {kind} ({code})"),
            Self::CancelAsked => f.write_str("its end was asked for and is about to be recorded"),
            Self::Scheduled { when } => write!(f, "its time has not come: {when}"),
            Self::Backoff { failed, until, code } => {
                write!(f, "attempt {failed} failed")?;
                if let Some(code) = code {
                    write!(f, " ({code})")?;
                }
                write!(f, ", the next begins by {}", format_rfc3339(*until))
            }
            Self::Running { attempt } => write!(f, "attempt {attempt} is running, or its lease has not run out yet"),
            Self::Paused { until } => write!(f, "the queue is paused until {}", format_rfc3339(*until)),
            Self::NoWorker { skill } => write!(f, "no worker with skill `{skill}` is present"),
            Self::Draining { workers: 1 } => f.write_str("the one worker with the skill is draining"),
            Self::Draining { workers } => write!(f, "all {workers} workers with the skill are draining"),
            Self::Busy { slots: 1 } => f.write_str("the only slot is busy"),
            Self::Busy { slots } => write!(f, "all {slots} slots are busy"),
            Self::MostRunning { most } => write!(f, "the limit of {most} tasks under lease is reached"),
            Self::HigherPriority { waiting } => write!(f, "{waiting} of a higher priority wait"),
            Self::Behind { ahead: Ahead::Exactly(1) } => f.write_str("1 task is ahead"),
            Self::Behind { ahead: Ahead::Exactly(n) } => write!(f, "{n} tasks are ahead"),
            Self::Behind { ahead: Ahead::AtMost(n) } => write!(f, "up to {n} tasks are ahead"),
            Self::KeyBusy { ahead: Ahead::Exactly(1) } => f.write_str("1 task of its key comes first"),
            Self::KeyBusy { ahead: Ahead::Exactly(n) } => write!(f, "{n} tasks of its key come first"),
            Self::KeyBusy { ahead: Ahead::AtMost(n) } => write!(f, "up to {n} tasks of its key come first"),
            Self::Next => f.write_str("nothing: it starts within moments"),
        }
    }
}

/// Says why a task has not ended, the most telling reason first; never empty.
///
/// Pure: what it judges by is gathered by [`Client::why`].
#[must_use]
pub fn explain(facts: &Facts) -> Vec<Reason> {
    let view = &facts.view;
    if view.state.is_terminal() {
        let kind = match (&view.outcome, view.state) {
            (Some(outcome), _) => outcome.kind,
            (None, TaskState::Cancelled) => OutcomeKind::Cancelled,
            (None, TaskState::Completed) => OutcomeKind::Completed,
            (None, _) => OutcomeKind::Dead,
        };
        let code = view.outcome.as_ref().and_then(|outcome| outcome.code.clone());
        return vec![Reason::Ended { kind, code: code.or_else(|| view.dead.as_ref().map(|dead| dead.code.clone())) }];
    }
    let mut reasons = Vec::new();
    if view.is_cancel_asked {
        reasons.push(Reason::CancelAsked);
    }
    let attempts = view.attempts.as_ref();
    let failed = attempts.map_or(0, |record| record.failed);
    match view.state {
        TaskState::Scheduled => {
            let when = view.schedule.as_ref().map_or_else(|| "not known".to_owned(), |entry| entry.when.clone());
            reasons.push(Reason::Scheduled { when });
        }
        TaskState::Retryable => {
            let until = backoff_until(attempts, view.place.as_ref(), view.queue.as_ref()).unwrap_or(view.now);
            let code = attempts.and_then(|record| record.failures.last()).map(|failure| failure.code.clone());
            reasons.push(Reason::Backoff { failed, until, code });
        }
        TaskState::Running => reasons.push(Reason::Running { attempt: failed + 1 }),
        _ => {}
    }
    if matches!(view.state, TaskState::Available | TaskState::Retryable) {
        fleet_reasons(facts, &mut reasons);
    }
    if reasons.is_empty() {
        reasons.push(Reason::Next);
    }
    reasons
}

fn fleet_reasons(facts: &Facts, reasons: &mut Vec<Reason>) {
    let view = &facts.view;
    let of = view.place.as_ref().map(|place| match place.partition {
        Some(partition) => LaneOf::Partition(partition),
        None => LaneOf::Priority(place.priority),
    });
    let lane = view.queue.as_ref().and_then(|queue| queue.lanes.iter().find(|lane| Some(lane.of) == of));
    if let Some(until) = lane.and_then(|lane| lane.paused_until) {
        reasons.push(Reason::Paused { until });
    }
    let able: Vec<&WorkerRow> =
        facts.workers.iter().filter(|row| row.skills.iter().any(|skill| skill.name == view.skill)).collect();
    let taking: Vec<&&WorkerRow> = able.iter().filter(|row| !row.draining).collect();
    if able.is_empty() {
        reasons.push(Reason::NoWorker { skill: view.skill.clone() });
    } else if taking.is_empty() {
        reasons.push(Reason::Draining { workers: able.len() });
    } else if view.state == TaskState::Available && taking.iter().all(|row| row.running >= row.slots) {
        reasons.push(Reason::Busy { slots: taking.iter().map(|row| row.slots).sum() });
    }
    let Some((lane, queue)) = lane.zip(view.queue.as_ref()) else { return };
    if lane.most_running > 0 && i64::try_from(lane.running).is_ok_and(|running| running >= lane.most_running) {
        reasons.push(Reason::MostRunning { most: lane.most_running });
    }
    if view.state != TaskState::Available {
        return;
    }
    // `high` sorts before `normal` and `low`.
    let waiting = match lane.of {
        LaneOf::Priority(priority) => {
            let above = Priority::ALL.into_iter().filter(|other| *other < priority);
            above.filter_map(|other| queue.lane(other)).map(|other| other.waiting).sum()
        }
        // The keys of a partition take turns.
        LaneOf::Partition(_) => 0,
    };
    if waiting > 0 {
        reasons.push(Reason::HigherPriority { waiting });
    }
    match view.place.as_ref().and_then(|place| place.ahead) {
        None | Some(Ahead::Exactly(0) | Ahead::AtMost(0)) => {}
        Some(ahead) if matches!(lane.of, LaneOf::Partition(_)) => reasons.push(Reason::KeyBusy { ahead }),
        Some(ahead) => reasons.push(Reason::Behind { ahead }),
    }
}

impl Client {
    /// Gathers what is known of a task and says why it has not ended.
    ///
    /// # Errors
    /// [`QueryError`]; safe to call again.
    pub async fn why(&self, skill: &Skill, task: &TaskId) -> Result<(TaskView, Vec<Reason>), QueryError> {
        let view = self.show(skill, task).await?;
        let workers = if view.state.is_terminal() { Vec::new() } else { self.workers().await? };
        let facts = Facts { view, workers };
        let reasons = explain(&facts);
        Ok((facts.view, reasons))
    }
}

#[cfg(test)]
mod tests {
    use nova_wire::WorkerSkill;

    use super::*;
    use crate::Place;

    fn skill() -> Skill {
        Skill::new("echo").expect("a skill")
    }

    fn waiting() -> Facts {
        let task: TaskId = "a.b".parse().expect("an id");
        let place = Place {
            stream: "NOVA_TASKS_echo".into(),
            sequence: 60,
            priority: Priority::Normal,
            partition: None,
            at: UnixMillis(5),
            is_taken: false,
            ahead: Some(Ahead::Exactly(0)),
            task: None,
        };
        let view = TaskView {
            task,
            skill: skill(),
            state: TaskState::Available,
            outcome: None,
            attempts: None,
            dead: None,
            schedule: None,
            place: Some(place),
            queue: Some(crate::queue::tests::queue(100, &[(0, 0), (1, 0), (9, 0)])),
            is_cancel_asked: false,
            now: UnixMillis(1_000_000),
        };
        Facts { view, workers: vec![worker(0)] }
    }

    fn worker(running: u32) -> WorkerRow {
        WorkerRow {
            worker: nova_types::WorkerId::new("w").expect("an id"),
            pid: 1,
            host: "h".into(),
            skills: vec![WorkerSkill { name: skill(), version: "1".into() }],
            version: "1".into(),
            slots: 2,
            running,
            draining: false,
            nonce: String::new(),
            started: UnixMillis(0),
            seen: UnixMillis(0),
            http: None,
            labels: std::collections::BTreeMap::new(),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), expect: &[&str]) {
        let mut facts = waiting();
        change(&mut facts);
        let told: Vec<String> = explain(&facts).iter().map(ToString::to_string).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn a_free_worker_and_an_empty_queue_leave_no_reason() {
        check(|_| {}, &["nothing: it starts within moments"]);
    }

    #[test]
    fn the_fleet_is_named_before_the_queue() {
        check(|f| f.workers.clear(), &["no worker with skill `echo` is present"]);
        check(|f| f.workers[0].draining = true, &["the one worker with the skill is draining"]);
        check(
            |f| {
                f.workers[0].running = 2;
                f.view.queue.as_mut().expect("set").lanes[0].waiting = 4;
                f.view.place.as_mut().expect("set").ahead = Some(Ahead::Exactly(7));
            },
            &["all 2 slots are busy", "4 of a higher priority wait", "7 tasks are ahead"],
        );
    }

    #[test]
    fn a_pause_comes_first() {
        check(
            |f| f.view.queue.as_mut().expect("set").lanes[1].paused_until = Some(UnixMillis(2_000_000)),
            &["the queue is paused until 1970-01-01T00:33:20.000Z"],
        );
    }

    #[test]
    fn a_task_under_lease_says_which_attempt() {
        check(|f| f.view.state = TaskState::Running, &["attempt 1 is running, or its lease has not run out yet"]);
    }

    #[test]
    fn an_ended_task_says_how() {
        check(|f| f.view.state = TaskState::Dead, &["it has ended: dead"]);
    }
}
