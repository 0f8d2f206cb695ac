//! Attempts start and submits are acknowledged soon after a server is ready again, and others lead while one is dead.

use super::faults::{Faults, Span};
use super::{Bound, Sample, nanoseconds, seconds};
use crate::history::{Fact, What};

/// After these a server was started anew.
const RESTARTS: [&str; 4] = ["broker-kill", "broker-stop", "power-cut", "power-cut-all"];
const LEADER: &str = "leader-kill";

/// What is to go on: which facts show it, and whose connections it needs.
struct Work {
    moments: Vec<u64>,
    actors: Vec<String>,
    restart: Bound,
    leader: Bound,
}

pub(super) fn samples(history: &[Fact], faults: &Faults) -> Vec<Sample> {
    let work = |is_it: fn(&What) -> bool, restart, leader| {
        let facts = || history.iter().filter(|fact| is_it(&fact.what));
        let mut actors: Vec<String> = facts().map(|fact| fact.by.clone()).collect();
        actors.sort();
        actors.dedup();
        Work { moments: facts().map(|fact| fact.at).collect(), actors, restart, leader }
    };
    let starts = work(|what| matches!(what, What::Started { .. }), Bound::RestartToStart, Bound::LeaderToStart);
    let submits = work(|what| matches!(what, What::Acked { .. }), Bound::RestartToSubmit, Bound::LeaderToSubmit);
    [starts, submits].iter().flat_map(|work| work.after_restarts(faults).chain(work.after_leaders(faults))).collect()
}

impl Work {
    /// From each mended server to the next moment.
    fn after_restarts<'a>(&'a self, faults: &'a Faults) -> impl Iterator<Item = Sample> + 'a {
        let restarts = faults.spans.iter().filter(|span| RESTARTS.contains(&&*span.fault) && span.to < u64::MAX);
        restarts.filter_map(|span| {
            let next = *self.moments.get(self.moments.partition_point(|at| *at <= span.to))?;
            // What follows a further fault is that one's; up to it this one had been at fault for so long at least.
            let until = next.min(faults.next_of_server(span.to));
            let is_alone = until == next || seconds(until - span.to) > self.restart.promised().as_secs_f64();
            Some(self.sample(self.restart, span, span.to, until, is_alone, faults))
        })
    }

    /// The longest time between two moments since each leader's death.
    fn after_leaders<'a>(&'a self, faults: &'a Faults) -> impl Iterator<Item = Sample> + 'a {
        let kills = faults.spans.iter().filter(|span| span.fault == LEADER && span.to < u64::MAX);
        kills.filter_map(|span| {
            let until = faults.next_of_server(span.from);
            let watched = span.to.saturating_add(nanoseconds(self.leader.promised())).min(until);
            let later = &self.moments[self.moments.partition_point(|at| *at <= span.from)..];
            let (mut last, mut longest) = (span.from, (0, span.from));
            for at in later {
                longest = longest.max(((*at).min(until) - last, last));
                last = *at;
                if last >= watched {
                    break;
                }
            }
            // Where nothing follows nothing was left.
            let (gap, from) = longest;
            let before = span.from.saturating_sub(1);
            let was_whole = !faults.any(before, before, |other| other.is_of_server() && other.from < span.from);
            (!later.is_empty()).then(|| self.sample(self.leader, span, from, from + gap, was_whole, faults))
        })
    }

    /// A time from one moment to another; somebody whose way was free must have been there.
    fn sample(&self, bound: Bound, span: &Span, from: u64, to: u64, is_alone: bool, faults: &Faults) -> Sample {
        let has_one = self.actors.iter().any(|actor| {
            // Submitters of other kinds of tasks have the connections of one of the usual ones.
            let actor = match &**actor {
                "sk" | "s0-once" => "s0",
                "s1-once" => "s1",
                usual => usual,
            };
            !faults.any(from, bound.due(from, to), |other| other.target == actor)
        });
        let of = format!("{} of {}", span.fault, span.target);
        Sample { bound, of, secs: seconds(to - from), is_judged: is_alone && has_one }
    }
}
