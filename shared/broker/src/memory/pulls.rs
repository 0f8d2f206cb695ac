//! The pulls under way: what each still wants, what it has been given, how it ended.

use std::collections::{BTreeMap, VecDeque};

use super::clock::Moment;
use super::refusal::Refusal;
use crate::Delivery;

/// One pull, from its request until its stream is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The connection it came on.
    pub(super) link: u64,
    /// How many messages it may still bring.
    pub(super) left: usize,
    /// When the broker lets go of it.
    pub(super) expires: Moment,
    /// Delivered and not read yet.
    pub(super) ready: VecDeque<Delivery>,
    /// Set once nothing more will come.
    pub(super) end: Option<End>,
}

/// How a pull ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Answered whole, or its time is over.
    Whole,
    /// The broker said no.
    Refused(Refusal),
    /// Its consumer was deleted.
    Gone,
    /// Its connection went down.
    Lost,
}

/// All pulls, by number in the order they came.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    all: BTreeMap<u64, Waiting>,
    opened: u64,
}

impl Pulls {
    pub(super) fn open(&mut self, waiting: Waiting) -> u64 {
        self.opened += 1;
        self.all.insert(self.opened, waiting);
        self.opened
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Waiting> {
        self.all.get_mut(&id)
    }

    /// The pull, while the broker still owes it something.
    pub(super) fn owed(&mut self, id: u64) -> Option<&mut Waiting> {
        self.all.get_mut(&id).filter(|pull| pull.end.is_none())
    }

    pub(super) fn expiry(&self, id: u64) -> Option<Moment> {
        self.all.get(&id).filter(|pull| pull.end.is_none()).map(|pull| pull.expires)
    }

    pub(super) fn end(&mut self, id: u64, end: End) {
        if let Some(pull) = self.owed(id) {
            pull.end = Some(end);
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Waiting> {
        self.all.remove(&id)
    }

    /// Ends all pulls of a connection; what it was sent and has not read is lost with it.
    pub(super) fn cut(&mut self, link: u64, end: &End) {
        for pull in self.all.values_mut().filter(|pull| pull.link == link) {
            pull.ready.clear();
            pull.end = Some(end.clone());
        }
    }
}
