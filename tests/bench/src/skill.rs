//! The skills that are measured.

use std::time::Duration;

use nova_worker::{Context, Raw, Skill, Verdict};
use serde::{Deserialize, Serialize};

/// Answers at once with what it was asked; its name is given.
pub struct Noop(pub String);

impl Skill for Noop {
    type Input = Raw;
    type Output = Raw;

    fn name(&self) -> &str {
        &self.0
    }

    async fn run(&self, input: Raw, _cx: Context) -> Result<Raw, Verdict> {
        Ok(input)
    }
}

/// What a [`Held`] task is to do.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// How long it takes.
    pub hold_ms: u64,
    /// Whether it fails, and how long it then wants to pause.
    pub fail_for_ms: Option<u64>,
}

/// Takes as long as the task says, or as this worker does, and fails when told to.
pub struct Held {
    /// Its name.
    pub name: String,
    /// How long this worker takes at least.
    pub least: Duration,
}

impl Skill for Held {
    type Input = Order;
    type Output = ();

    fn name(&self) -> &str {
        &self.name
    }

    async fn run(&self, order: Order, _cx: Context) -> Result<(), Verdict> {
        let hold = Duration::from_millis(order.hold_ms).max(self.least);
        if !hold.is_zero() {
            tokio::time::sleep(hold).await;
        }
        match order.fail_for_ms {
            None => Ok(()),
            Some(pause) => Err(Verdict::retry_after(Duration::from_millis(pause), "told_to", "this task is to fail")),
        }
    }
}
