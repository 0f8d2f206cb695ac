//! What reaches a run, and what its sender is told.

use std::time::Duration;

use nova_types::{Code, Name, OutcomeKind, TaskId};
use nova_wire::{BlobRef, Headers, Payload};
use nova_workflow::{End, Event, Part, Started};
use tokio::sync::oneshot;

/// Something that happened to a run.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// It was asked for.
    Start(Box<Start>),
    /// One of its tasks ended.
    Outcome(Box<Ended>),
    /// An effect could not be carried out: the task ends here, unrun.
    Refused(Box<End>),
    /// Someone ordered something of the run that is this task.
    Order(Box<(TaskId, Event)>),
    /// A moment came, or there is room.
    Event(Box<Event>),
}

/// A start that was looked through.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) started: Started,
    /// Headers of the task that are needed later.
    pub(crate) origin: Headers,
}

/// The end of a task, as its outcome tells it.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) name: Name,
    pub(crate) kind: OutcomeKind,
    pub(crate) attempt: u32,
    pub(crate) code: Option<Code>,
    pub(crate) payload: Payload,
    /// Where the result is, when it is large.
    pub(crate) blob: Option<BlobRef>,
    /// How many items of a bundle the result lists the ends of, when it does.
    pub(crate) items: Option<u32>,
}

impl Ended {
    /// What it takes to hold its result, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.payload.bytes.len() as u64 + self.blob.as_ref().map_or(0, |blob| blob.size)
    }
}

/// News on its way to a run.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) news: News,
    /// Whether it may have come before.
    pub(crate) is_again: bool,
    /// Where the sender waits; nobody does for what a run tells itself.
    pub(crate) answer: Option<oneshot::Sender<Verdict>>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is recorded, and what followed is carried out.
    Done,
    /// It is to come again after a pause.
    Later(Duration),
    /// There is no such run.
    NoRun,
    /// The run is another task's.
    Taken,
}

impl Letter {
    /// What a run tells itself.
    pub(crate) fn own(news: News) -> Self {
        Self { news, is_again: false, answer: None }
    }

    /// Tells the sender, who may be gone.
    pub(crate) fn settle(self, verdict: Verdict) {
        if let Some(answer) = self.answer {
            let _ = answer.send(verdict);
        }
    }

    /// How many ends it tells.
    pub(crate) fn ends(&self) -> usize {
        match &self.news {
            News::Outcome(ended) => ended.items.map_or(1, |items| items.max(1) as usize),
            _ => 1,
        }
    }

    /// What it takes to hold it, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.news {
            News::Outcome(ended) => ended.bytes(),
            _ => 0,
        }
    }
}

/// The end of a part whose task could not be submitted.
pub(crate) fn refused(part: Part, code: &str, message: String) -> News {
    let error = nova_workflow::Failure { code: code.into(), message };
    let result = nova_workflow::Datum::NULL;
    News::Refused(Box::new(End { part, kind: OutcomeKind::Dead, attempt: 0, result, error: Some(error) }))
}
