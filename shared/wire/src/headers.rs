//! A message's headers, in the order they were written.

use std::borrow::Cow;
use std::sync::Arc;

/// The header names of the contract.
pub mod name {
    /// `application/json` (assumed) or `application/msgpack`.
    pub const CONTENT_TYPE: &str = "Content-Type";
    /// The broker's dedupe key; on a submit, the task's id.
    pub const MSG_ID: &str = "Nats-Msg-Id";
    /// The broker's compare-and-set on a subject.
    pub const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
    /// The broker's time to live of one message.
    pub const TTL: &str = "Nats-TTL";
    /// Replaces what the subject held.
    pub const ROLLUP: &str = "Nats-Rollup";
    /// When the broker's schedule fires.
    pub const SCHEDULE: &str = "Nats-Schedule";
    /// Where it publishes to.
    pub const SCHEDULE_TARGET: &str = "Nats-Schedule-Target";
    /// The time zone of a cron schedule.
    pub const SCHEDULE_TIME_ZONE: &str = "Nats-Schedule-Time-Zone";
    /// On a fired message: the schedule's subject.
    pub const SCHEDULER: &str = "Nats-Scheduler";
    /// On a fired message: `purge`, or when the schedule fires next.
    pub const SCHEDULE_NEXT: &str = "Nats-Schedule-Next";
    /// The id of a task published again by Nova.
    pub const ID: &str = "Nova-Id";
    /// The wire version; 1 when absent.
    pub const VERSION: &str = "Nova-Version";
    /// The longest one attempt may run.
    pub const TIMEOUT: &str = "Nova-Timeout";
    /// The moment after which no attempt may run.
    pub const DEADLINE: &str = "Nova-Deadline";
    /// How many attempts may fail.
    pub const MAX_ATTEMPTS: &str = "Nova-Max-Attempts";
    /// The pause between attempts.
    pub const BACKOFF: &str = "Nova-Backoff";
    /// The key of a keyed skill.
    pub const KEY: &str = "Nova-Key";
    /// How long the outcome is kept.
    pub const OUTCOME_TTL: &str = "Nova-Outcome-TTL";
    /// A subject that is told the outcome.
    pub const REPLY: &str = "Nova-Reply";
    /// The workflow run.
    pub const RUN: &str = "Nova-Run";
    /// The workflow step.
    pub const STEP: &str = "Nova-Step";
    /// On a child run: how many runs it has above it. Set by Nova.
    pub const DEPTH: &str = "Nova-Depth";
    /// On a bundle: how many items its body lists.
    pub const BUNDLE: &str = "Nova-Bundle";
    /// On the dead letter of a bundle's failed items: their positions in that bundle, such as `4 6-9`.
    pub const ITEMS: &str = "Nova-Items";
    /// Labels, `key=value` separated by commas.
    pub const LABELS: &str = "Nova-Labels";
    /// The task a redriven one stands for.
    pub const REDRIVE_OF: &str = "Nova-Redrive-Of";
    /// The terminal record.
    pub const OUTCOME: &str = "Nova-Outcome";
    /// The cause of a dead letter.
    pub const DEAD: &str = "Nova-Dead";
    /// The attempts of a dead letter.
    pub const ATTEMPTS: &str = "Nova-Attempts";
    /// A payload kept in the object store.
    pub const BLOB: &str = "Nova-Blob";
    /// On a request to schedule: when.
    pub const WHEN: &str = "Nova-Schedule";
    /// On a request to schedule: the time zone of its cron.
    pub const TIME_ZONE: &str = "Nova-Time-Zone";
    /// On a request to schedule again and again: what is made up for that was missed: `skip`, `one` or `all`.
    pub const CATCH_UP: &str = "Nova-Catch-Up";
    /// On a task of a recurring schedule: the moment it stands for.
    pub const NOMINAL: &str = "Nova-Nominal";
    /// On a request to schedule or a due task: its priority.
    pub const PRIORITY: &str = "Nova-Priority";
    /// On the schedule of a run: which of its timers it is. Nova's own; nobody may ask for it.
    pub const TIMER: &str = "Nova-Timer";
    /// What a run's history message comes to, so that lists need no body.
    pub const TRANSITION: &str = "Nova-Transition";
    /// On a run's history message: which earlier transitions its writer has carried out, such as `4 6-9`.
    pub const EMITTED: &str = "Nova-Emitted";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C trace state.
    pub const TRACESTATE: &str = "tracestate";
    /// What the broker's own headers begin with.
    pub const NATS_PREFIX: &str = "Nats-";
    /// What they begin with on a dead letter.
    pub const ORIGINAL_PREFIX: &str = "Nova-Orig-";

    /// A name as it came: those that nearly every message has are not copied.
    #[must_use]
    pub fn of(text: &str) -> std::borrow::Cow<'static, str> {
        const FREQUENT: [&str; 8] = [MSG_ID, OUTCOME, CONTENT_TYPE, ID, RUN, STEP, TRACEPARENT, TRANSITION];
        match FREQUENT.into_iter().find(|name| *name == text) {
            Some(name) => name.into(),
            None => text.to_owned().into(),
        }
    }
}

/// A header line: its name, most often one of the contract's, and its value.
type Line = (Cow<'static, str>, String);

/// Header lines in order; names compare without regard to case.
///
/// Copies share their lines until one of them is changed: a task's headers are handed on to its context, its record and
/// its letter.
#[derive(Debug, Clone, Default)]
pub struct Headers(Option<Arc<Vec<Line>>>);

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.lines() == other.lines()
    }
}

impl Eq for Headers {}

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }

    fn lines(&self) -> &[Line] {
        self.0.as_ref().map_or(&[], |lines| lines)
    }

    fn lines_mut(&mut self) -> &mut Vec<Line> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// The first value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines().iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How often `name` occurs.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.lines().iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).count()
    }

    /// Adds a line; one of the same name stays.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.lines_mut().push((name.into(), value.into()));
    }

    /// Puts a line in place of all of the same name.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Adds a line, for building in one expression.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Removes every line of `name`.
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            self.retain(|key| !key.eq_ignore_ascii_case(name));
        }
    }

    /// Keeps the lines that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if !self.is_empty() {
            self.lines_mut().retain(|(key, _)| keep(key));
        }
    }

    /// All lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines().iter().map(|(key, value)| (&**key, value.as_str()))
    }
}

impl<N: Into<Cow<'static, str>>> FromIterator<(N, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, String)>>(lines: I) -> Self {
        let lines: Vec<Line> = lines.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self((!lines.is_empty()).then(|| Arc::new(lines)))
    }
}

/// Whether a name begins with `prefix`, without regard to case.
pub(crate) fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}
