//! The skill of one attempt at work: until it returns, or must stop.

use std::sync::Arc;
use std::time::Duration;

use nova_wire::Payload;
use tokio::task::JoinHandle;

use crate::blocking::{join_text, panic_text};
use crate::judge::Ended;
use crate::lease::Lease;
use crate::rarely::rarely;
use crate::slots::Slot;
use crate::station::Station;
use crate::threads::Begun;
use crate::{Context, Next, Verdict};

/// How long an attempt that was dropped may take to be gone from its thread.
const GONE: Duration = Duration::from_millis(100);

type Running = JoinHandle<Result<Payload, Verdict>>;

impl Station {
    /// Runs the skill; what it gives back holds the slot until the outcome is written, if the slot is free of it by then.
    pub(crate) async fn execute(
        self: &Arc<Self>,
        payload: Payload,
        context: &Context,
        slot: Slot,
        lease: &Lease,
    ) -> (Ended, Option<Slot>) {
        let (middleware, skill) = (Arc::clone(&self.middleware), Arc::clone(&self.skill));
        let own = context.clone();
        let work = async move { Next::new(&middleware, &*skill).run(payload, own).await };
        let begun = self.floor.begin(work).await;
        nova_runtime::failpoint::hit("mid-work");
        let mut running = match begun {
            Begun::Done(Ok(returned)) => return (Ended::Returned(returned), Some(self.slots.end(slot))),
            Begun::Done(Err(panic)) => return (Ended::Panicked(panic_text(&*panic)), Some(self.slots.end(slot))),
            Begun::Running(running) => running,
        };
        let listening = self.cancels.listen(context.task());
        let ended = tokio::select! {
            biased;
            ended = &mut running => returned(ended),
            () = tokio::time::sleep_until(context.deadline()) => Ended::TimedOut,
            () = listening.heard() => Ended::Cancelled,
            () = lease.lost() => Ended::LeaseLost,
            () = self.hard.cancelled() => Ended::HandedBack,
        };
        drop(listening);
        let ended = match ended {
            Ended::Returned(_) | Ended::Panicked(_) => ended,
            early => {
                context.cancel().cancel();
                rarely(self.stop(early, &mut running)).await
            }
        };
        if running.is_finished() && !context.is_on_a_thread() {
            return (ended, Some(self.slots.end(slot)));
        }
        Arc::clone(self).guard_stuck(running, Some(context.clone()), slot);
        (ended, None)
    }

    /// Gives an attempt that must stop its grace. A result that comes in it counts where another may still be first:
    /// compare-and-set decides.
    async fn stop(&self, why: Ended, running: &mut Running) -> Ended {
        let late = tokio::time::timeout(self.cancel_grace, &mut *running).await;
        match (why, late) {
            (Ended::LeaseLost | Ended::HandedBack, Ok(Ok(Ok(result)))) => Ended::Returned(Ok(result)),
            (why, Ok(_)) => why,
            (why, Err(_)) => {
                running.abort();
                // An async skill is gone at its next await; a blocking one goes on.
                let _ = tokio::time::timeout(GONE, &mut *running).await;
                why
            }
        }
    }

    /// Keeps the slot of an attempt that does not stop, and says so.
    pub(crate) fn guard_stuck<T: Send + 'static>(
        self: Arc<Self>,
        running: JoinHandle<T>,
        context: Option<Context>,
        slot: Slot,
    ) {
        tokio::spawn(async move {
            self.meters.stuck.add(1.0);
            if !running.is_finished() {
                let _ = running.await;
            }
            if let Some(threads) = context.as_ref().map(Context::threads) {
                threads.close();
                threads.wait().await;
            }
            self.meters.stuck.add(-1.0);
            drop(slot);
        });
    }
}

fn returned(ended: Result<Result<Payload, Verdict>, tokio::task::JoinError>) -> Ended {
    match ended {
        Ok(returned) => Ended::Returned(returned),
        Err(error) => Ended::Panicked(join_text(error)),
    }
}
