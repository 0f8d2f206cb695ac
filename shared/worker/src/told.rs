//! Tells the progress of an attempt and keeps its checkpoints.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use nova_wire::EventKind;
use tokio::time::Instant;

use crate::CheckpointError;
use crate::case::Case;
use crate::context::{About, Reporter};
use crate::retry::{Attempts, NotKept};
use crate::station::Station;

/// How often progress is told at most.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Where progress and checkpoints of one attempt go.
pub(crate) struct Told {
    station: Arc<Station>,
    about: Arc<About>,
    attempt: u32,
    attempts: Attempts,
    last: Mutex<Option<Instant>>,
}

impl Told {
    pub(crate) fn new(station: Arc<Station>, about: Arc<About>, case: &Case) -> Self {
        Self { station, about, attempt: case.attempt, attempts: case.attempts.clone(), last: Mutex::default() }
    }
}

impl Reporter for Told {
    fn progress(&self, _item: Option<u32>, fraction: f32, note: &str) {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if fraction < 1.0 && last.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        let events = self.station.events.clone();
        let mut event = events.event(EventKind::Progress, &self.about.skill, &self.about.task, self.attempt);
        event.fraction = Some(fraction);
        event.message = Some(note.to_owned()).filter(|note| !note.is_empty());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { events.tell(event).await });
        }
    }

    fn save_checkpoint(&self, _item: Option<u32>, bytes: Bytes) -> BoxFuture<'_, Result<(), CheckpointError>> {
        Box::pin(async move {
            self.attempts.keep_checkpoint(self.attempt, &bytes).await.map_err(|error: NotKept| {
                CheckpointError::NotStored { task: self.about.task.clone(), source: Box::new(error) }
            })
        })
    }
}
