//! Everything known of each task, gathered from history and records.

use std::collections::BTreeMap;

use nova_types::{Skill, TaskId};

use super::{Copy, Letter, Record};
use crate::history::{Fact, What};
use crate::order::Order;

/// A task: ids need be unique per skill only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    /// Of which skill.
    pub skill: Skill,
    /// Which.
    pub id: TaskId,
}

impl Task {
    /// Of a redrive's task: the one that was asked for first, and which redrive it is.
    #[must_use]
    pub fn redriven(&self) -> Option<(Self, u32)> {
        let (root, n) = self.id.name().as_str().rsplit_once("-r")?;
        let id = format!("{}.{root}", self.id.scope()).parse().ok()?;
        Some((Self { skill: self.skill.clone(), id }, n.parse().ok()?))
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.skill, self.id)
    }
}

/// One start or end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// When.
    pub at: u64,
    /// By which worker.
    pub by: String,
    /// Which attempt.
    pub attempt: u32,
}

/// One look at the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When the question went out.
    pub asked: u64,
    /// When the answer came.
    pub at: u64,
    /// Who had recorded it, if anybody had.
    pub found: Option<String>,
}

/// A task's life.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Life {
    /// When it was first asked for; `None` for one that nobody did.
    pub asked: Option<u64>,
    /// What it was to do.
    pub order: Option<Order>,
    /// Its key.
    pub key: Option<String>,
    /// The code with which it is to end dead, without having run.
    pub doomed: Option<String>,
    /// How many faults were injected since, or were not healed then: each may have taken it from one worker more.
    pub faults: u32,
    /// When the broker first acknowledged it.
    pub acked: Option<u64>,
    /// Whether a submit ended unknown.
    pub is_unsure: bool,
    /// Whether a submit was refused.
    pub is_refused: bool,
    /// When a cancel first went out.
    pub cancelled: Option<u64>,
    /// When one was first accepted.
    pub cancel_accepted: Option<u64>,
    /// Starts, in order.
    pub starts: Vec<Try>,
    /// Ends, in order.
    pub ends: Vec<Try>,
    /// What readers saw.
    pub looks: Vec<Look>,
    /// Its outcomes; there must be one.
    pub outcomes: Vec<Record>,
    /// Its dead letters.
    pub letters: Vec<Letter>,
}

/// A step's attempts, by the tag of its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tagged {
    /// The first start.
    pub first_start: Option<u64>,
    /// The first end.
    pub first_end: Option<u64>,
}

/// All lives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lives {
    /// By task.
    pub tasks: BTreeMap<Task, Life>,
    /// Steps of runs, by tag.
    pub steps: BTreeMap<String, Tagged>,
    /// The first redrive of each task: when, and what the new one is to do.
    pub redrives: BTreeMap<Task, (u64, Order)>,
}

impl Lives {
    /// Gathers them.
    #[must_use]
    pub fn of(history: &[Fact], truth: &Copy) -> Self {
        let mut lives = Self::default();
        history.iter().for_each(|fact| lives.add(fact));
        lives.count_faults(history);
        for record in &truth.outcomes {
            lives.life(&record.outcome.skill, &record.outcome.task).outcomes.push(record.clone());
        }
        for letter in &truth.letters {
            lives.life(&letter.skill, &letter.task).letters.push(letter.clone());
        }
        // What a redrive is called is known when it is answered, and it may be there without an answer.
        for (task, life) in lives.tasks.iter_mut().filter(|(_, life)| life.asked.is_none()) {
            let redrive = task.redriven().and_then(|(root, _)| lives.redrives.get(&root));
            if let Some((at, order)) = redrive {
                (life.asked, life.order) = (Some(*at), Some(order.clone()));
            }
        }
        lives
    }

    /// Counts the faults that each task may have met.
    fn count_faults(&mut self, history: &[Fact]) {
        let (mut spans, mut open) = (Vec::new(), 0);
        for fact in history {
            match &fact.what {
                What::Fault { .. } => spans.push(u64::MAX),
                What::Healed { .. } => {
                    spans[open..].fill(fact.at);
                    open = spans.len();
                }
                _ => {}
            }
        }
        for life in self.tasks.values_mut().filter(|life| life.doomed.is_some()) {
            let met = spans.iter().filter(|healed| life.asked.is_some_and(|asked| **healed >= asked)).count();
            life.faults = u32::try_from(met).unwrap_or(u32::MAX);
        }
    }

    fn life(&mut self, skill: &Skill, task: &TaskId) -> &mut Life {
        self.tasks.entry(Task { skill: skill.clone(), id: task.clone() }).or_default()
    }

    fn add(&mut self, fact: &Fact) {
        let tried = |attempt: &u32| Try { at: fact.at, by: fact.by.clone(), attempt: *attempt };
        match &fact.what {
            What::Asked { skill, task, order, key } => {
                let life = self.life(skill, task);
                if life.asked.is_none() {
                    (life.asked, life.order, life.key) = (Some(fact.at), order.clone(), key.clone());
                }
            }
            What::Doomed { skill, task, code } => self.life(skill, task).doomed = Some(code.clone()),
            What::Acked { skill, task } => {
                self.life(skill, task).acked.get_or_insert(fact.at);
            }
            What::Unsure { skill, task, .. } => self.life(skill, task).is_unsure = true,
            What::Refused { skill, task, .. } => self.life(skill, task).is_refused = true,
            What::Cancelled { skill, task } => {
                self.life(skill, task).cancelled.get_or_insert(fact.at);
            }
            What::CancelAccepted { skill, task } => {
                self.life(skill, task).cancel_accepted.get_or_insert(fact.at);
            }
            What::Read { skill, task, asked, found } => {
                let look = Look { asked: *asked, at: fact.at, found: found.clone() };
                self.life(skill, task).looks.push(look);
            }
            What::Started { skill, task, attempt, tag } => {
                if !tag.is_empty() {
                    self.steps.entry(tag.clone()).or_default().first_start.get_or_insert(fact.at);
                }
                self.life(skill, task).starts.push(tried(attempt));
            }
            What::Ended { skill, task, attempt, tag } => {
                if !tag.is_empty() {
                    self.steps.entry(tag.clone()).or_default().first_end.get_or_insert(fact.at);
                }
                self.life(skill, task).ends.push(tried(attempt));
            }
            What::Redrive { skill, of, order } => {
                let task = Task { skill: skill.clone(), id: of.clone() };
                let root = task.redriven().map_or(task, |(root, _)| root);
                self.redrives.entry(root).or_insert((fact.at, order.clone()));
            }
            What::Redriven { skill, task, .. } => {
                self.life(skill, task).acked.get_or_insert(fact.at);
            }
            What::OnceAsked { .. } | What::OnceTold { .. } => {}
            What::Fault { .. } | What::Gone { .. } | What::Mended { .. } | What::Healed { .. } => {}
        }
    }
}

impl Life {
    /// Starts whose worker never came to an end of that attempt.
    #[must_use]
    pub fn unended(&self) -> usize {
        let is_ended = |start: &Try| self.ends.iter().any(|end| (&end.by, end.attempt) == (&start.by, start.attempt));
        self.starts.iter().filter(|start| !is_ended(start)).count()
    }
}
