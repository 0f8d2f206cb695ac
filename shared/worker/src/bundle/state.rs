//! Where what is settled of a bundle is kept between attempts: in its attempt record, or beside it where it is large.

use nova_broker::BlobError;
use nova_types::codes;
use nova_wire::{BlobRef, BundleState, ContentType, ErrorBody, Settled, limits};

use crate::case::Case;
use crate::end::{Ending, STORE_PAUSE};
use crate::retry::NotKept;
use crate::station::Station;

/// What is settled was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSaved {
    #[error(transparent)]
    Kept(#[from] NotKept),
    #[error("could not store what is settled of a bundle")]
    Store(#[from] BlobError),
}

impl Station {
    /// What earlier attempts settled; the task is put off where that cannot be read now.
    pub(super) async fn settled_before(&self, case: &Case) -> Option<Settled> {
        let Some(state) = case.attempts.record().await.bundle else { return Some(Settled::default()) };
        let blob = state.blob.as_deref().map(BlobRef::parse);
        let stored = match blob {
            None => None,
            Some(Ok(blob)) => match self.blobs.get(&blob).await {
                Ok(bytes) => Some(bytes),
                Err(error) if error.is_transient() => {
                    tracing::warn!(task = %case.task.id, %error, "what is settled of a bundle cannot be read now");
                    self.put_off(&case.delivery.token).await;
                    return None;
                }
                // It was kept for days. Done again is better than lost.
                Err(error) => return Some(self.forget(case, &error)),
            },
            Some(Err(error)) => return Some(self.forget(case, &error)),
        };
        let read = Settled::read(&state, case.task.payload.content_type, stored);
        let mut settled = match read {
            Ok(settled) => settled,
            Err(error) => return Some(self.forget(case, &error)),
        };
        let count = case.task.options.bundle.unwrap_or(0);
        settled.ended.retain(|item, _| *item < count);
        Some(settled)
    }

    fn forget(&self, case: &Case, error: &(dyn std::error::Error + 'static)) -> Settled {
        tracing::error!(task = %case.task.id, error, "what was settled of a bundle is lost: all of it is run again");
        Settled::default()
    }

    /// What is settled as a record keeps it.
    pub(super) async fn bundle_state(
        &self,
        settled: &Settled,
        content_type: ContentType,
    ) -> Result<BundleState, BlobError> {
        let ends = settled.ends(content_type).bytes;
        let state = settled.to_state(content_type);
        if ends.len() <= limits::CHECKPOINT_BYTES {
            return Ok(state);
        }
        // Named like a result, and kept as long: each write has one of its own.
        let name = format!("out-{}-{}-{:08x}", self.name, self.nonces.next(), fastrand::u32(..));
        let blob = self.blobs.put(&name, &ends).await?;
        Ok(BundleState { ends: String::new(), blob: Some(blob.to_header()), ..state })
    }

    /// Lets the next write of the task's record carry what is settled. Not, where the process gives up before it is stored,
    /// or it cannot be: then nothing more is to be done with the task.
    pub(super) async fn carry(&self, case: &Case, settled: &Settled) -> bool {
        if settled.is_empty() {
            return true;
        }
        loop {
            match self.bundle_state(settled, case.task.payload.content_type).await {
                Ok(state) => {
                    case.attempts.carry(state).await;
                    return true;
                }
                Err(error @ BlobError::Store { .. }) => {
                    // Held like an outcome that has no room: to let it go would be to do the work again.
                    self.meters.store_full.inc();
                    tracing::error!(task = %case.task.id, %error, "what is settled of a bundle cannot be stored, holding the task");
                }
                Err(error) => {
                    self.end(case, Ending::dead(ErrorBody::new(codes::BAD_RESULT, &error.to_string()))).await;
                    return false;
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = self.hard.cancelled() => return false,
            }
        }
    }
}
