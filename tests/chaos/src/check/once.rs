//! A key stands for one task, whoever asks, at the same time or much later: I19.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::{Skill, TaskId};

use super::{Lives, Task, Violation};
use crate::history::{Fact, What};

const INVARIANT: &str = "I19 a key has one task";

/// What is known of a key.
#[derive(Default)]
struct Key<'a> {
    /// What its task might be called.
    asked: BTreeSet<&'a TaskId>,
    /// What submitters were told that it is.
    told: BTreeSet<&'a TaskId>,
}

/// Every key that stands for more than one task.
pub fn check(history: &[Fact], lives: &Lives) -> Vec<Violation> {
    let mut keys: BTreeMap<(&Skill, &str), Key<'_>> = BTreeMap::new();
    for fact in history {
        match &fact.what {
            What::OnceAsked { skill, once, task } => keys.entry((skill, once)).or_default().asked.insert(task),
            What::OnceTold { skill, once, task } => keys.entry((skill, once)).or_default().told.insert(task),
            _ => continue,
        };
    }
    let listed = |ids: &BTreeSet<&TaskId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut all = Vec::new();
    for ((skill, once), key) in keys {
        if key.told.len() > 1 {
            all.push(Violation::new(INVARIANT, once, format!("submitters were told of {}", listed(&key.told))));
        }
        let is_there = |id: &&TaskId| {
            let life = lives.tasks.get(&Task { skill: skill.clone(), id: (*id).clone() });
            life.is_some_and(|life| !(life.starts.is_empty() && life.outcomes.is_empty()))
        };
        let there: BTreeSet<&TaskId> = key.asked.iter().copied().filter(is_there).collect();
        if there.len() > 1 {
            all.push(Violation::new(INVARIANT, once, format!("there are {}", listed(&there))));
        }
        if let Some(strange) = key.told.iter().find(|id| !key.asked.contains(*id)) {
            all.push(Violation::new(
                INVARIANT,
                once,
                format!("a submitter was told of {strange}, which is not of this key"),
            ));
        }
    }
    all
}
