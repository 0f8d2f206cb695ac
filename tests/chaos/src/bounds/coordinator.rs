//! Runs go on when a coordinator is dead or frozen: another one takes over what it held.
//!
//! Looked at is each run of which a step had ended and the next one had not begun; which coordinator had it nobody can say,
//! so all of them are to go on in time.

use std::collections::BTreeMap;

use super::faults::Faults;
use super::{Bound, Sample, seconds};
use crate::check::CHAIN;
use crate::history::{Fact, What};

pub(super) fn samples(history: &[Fact], faults: &Faults) -> Vec<Sample> {
    let (mut starts, mut ends): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = (BTreeMap::new(), BTreeMap::new());
    for fact in history {
        match &fact.what {
            What::Started { tag, .. } if !tag.is_empty() => {
                starts.entry(tag).or_insert(fact.at);
            }
            What::Ended { tag, .. } if !tag.is_empty() => {
                ends.entry(tag).or_insert(fact.at);
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for (gone, who) in faults.gone.iter().filter(|(_, who)| who.starts_with('c')) {
        for (tag, end) in ends.iter().filter(|(_, end)| *end <= gone) {
            let Some(next) = next(tag) else { continue };
            let Some(start) = starts.get(&*next).filter(|start| *start > gone) else { continue };
            // Submitters have no part in it.
            let concerns = |target: &str| target != who && !target.starts_with('s') || target.starts_with("server");
            all.push(Sample {
                bound: Bound::CoordinatorGone,
                of: format!("{who} gone, {next}"),
                secs: seconds(start - gone),
                is_judged: !faults.any(*end, Bound::CoordinatorGone.due(*gone, *start), |span| concerns(&span.target)),
            });
        }
    }
    all
}

/// The tag of the step behind that of this tag.
fn next(tag: &str) -> Option<String> {
    let (run, step) = tag.rsplit_once('/')?;
    let at = CHAIN.iter().position(|name| *name == step)?;
    CHAIN.get(at + 1).map(|next| format!("{run}/{next}"))
}
