//! How long the work stood still around each fault: from the history alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::{Fact, What};

/// What one kind of fault came to.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Recovery {
    /// How often it was injected.
    pub times: u64,
    /// The longest time without any attempt starting, from the fault until well after it was healed, in seconds.
    pub silence: f64,
    /// The longest time from the end of the fault until an attempt started, in seconds.
    pub resumed: f64,
}

/// How long after the end of a fault a silence still counts as its own, in nanoseconds.
const AFTER: u64 = 10_000_000_000;

/// One period of faults.
struct Period<'a> {
    began: u64,
    ended: u64,
    faults: Vec<&'a str>,
}

/// The figures of each kind of fault, by name.
#[must_use]
pub fn recoveries(history: &[Fact]) -> BTreeMap<String, Recovery> {
    let starts: Vec<u64> =
        history.iter().filter(|fact| matches!(fact.what, What::Started { .. })).map(|fact| fact.at).collect();
    let mut all: BTreeMap<String, Recovery> = BTreeMap::new();
    let periods = periods(history);
    for (at, period) in periods.iter().enumerate() {
        // The next fault's silence is its own.
        let next = periods.get(at + 1).map_or(u64::MAX, |next| next.began);
        let until = (period.ended + AFTER).min(next);
        let resumed = starts.iter().find(|start| **start >= period.ended).map(|start| start - period.ended);
        let silence = longest_gap(&starts, period.began, until);
        for fault in &period.faults {
            let figures = all.entry((*fault).to_owned()).or_default();
            figures.times += 1;
            figures.silence = figures.silence.max(seconds(silence));
            figures.resumed = figures.resumed.max(seconds(resumed.unwrap_or(0).min(until - period.ended)));
        }
    }
    all
}

/// The figures of two runs together.
pub fn merge(all: &mut BTreeMap<String, Recovery>, more: BTreeMap<String, Recovery>) {
    for (fault, more) in more {
        let figures = all.entry(fault).or_default();
        figures.times += more.times;
        figures.silence = figures.silence.max(more.silence);
        figures.resumed = figures.resumed.max(more.resumed);
    }
}

fn periods(history: &[Fact]) -> Vec<Period<'_>> {
    let (mut all, mut open) = (Vec::new(), None::<Period<'_>>);
    for fact in history {
        match &fact.what {
            What::Fault { fault, .. } => {
                open.get_or_insert(Period { began: fact.at, ended: fact.at, faults: Vec::new() }).faults.push(fault);
            }
            What::Healed { .. } => {
                if let Some(period) = open.take() {
                    all.push(Period { ended: fact.at, ..period });
                }
            }
            _ => {}
        }
    }
    all
}

fn longest_gap(starts: &[u64], from: u64, to: u64) -> u64 {
    let mut last = from;
    let mut longest = 0;
    for start in starts.iter().filter(|start| **start > from && **start < to) {
        longest = longest.max(start - last);
        last = *start;
    }
    // Where nothing follows there was nothing left to start.
    longest
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use nova_types::Skill;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn start(at: u64) -> Fact {
        let task = "c.t1".parse().unwrap();
        let what = What::Started { skill: Skill::new("chaos").unwrap(), task, attempt: 1, tag: String::new() };
        Fact { at: at * SECOND, by: "w0".to_owned(), what }
    }

    fn fault(at: u64, name: &str) -> Fact {
        let what = What::Fault { fault: name.to_owned(), target: "it".to_owned() };
        Fact { at: at * SECOND, by: "nemesis".to_owned(), what }
    }

    fn healed(at: u64) -> Fact {
        Fact { at: at * SECOND, by: "nemesis".to_owned(), what: What::Healed { faults: Vec::new() } }
    }

    #[test]
    fn a_silence_belongs_to_the_faults_of_its_period() {
        let history = [
            start(1),
            fault(2, "broker-kill"),
            fault(2, "reset"),
            start(3),
            healed(4),
            start(8),
            start(9),
            fault(20, "reset"),
            start(21),
            healed(22),
            start(23),
        ];
        let all = recoveries(&history);
        assert_eq!(all["broker-kill"], Recovery { times: 1, silence: 5.0, resumed: 4.0 });
        assert_eq!(all["reset"], Recovery { times: 2, silence: 5.0, resumed: 4.0 });
    }
}
