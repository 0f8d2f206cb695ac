//! Two submitters that ask for the same task under one key: at the same time, and again much later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nova_client::{Client, Submit};
use nova_types::TaskId;

use super::{is_surely_not_stored, skill};
use crate::history::{Journal, What};
use crate::order::Order;
use crate::tail::Tail;
use crate::worker::SKILL;

/// Keys are shared by those whose tasks have one scope.
const SCOPE: &str = "once";
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(150);
/// Each round so many asks again for the task of an older key.
const AGAIN: u64 = 3;
/// How many keys are asked for once more when all is healed.
const AT_LAST: u64 = 20;
/// How long a key stands for its task: longer than any run.
const KEPT: Duration = Duration::from_secs(6 * 3600);

/// One of the two.
pub struct Twin {
    client: Client,
    journal: Arc<Journal>,
    tail: Arc<Tail>,
    /// No two submits of one have one number.
    turn: u64,
}

impl Twin {
    /// A submitter with a journal of its own.
    #[must_use]
    pub fn new(client: Client, journal: Arc<Journal>, tail: Arc<Tail>) -> Self {
        Self { client, journal, tail, turn: 0 }
    }

    async fn ask(&mut self, n: u64) {
        self.turn += 1;
        let (skill, once) = (skill(SKILL), format!("key{n}"));
        let mine: TaskId = format!("{SCOPE}.{}-{}", self.client.scope(), self.turn).parse().expect("a valid id");
        // The input is the same, or they would not mean the same task.
        let order = Order { n, hold_ms: n % 5, ..Order::default() };
        self.journal.note(What::Asked {
            skill: skill.clone(),
            task: mine.clone(),
            order: Some(order.clone()),
            key: None,
        });
        self.journal.note(What::OnceAsked { skill: skill.clone(), once: once.clone(), task: mine.clone() });
        let submit = Submit::json(skill.clone(), &order).expect("an order has a JSON form");
        match self.client.submit(submit.with_id(mine.clone()).once(once.clone(), KEPT)).await {
            Ok(told) => {
                let task = told.task;
                if task != mine {
                    let why = "existing".to_owned();
                    self.journal.note(What::Refused { skill: skill.clone(), task: mine, why });
                }
                self.tail.acked(&skill, &task);
                self.journal.note(What::OnceTold { skill: skill.clone(), once, task: task.clone() });
                self.journal.note(What::Acked { skill, task });
            }
            Err(error) => {
                let why = error.code().to_owned();
                self.journal.note(if is_surely_not_stored(&error) {
                    What::Refused { skill, task: mine, why }
                } else {
                    What::Unsure { skill, task: mine, why }
                });
            }
        }
    }
}

/// Submits until told to stop, and once more then.
pub async fn once(mut one: Twin, mut other: Twin, stop: Arc<AtomicBool>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        tokio::join!(one.ask(n), other.ask(n));
        if n % AGAIN == 0 {
            let before = random.u64(1..=n);
            tokio::join!(one.ask(before), other.ask(before));
        }
        tokio::time::sleep(PAUSE).await;
    }
    for n in 1..=n.min(AT_LAST) {
        tokio::join!(one.ask(n), other.ask(n));
    }
}
