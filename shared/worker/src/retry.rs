//! What is known of a task's attempts, kept under compare-and-set.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nova_broker::{BrokerError, BrokerRef, Expect, Message, PublishError};
use nova_types::{Skill, TaskId, UnixMillis};
use nova_wire::{AttemptRecord, BundleState, assets, subject};
use tokio::sync::Mutex;

use crate::rarely::rarely;

/// How often a write is tried again when another or an unknown receipt got in its way.
const TRIES: u32 = 5;

/// An attempt record that could not be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotKept {
    #[error("another attempt of task {task} has written its record")]
    Overtaken { task: TaskId },
    #[error("could not read the attempts of task {task}")]
    Read {
        task: TaskId,
        #[source]
        source: BrokerError,
    },
    #[error("could not write the attempts of task {task}")]
    Write {
        task: TaskId,
        #[source]
        source: PublishError,
    },
}

/// The attempts of one task; cheap to clone.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Known>);

struct Known {
    broker: BrokerRef,
    skill: Skill,
    task: TaskId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    record: AttemptRecord,
    sequence: u64,
    /// When the record was stored, as far as it was read back.
    at: Option<UnixMillis>,
    /// What the next write says is settled of a bundle, whatever else it changes.
    carried: Option<BundleState>,
}

impl State {
    fn replace(&mut self, known: Self) {
        let carried = self.carried.take();
        *self = Self { carried, ..known };
    }
}

impl Attempts {
    /// The attempts of a task that has none yet.
    pub(crate) fn none(broker: &BrokerRef, skill: &Skill, task: &TaskId) -> Self {
        let (broker, skill, task) = (Arc::clone(broker), skill.clone(), task.clone());
        Self(Arc::new(Known { broker, skill, task, state: Mutex::default() }))
    }

    /// Reads what is stored.
    pub(crate) async fn load(&self) -> Result<(), NotKept> {
        *self.0.state.lock().await = self.read().await?;
        Ok(())
    }

    async fn read(&self) -> Result<State, NotKept> {
        let subject = subject::attempt(&self.0.skill, &self.0.task);
        let stored = self.0.broker.last(assets::ATTEMPTS.to_owned(), subject).await;
        let stored = stored.map_err(|source| NotKept::Read { task: self.0.task.clone(), source })?;
        Ok(match stored {
            None => State::default(),
            Some(stored) => {
                // A record that cannot be read counts as none, but the next write still goes on top of it.
                let record = serde_json::from_slice(&stored.body).unwrap_or_else(|error| {
                    tracing::error!(task = %self.0.task, %error, "attempt record is unreadable");
                    AttemptRecord::default()
                });
                State { record, sequence: stored.sequence, at: Some(stored.at), carried: None }
            }
        })
    }

    /// What is known now.
    pub(crate) async fn record(&self) -> AttemptRecord {
        self.known(|state| state.record.clone()).await
    }

    /// Looks at what is known; only a write that is under way makes it wait.
    async fn known<T: Send>(&self, look: impl Fn(&State) -> T + Send + Sync) -> T {
        match self.0.state.try_lock() {
            Ok(state) => look(&state),
            Err(_) => rarely(async { look(&*self.0.state.lock().await) }).await,
        }
    }

    /// When what is known was stored; `None` when nothing is, or it was this attempt that stored it.
    pub(crate) async fn stored_at(&self) -> Option<UnixMillis> {
        self.known(|state| state.at).await
    }

    /// What an earlier attempt left.
    pub(crate) async fn checkpoint(&self) -> Option<Bytes> {
        let text = self.known(|state| state.record.checkpoint.clone()).await?;
        STANDARD.decode(text).ok().map(Into::into)
    }

