//! Workflow runs: tasks of the skill `nova-run`, worked by the coordinators.
//!
//! Any coordinator moves any run: what is decided stands by compare-and-set on the run's history, and whoever carries it
//! out acks what led to it only then. The decisions themselves are `nova-engine`'s.

mod actor;
mod batch;
mod definitions;
mod early;
mod effects;
mod end;
mod fold;
pub(crate) mod intake;
mod mail;
mod marks;
mod place;
pub(crate) mod retention;
mod runs;
mod shared;
pub(crate) mod shelf;
mod slots;
mod start;
mod state;
mod store;

use std::sync::Arc;

use nova_broker::Delivery;
use nova_runtime::Shutdown;
use nova_types::{Priority, run_skill};
use nova_wire::assets;
use tokio::task::JoinSet;

pub(crate) use runs::Runs;
pub use shared::Options;
pub(crate) use shared::Shared;

use crate::consume::{self, Queue};

/// How many starts of one priority, and orders, are handled at once.
const STARTS: usize = 512;
/// How many outcomes of one partition are handled at once: several transitions' worth.
const OUTCOMES: usize = 4096;

/// The part.
pub(crate) struct Service {
    pub(crate) runs: Arc<Runs>,
}

impl Service {
    /// Runs until told to stop; what is under way is finished.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let mut pulls = JoinSet::new();
        for priority in Priority::ALL {
            let queue = Queue::new(assets::tasks_stream(&run_skill()), assets::consumer(priority));
            self.pull(&mut pulls, shutdown, Queue { at_once: STARTS, ..queue }, |runs, delivery| async move {
                start::handle(&runs, delivery).await
            });
        }
        for partition in 0..self.runs.shared.partitions {
            let queue = Queue::new(assets::OUTCOMES, assets::run_consumer(partition));
            self.pull(&mut pulls, shutdown, Queue { at_once: OUTCOMES, ..queue }, |runs, delivery| async move {
                intake::outcome(&runs, delivery).await
            });
        }
        let queue = Queue::new(assets::RUNS, assets::ORDER_CONSUMER);
        self.pull(&mut pulls, shutdown, Queue { at_once: STARTS, ..queue }, |runs, delivery| async move {
            intake::order(&runs, delivery).await
        });
        while let Some(ended) = pulls.join_next().await {
            // One that panicked must not leave the others to look as if all were well.
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.runs.ended().await;
    }

    fn pull<F>(
        &self,
        pulls: &mut JoinSet<()>,
        shutdown: &Shutdown,
        queue: Queue,
        handle: impl Fn(Arc<Runs>, Delivery) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = nova_broker::Settle> + Send,
    {
        let (runs, stop) = (Arc::clone(&self.runs), shutdown.token());
        pulls.spawn(async move {
            let broker = Arc::clone(&runs.shared.parts.broker);
            consume::run(&broker, queue, &stop, |delivery| handle(Arc::clone(&runs), delivery)).await;
        });
    }
}
