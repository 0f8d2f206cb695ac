//! When which fault was at work on what, and who was gone when.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nanoseconds;
use crate::history::{Fact, What};

/// How long after its end a fault of a server may still be in the way: an election.
const SERVER_AFTER: Duration = Duration::from_secs(10);
/// The same of any other fault: connections are made anew, and what was held is delivered again.
const AFTER: Duration = Duration::from_secs(3);

/// One fault on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) fault: String,
    pub(crate) target: String,
    pub(crate) from: u64,
    /// `u64::MAX` for one that nobody healed.
    pub(crate) to: u64,
}

/// All of a history.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) spans: Vec<Span>,
    /// Who ended or was frozen, and when.
    pub(crate) gone: Vec<(u64, String)>,
}

impl Span {
    pub(crate) fn is_of_server(&self) -> bool {
        self.target.starts_with("server")
    }

    /// Until when it may be in the way.
    fn after(&self) -> u64 {
        self.to.saturating_add(nanoseconds(if self.is_of_server() { SERVER_AFTER } else { AFTER }))
    }
}

impl Faults {
    pub(crate) fn of(history: &[Fact]) -> Self {
        let mut all = Self::default();
        let mut open: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for fact in history {
            match &fact.what {
                What::Fault { fault, target } => {
                    open.insert((fault, target), all.spans.len());
                    let (fault, target) = (fault.clone(), target.clone());
                    all.spans.push(Span { fault, target, from: fact.at, to: u64::MAX });
                }
                What::Mended { fault, target } => {
                    if let Some(at) = open.remove(&(&**fault, &**target)) {
                        all.spans[at].to = fact.at;
                    }
                }
                What::Gone { who } => all.gone.push((fact.at, who.clone())),
                _ => {}
            }
        }
        all
    }

    /// Whether a fault that this concerns was in the way between the two moments.
    pub(crate) fn any(&self, from: u64, to: u64, concerns: impl Fn(&Span) -> bool) -> bool {
        self.spans.iter().any(|span| span.from <= to && span.after() >= from && concerns(span))
    }

    /// When the next fault of a server begins after this moment.
    pub(crate) fn next_of_server(&self, after: u64) -> u64 {
        let later = self.spans.iter().filter(|span| span.is_of_server() && span.from > after);
        later.map(|span| span.from).min().unwrap_or(u64::MAX)
    }
}