    /// Changes the record, for the attempt numbered `attempt`.
    ///
    /// # Errors
    /// [`NotKept::Overtaken`] when that attempt has already failed, another has claimed it, or has settled items of a bundle
    /// that this one has not: this one is a zombie.
    pub(crate) async fn change(&self, attempt: u32, change: impl Fn(&mut AttemptRecord)) -> Result<(), NotKept> {
        let mut state = self.0.state.lock().await;
        let mut tries = 0;
        loop {
            if state.record.failed >= attempt {
                return Err(NotKept::Overtaken { task: self.0.task.clone() });
            }
            let mut wanted = state.record.clone();
            change(&mut wanted);
            if let Some(bundle) = &state.carried {
                wanted.bundle = Some(bundle.clone());
            }
            let body = serde_json::to_vec(&wanted).expect("a plain record always encodes");
            let message = Message::new(subject::attempt(&self.0.skill, &self.0.task), body);
            match self.0.broker.publish(message, Expect::Last(state.sequence)).await {
                Ok(receipt) => {
                    state.replace(State { record: wanted, sequence: receipt.sequence, at: None, carried: None });
                    return Ok(());
                }
                Err(PublishError::Conflict { .. } | PublishError::Unknown { .. }) if tries < TRIES => {
                    let stored = self.read().await?;
                    if stored.record == wanted {
                        state.replace(stored);
                        return Ok(());
                    }
                    if is_another(&stored.record, &state.record, &wanted, state.carried.as_ref()) {
                        return Err(NotKept::Overtaken { task: self.0.task.clone() });
                    }
                    state.replace(stored);
                    tries += 1;
                }
                Err(source) => return Err(NotKept::Write { task: self.0.task.clone(), source }),
            }
        }
    }

    /// Takes for known what could not be written, and may stand: nothing more is written on top of it.
    pub(crate) async fn presume(&self, change: impl FnOnce(&mut AttemptRecord)) {
        change(&mut self.0.state.lock().await.record);
    }

    /// Lets every write from now on say what is settled of a bundle.
    pub(crate) async fn carry(&self, bundle: BundleState) {
        self.0.state.lock().await.carried = Some(bundle);
    }

    /// Keeps what is settled of a bundle.
    pub(crate) async fn keep_bundle(&self, attempt: u32, bundle: BundleState) -> Result<(), NotKept> {
        self.carry(bundle).await;
        self.change(attempt, |_| {}).await
    }

    /// Keeps a checkpoint.
    pub(crate) async fn keep_checkpoint(&self, attempt: u32, bytes: &Bytes) -> Result<(), NotKept> {
        let text = STANDARD.encode(bytes);
        self.change(attempt, |record| record.checkpoint = Some(text.clone())).await
    }
}

/// Whether the record that stands in the way of the wanted one is that of another attempt: claimed by it, or with items of a
/// bundle settled that are not among those to be written. What is settled is never replaced by less.
fn is_another(
    stored: &AttemptRecord,
    known: &AttemptRecord,
    wanted: &AttemptRecord,
    carried: Option<&BundleState>,
) -> bool {
    let is_claimed = stored.claim.is_some() && stored.claim != wanted.claim && stored.claim != known.claim;
    let has_settled_more =
        stored.bundle.as_ref().zip(carried).is_some_and(|(stored, carried)| !carried.ended.hold(&stored.ended));
    is_claimed || has_settled_more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(items: &[u32]) -> BundleState {
        BundleState { ended: items.iter().copied().collect(), ..BundleState::default() }
    }

    #[track_caller]
    fn check(stored: Option<&[u32]>, carried: Option<&[u32]>, is_over: bool) {
        let none = AttemptRecord::default();
        let stored = AttemptRecord { bundle: stored.map(settled), ..AttemptRecord::default() };
        assert_eq!(is_another(&stored, &none, &none, carried.map(settled).as_ref()), is_over);
    }

    #[test]
    fn what_another_attempt_settled_is_not_replaced_by_less() {
        check(Some(&[0, 3]), Some(&[0, 1]), true);
        check(Some(&[0]), Some(&[]), true);
        // Its own, whose receipt was lost.
        check(Some(&[0, 1]), Some(&[0, 1, 2]), false);
        check(None, Some(&[0]), false);
        // Whoever writes nothing of the items keeps what stands.
        check(Some(&[0, 3]), None, false);
    }

    #[test]
    fn a_claim_of_another_is_the_end_of_an_attempt() {
        let none = AttemptRecord::default();
        let claimed = |nonce: &str| {
            let worker = nova_types::WorkerId::new("w").expect("an id");
            let claim = nova_wire::Claim { attempt: 1, worker, nonce: nonce.to_owned(), at: UnixMillis(1) };
            AttemptRecord { claim: Some(claim), ..AttemptRecord::default() }
        };
        assert!(is_another(&claimed("b"), &none, &claimed("a"), None));
        assert!(!is_another(&claimed("a"), &claimed("a"), &none, None));
    }
}
