//! Tells the fleet that this worker lives, and that it leaves.

use std::time::Duration;

use nova_broker::{BrokerRef, Bucket, Expect, Service};
use nova_runtime::ClockRef;
use nova_wire::{WorkerRow, assets};

/// How often a worker tells that it lives.
const BEAT: Duration = Duration::from_secs(3);
/// How long its word lasts: three beats and a little, so that one lost beat is no death.
const TTL: Duration = Duration::from_secs(10);
/// The pause after a beat that failed.
const AGAIN: Duration = Duration::from_millis(500);
/// So many beats in a row that the broker did not take over a connection that claims to stand mean it is broken for good:
/// a header that the client library cannot bear ends its connection task, and only a new process helps.
const BROKEN_AFTER: u32 = 4;

/// The presence of one worker.
pub(crate) struct Presence {
    pub(crate) broker: BrokerRef,
    pub(crate) clock: ClockRef,
    pub(crate) row: WorkerRow,
}

impl Presence {
    /// Beats until dropped; `running` and `draining` are asked anew each time. Returns when the connection is broken for
    /// good.
    pub(crate) async fn run(self, running: impl Fn() -> usize, draining: impl Fn() -> bool) {
        let bucket = Bucket::new(self.broker.clone(), assets::WORKERS_BUCKET);
        let _shown = match self.broker.serve(self.service()).await {
            Ok(shown) => Some(shown),
            Err(error) => {
                tracing::warn!(%error, "could not join discovery");
                None
            }
        };
        let mut row = self.row;
        let mut connection = self.broker.connection();
        let mut failures = 0;
        loop {
            row.running = u32::try_from(running()).unwrap_or(u32::MAX);
            row.draining = draining();
            row.seen = self.clock.now();
            let body = serde_json::to_vec(&row).expect("a plain record always encodes");
            let pause = match bucket.put(row.worker.as_str(), body, Some(TTL), Expect::Any).await {
                Ok(_) => {
                    failures = 0;
                    BEAT
                }
                Err(error) => {
                    tracing::warn!(%error, "presence was not stored");
                    let is_broken = connection.borrow().is_up && self.broker.flush().await.is_err();
                    failures = if is_broken { failures + 1 } else { 0 };
                    AGAIN
                }
            };
            if failures >= BROKEN_AFTER {
                return;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                // After a reconnect the word may have run out: say it again at once.
                _ = connection.changed() => {}
            }
        }
    }

    fn service(&self) -> Service {
        let skills: Vec<&str> = self.row.skills.iter().map(|skill| skill.name.as_str()).collect();
        Service {
            name: format!("nova-{}", skills.first().copied().unwrap_or("worker")),
            version: self.row.version.clone(),
            description: format!("Nova worker for {}", skills.join(", ")),
            metadata: [
                ("worker".to_owned(), self.row.worker.to_string()),
                ("skills".to_owned(), skills.join(",")),
                ("slots".to_owned(), self.row.slots.to_string()),
            ]
            .into(),
            endpoints: Vec::new(),
        }
    }
}

/// Says that the worker is gone, so that nobody waits for its word to run out.
pub(crate) async fn leave(broker: &BrokerRef, worker: &nova_types::WorkerId) {
    let bucket = Bucket::new(broker.clone(), assets::WORKERS_BUCKET);
    if let Err(error) = bucket.delete(worker.as_str()).await {
        tracing::debug!(%error, "presence was not withdrawn");
    }
}
