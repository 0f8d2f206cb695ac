//! Which acknowledged tasks have no outcome yet: follows the outcomes as they are stored.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use nova_broker::{BrokerRef, Scan};
use nova_types::{Skill, TaskId};
use nova_wire::{assets, subject};

use crate::truth::ALL_OUTCOMES;

/// How many outcomes are read at once.
const PAGE: usize = 1_000;
/// How often it is looked for new ones.
const LOOK: Duration = Duration::from_millis(100);

/// Follows the outcomes.
#[derive(Debug, Default)]
pub struct Tail {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    acked: HashSet<(Skill, TaskId)>,
    /// Outcomes may be seen before their task's receipt is.
    ended: HashSet<(Skill, TaskId)>,
    from: u64,
}

impl Tail {
    /// Notes that a task was acknowledged.
    pub fn acked(&self, skill: &Skill, task: &TaskId) {
        let mut state = self.state();
        let key = (skill.clone(), task.clone());
        if !state.ended.contains(&key) {
            state.acked.insert(key);
        }
    }

    /// How many acknowledged tasks have no outcome yet.
    pub fn open(&self) -> usize {
        self.state().acked.len()
    }

    /// Some of them, to be shown.
    pub fn some_open(&self, most: usize) -> Vec<String> {
        self.state().acked.iter().take(most).map(|(skill, task)| format!("{skill} {task}")).collect()
    }

    /// Reads what is new; says whether all was read.
    pub async fn catch_up(&self, broker: &BrokerRef) -> bool {
        let from = self.state().from + 1;
        let scan = Scan::all(assets::OUTCOMES, ALL_OUTCOMES, PAGE).from(from);
        let Ok(page) = broker.scan(scan).await else { return false };
        let mut state = self.state();
        for stored in &page {
            state.from = stored.sequence;
            if let Some(key) = subject::parse_outcome(&stored.subject) {
                state.acked.remove(&key);
                state.ended.insert(key);
            }
        }
        page.len() < PAGE
    }

    /// Follows until dropped.
    pub async fn follow(&self, broker: BrokerRef) {
        loop {
            if self.catch_up(&broker).await {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }
}
