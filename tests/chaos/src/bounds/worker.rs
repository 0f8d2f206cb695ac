//! What a dead or frozen worker held is started again by the end of its lease, and a moment for the next one to take it.
//!
//! Held is an attempt that had started and not ended, or whose end was lost: the same attempt starts once more. How busy the
//! others are is no excuse: to their next pull the broker delivers first what comes again.

use std::collections::BTreeMap;

use nova_types::{Skill, TaskId};

use super::faults::Faults;
use super::{Bound, Sample, seconds};
use crate::history::{Fact, What};
use crate::order::{End, Order};

#[derive(Default)]
struct Story<'a> {
    /// When, by whom, which attempt.
    starts: Vec<(u64, &'a str, u32)>,
    order: Option<&'a Order>,
}

pub(super) fn samples(history: &[Fact], faults: &Faults) -> Vec<Sample> {
    let mut stories: BTreeMap<(&Skill, &TaskId), Story<'_>> = BTreeMap::new();
    for fact in history {
        match &fact.what {
            What::Asked { skill, task, order, .. } => stories.entry((skill, task)).or_default().order = order.as_ref(),
            What::Started { skill, task, attempt, .. } => {
                stories.entry((skill, task)).or_default().starts.push((fact.at, &fact.by, *attempt));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for (at, (gone, who)) in faults.gone.iter().enumerate().filter(|(_, (_, who))| who.starts_with('w')) {
        // What an earlier process of the name held is not this one's.
        let since = faults.gone[..at].iter().rev().find(|(_, before)| before == who).map_or(0, |(at, _)| *at);
        for ((skill, task), story) in &stories {
            // One put back starts the same attempt again, and is not one that was lost.
            if story.order.is_some_and(|order| order.end == End::Snooze) {
                continue;
            }
            let split = story.starts.partition_point(|start| start.0 <= *gone);
            let (before, after) = story.starts.split_at(split);
            let (Some((start, by, attempt)), Some((again, _, next))) = (before.last(), after.first()) else { continue };
            if by != who || *start <= since || next != attempt {
                continue;
            }
            // Coordinators and submitters have no part in a delivery.
            let concerns = |target: &str| target.starts_with("server") || target.starts_with('w') && target != who;
            all.push(Sample {
                bound: Bound::WorkerGone,
                of: format!("{who}'s {skill} {task}"),
                secs: seconds(again - gone),
                is_judged: !faults.any(*gone, Bound::WorkerGone.due(*gone, *again), |span| concerns(&span.target)),
            });
        }
    }
    all
}
