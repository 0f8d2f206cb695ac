//! What is known of a task's attempts, kept under compare-and-set.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nova_broker::{BrokerError, BrokerRef, Expect, Message, PublishError};
use nova_types::{Skill, TaskId, UnixMillis};
use nova_wire::{AttemptRecord, assets, subject};
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
}

impl Attempts {
    /// The attempts of a task that has none yet.
    pub(crate) fn none(broker: &BrokerRef, skill: &Skill, task: &TaskId) -> Self {
        let (broker, skill, task) = (Arc::clone(broker), skill.clone(), task.clone());
        Self(Arc::new(Known { broker, skill, task, state: Mutex::default() }))
    }

    /// Whose they are.
    pub(crate) fn task(&self) -> &TaskId {
        &self.0.task
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
                State { record, sequence: stored.sequence, at: Some(stored.at) }
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
    /// [`NotKept::Overtaken`] when that attempt has already failed, or another has claimed it: this one is a zombie.
    pub(crate) async fn change(&self, attempt: u32, change: impl Fn(&mut AttemptRecord)) -> Result<(), NotKept> {
        let mut state = self.0.state.lock().await;
        let mut tries = 0;
        loop {
            if state.record.failed >= attempt {
                return Err(NotKept::Overtaken { task: self.0.task.clone() });
            }
            let mut wanted = state.record.clone();
            change(&mut wanted);
            let body = serde_json::to_vec(&wanted).expect("a plain record always encodes");
            let message = Message::new(subject::attempt(&self.0.skill, &self.0.task), body);
            match self.0.broker.publish(message, Expect::Last(state.sequence)).await {
                Ok(receipt) => {
                    *state = State { record: wanted, sequence: receipt.sequence, at: None };
                    return Ok(());
                }
                Err(PublishError::Conflict { .. } | PublishError::Unknown { .. }) if tries < TRIES => {
                    let stored = self.read().await?;
                    if stored.record == wanted {
                        *state = stored;
                        return Ok(());
                    }
                    let claim = &stored.record.claim;
                    if claim.is_some() && *claim != wanted.claim && *claim != state.record.claim {
                        return Err(NotKept::Overtaken { task: self.0.task.clone() });
                    }
                    *state = stored;
                    tries += 1;
                }
                Err(source) => return Err(NotKept::Write { task: self.0.task.clone(), source }),
            }
        }
    }

    /// Keeps a checkpoint.
    pub(crate) async fn keep_checkpoint(&self, attempt: u32, bytes: &Bytes) -> Result<(), NotKept> {
        let text = STANDARD.encode(bytes);
        self.change(attempt, |record| record.checkpoint = Some(text.clone())).await
    }
}
