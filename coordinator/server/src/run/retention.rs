//! What the leader does for runs: deletes those that ended long ago, and puts the room of workflows right.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BrokerError, Purge};
use nova_runtime::{Metric, Shutdown};
use nova_types::{RunId, RunStatus};
use nova_wire::{RunSummary, assets, name, subject};
use nova_workflow::Event;
use tokio::time::Instant;

use super::effects::Halted;
use super::mail::{Letter, News};
use super::runs::Runs;
use super::store::{self, StoreError};
use crate::leader::{self, Leadership};

/// How many messages of old history one round looks at.
const LOOKED_AT: usize = 2000;
/// How many runs one round deletes: a purge by subject is dear.
const DELETED: usize = 200;

/// How long nothing more is looked at once all that is old was: runs that are open are among it each time.
const REST: Duration = Duration::from_secs(600);

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pause between rounds. Default 5 s.
    pub every: Duration,
    /// How long a run is kept once it has ended. Default 30 days.
    pub keep: Duration,
}

/// What a round stumbled over; the next one begins anew.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("could not look at old runs")]
    Look(#[from] BrokerError),
    #[error("could not look at a run")]
    Run(#[from] StoreError),
    #[error("could not put the room of a workflow right")]
    Room(#[from] Halted),
}

/// How far the walk over old history has come.
struct Walk {
    from: u64,
    rest_until: Option<Instant>,
}

/// The part.
pub(crate) struct Service {
    pub(crate) runs: Arc<Runs>,
    pub(crate) options: Options,
    pub(crate) leadership: Leadership,
}

impl Service {
    /// Works while it leads, until told to stop.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let mut rounds = self.leadership.rounds(self.options.every, shutdown.token());
        let mut walk = Walk { from: 1, rest_until: None };
        while let Some(known) = rounds.next().await {
            if known == leader::Memory::Gone {
                walk = Walk { from: 1, rest_until: None };
            }
            if let Err(error) = self.round(&mut walk).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "runs were not looked through");
            }
        }
    }

    async fn round(&self, walk: &mut Walk) -> Result<(), Error> {
        self.delete_old(walk).await?;
        self.put_room_right().await
    }

    /// Walks over history from its oldest message on, as far as it is old.
    async fn delete_old(&self, walk: &mut Walk) -> Result<(), Error> {
        let parts = &self.runs.shared.parts;
        if walk.rest_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let mut deleted = 0;
        for _ in 0..LOOKED_AT {
            let found = parts.broker.inspect(assets::RUNS.to_owned(), subject::ALL_RUNS.to_owned(), walk.from).await?;
            let Some(found) = found.filter(|found| parts.clock.now().since(found.stored.at) > self.options.keep) else {
                *walk = Walk { from: 1, rest_until: Some(Instant::now() + REST.min(self.options.keep / 10)) };
                return Ok(());
            };
            walk.from = found.stored.sequence + 1;
            let Some((_, run)) = subject::parse_run(&found.stored.subject) else { continue };
            if self.delete(run).await? {
                deleted += 1;
                if deleted >= DELETED {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Deletes a run that ended long ago; says whether it did. Its objects go with the next look at the object store.
    async fn delete(&self, run: RunId) -> Result<bool, Error> {
        let parts = &self.runs.shared.parts;
        let place = self.runs.shared.place(run);
        let Some(last) = store::last(parts, &place).await? else { return Ok(false) };
        let Some(summary) = last.headers.get(name::TRANSITION).and_then(|text| RunSummary::parse(text).ok()) else {
            return Ok(false);
        };
        if !summary.status.is_ended() || parts.clock.now().since(last.at) <= self.options.keep {
            return Ok(false);
        }
        for gone in [place.snapshot(), subject::orders_of(&summary.task), place.history()] {
            parts.broker.purge(assets::RUNS.to_owned(), Purge::Subject(gone)).await?;
        }
        self.runs.shared.count(Metric::RunsDeleted);
        tracing::info!(run = %place.run, "old run deleted");
        Ok(true)
    }

    /// Frees the room of runs that ended, and tells those that have room and do not know it.
    async fn put_room_right(&self) -> Result<(), Error> {
        let shared = &self.runs.shared;
        for (workflow, held) in shared.slots.all().await? {
            for run in held {
                match self.status(&run).await? {
                    Some(RunStatus::Queued) => {
                        self.runs.post(&run, Letter::own(News::Event(Box::new(Event::Admitted)))).await;
                    }
                    Some(status) if status.is_ended() => shared.slots.release(&workflow, &run).await?,
                    // One that is just about to begin looks like one that never did; only its start can tell.
                    _ => {}
                }
            }
            for run in shared.slots.waiting(&workflow).await? {
                if self.status(&run).await?.is_some_and(RunStatus::is_ended) {
                    shared.slots.release(&workflow, &run).await?;
                }
            }
            self.runs.hand_on(&workflow).await;
        }
        Ok(())
    }

    async fn status(&self, run: &RunId) -> Result<Option<RunStatus>, Error> {
        let place = self.runs.shared.place(run.clone());
        let last = store::last(&self.runs.shared.parts, &place).await?;
        let summary = last.and_then(|last| RunSummary::parse(last.headers.get(name::TRANSITION)?).ok());
        Ok(summary.map(|summary| summary.status))
    }
}
