//! A fault that left no trace was not survived, it was missed: what each kind must have been seen to do.

use std::collections::BTreeMap;

use crate::check::{Counts, Violation};
use crate::plan::{Fault, Realm};

/// What was seen beside the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sightings {
    /// New connections of submitters.
    pub reconnects: u64,
    /// New leaders of streams and consumers, as the servers said.
    pub leader_changes: u64,
    /// Boundaries at which a process died.
    pub boundaries: u64,
    /// Full disks of which their server said so.
    pub full: u64,
    /// Deleted consumers of which a coordinator said so.
    pub missed: u64,
    /// Purges of which a coordinator said so.
    pub purged: u64,
}

/// How often a fault whose trace takes some luck is injected before its absence is believed.
const OFTEN: u64 = 3;

/// Among so many tasks each kind of end must be met; a cancel that comes in time takes some luck.
const MANY: u64 = 5_000;
/// The same of what is submitted once in a hundred times.
const VERY_MANY: u64 = 4 * MANY;

/// Every fault of those injected whose trace is missing.
#[must_use]
pub fn missing(times: &BTreeMap<Fault, u64>, counts: &Counts, sightings: Sightings) -> Vec<Violation> {
    let total =
        |is_one: &dyn Fn(Fault) -> bool| times.iter().filter(|(fault, _)| is_one(**fault)).map(|(_, n)| n).sum();
    let deaths: u64 = total(&|fault| matches!(fault, Fault::WorkerKill | Fault::WorkerKillAt | Fault::WorkerPause));
    let frozen: u64 = total(&|fault| fault == Fault::WorkerPause);
    let brokers: u64 = total(&|fault| {
        fault.realm() == Realm::Broker
            && !matches!(fault, Fault::BrokerPause | Fault::BrokerCut | Fault::BrokerCutOneWay)
    });
    let leaders: u64 = total(&|fault| fault == Fault::LeaderKill);
    let armed: u64 = total(&|fault| matches!(fault, Fault::WorkerKillAt | Fault::CoordinatorKillAt));
    let links: u64 = total(&|fault| fault.realm() == Realm::Link);
    let filled: u64 = total(&|fault| fault == Fault::DiskFull);
    let deleted: u64 = total(&|fault| fault == Fault::ConsumerDeleted);
    let purged: u64 = total(&|fault| fault == Fault::QueuePurged);
    let many = counts.acked >= MANY;
    let very_many = counts.acked >= VERY_MANY;
    let wanted = [
        (deaths >= OFTEN, counts.restarted, "workers died, and no attempt was started again"),
        (frozen >= OFTEN, counts.fenced, "workers were frozen beyond their leases, and nobody was fenced"),
        (brokers >= OFTEN, sightings.reconnects + sightings.leader_changes, "servers ended, and nobody noticed"),
        (leaders >= 1, sightings.leader_changes, "leaders were killed, and no other was told of"),
        (armed >= OFTEN, sightings.boundaries, "processes were to die at boundaries, and none did"),
        (links >= 2 * OFTEN, counts.unsure + sightings.reconnects, "connections broke, and nobody noticed"),
        (filled > sightings.full, 0, "disks were filled, and a server never said so"),
        (deleted > sightings.missed, 0, "consumers were deleted, and no coordinator raised an alarm"),
        (purged > sightings.purged, 0, "queues were purged, and no coordinator raised an alarm"),
        (many, counts.letters, "no task died"),
        (very_many, counts.defused, "no bomb was defused"),
        (very_many, counts.oversize, "nothing was refused for its size"),
        (many, counts.cancelled, "no task was cancelled"),
        (many, counts.runs, "no run ended"),
        (many, counts.reads, "nobody read an outcome"),
        (many, counts.redriven, "no dead task was redriven"),
        (many, counts.joined, "no two submits met under one key"),
        (very_many, counts.stopped, "no running task was stopped"),
        (many, counts.cancels, "no cancel was accepted"),
    ];
    wanted
        .into_iter()
        .filter(|(is_wanted, seen, _)| *is_wanted && *seen == 0)
        .map(|(_, _, what)| Violation {
            invariant: "faults are really met",
            of: "the run".to_owned(),
            what: what.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_without_a_trace_fails_the_run() {
        let counts = Counts {
            acked: VERY_MANY,
            letters: 1,
            cancelled: 1,
            runs: 1,
            reads: 1,
            cancels: 1,
            stopped: 1,
            joined: 1,
            redriven: 1,
            defused: 1,
            oversize: 1,
            ..Counts::default()
        };
        let said = |times: &[(Fault, u64)], counts: Counts, sightings| {
            let times = times.iter().copied().collect();
            missing(&times, &counts, sightings).into_iter().map(|violation| violation.what).collect::<Vec<_>>()
        };
        let nothing = Sightings::default();
        assert!(said(&[], counts, nothing).is_empty());
        assert_eq!(said(&[(Fault::WorkerPause, 3)], Counts { restarted: 1, ..counts }, nothing).len(), 1);
        assert_eq!(said(&[(Fault::LeaderKill, 1)], counts, Sightings { leader_changes: 1, ..nothing }).len(), 0);
        assert_eq!(said(&[(Fault::BrokerKill, 3)], counts, nothing).len(), 1);
        let by_hand = [Fault::DiskFull, Fault::ConsumerDeleted, Fault::QueuePurged];
        let seen = Sightings { full: 1, missed: 1, purged: 1, ..nothing };
        assert_eq!(said(&by_hand.map(|fault| (fault, 1)), counts, seen).len(), 0);
        assert_eq!(said(&by_hand.map(|fault| (fault, 2)), counts, seen).len(), 3);
        assert_eq!(said(&[], Counts { acked: MANY, ..Counts::default() }, nothing).len(), 7);
        assert_eq!(said(&[], Counts { acked: VERY_MANY, ..Counts::default() }, nothing).len(), 10);
        assert!(said(&[], Counts::default(), nothing).is_empty());
    }
}
