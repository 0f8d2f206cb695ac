//! What an attempt knows and can tell while it runs.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use nova_types::{Skill, TaskId, Usage};
use nova_wire::{Headers, limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A checkpoint that was not kept.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is larger than 128 KiB: keep large state elsewhere and the way to it in the checkpoint.
    #[error("checkpoint of {bytes} bytes is larger than {}", limits::CHECKPOINT_BYTES)]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Another attempt of the task has begun, or the broker did not take it.
    #[error("checkpoint of task {task} was not stored")]
    NotStored {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where progress and checkpoints go.
pub(crate) trait Reporter: Send + Sync {
    fn progress(&self, item: Option<u32>, fraction: f32, note: &str);
    fn save_checkpoint(&self, item: Option<u32>, bytes: Bytes) -> BoxFuture<'_, Result<(), CheckpointError>>;
}

/// What all attempts at hand of one delivery have in common.
pub(crate) struct About {
    pub(crate) task: TaskId,
    pub(crate) skill: Skill,
    pub(crate) headers: Headers,
}

/// The attempt at hand; cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    about: Arc<About>,
    attempt: u32,
    deadline: Instant,
    item: Option<u32>,
    checkpoint: Option<Bytes>,
    /// Made when someone looks for it: nearly all attempts end without.
    cancel: OnceLock<CancellationToken>,
    usage: Mutex<Usage>,
    threads: OnceLock<TaskTracker>,
    reporter: Arc<dyn Reporter>,
}

/// What a context is made of.
pub(crate) struct ContextParts {
    pub(crate) about: Arc<About>,
    pub(crate) attempt: u32,
    pub(crate) deadline: Instant,
    pub(crate) item: Option<u32>,
    pub(crate) checkpoint: Option<Bytes>,
    /// One that others hold, too.
    pub(crate) cancel: Option<CancellationToken>,
    pub(crate) reporter: Arc<dyn Reporter>,
}

impl Context {
    pub(crate) fn new(parts: ContextParts) -> Self {
        let ContextParts { about, attempt, deadline, item, checkpoint, cancel, reporter } = parts;
        let cancel = cancel.map_or_else(OnceLock::new, OnceLock::from);
        let (usage, threads) = (Mutex::default(), OnceLock::new());
        let inner = Inner { about, attempt, deadline, item, checkpoint, cancel, usage, threads, reporter };
        Self { inner: Arc::new(inner) }
    }

    /// The task's id. The items of a bundle share it: what makes a side effect safe to repeat is the
    /// [`idempotency_key`](Self::idempotency_key).
    #[must_use]
    pub fn task(&self) -> &TaskId {
        &self.inner.about.task
    }

    /// The item's position in its bundle, from 0, when the task is one; it is the same in each attempt.
    #[must_use]
    pub fn item(&self) -> Option<u32> {
        self.inner.item
    }

    /// What tells this piece of work from every other of its skill, and is the same in each attempt: the task's id, in a
    /// bundle with the item's position, `<scope>.<name>/<item>`.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        match self.inner.item {
            None => self.inner.about.task.to_string(),
            Some(item) => format!("{}/{item}", self.inner.about.task),
        }
    }

    /// The skill it was asked of.
    #[must_use]
    pub fn skill(&self) -> &Skill {
        &self.inner.about.skill
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// When the attempt is stopped: its timeout or the task's deadline, whichever comes first.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// A header of the task.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.about.headers.get(name)
    }

    /// Resolves when the attempt must stop: it was cancelled, ran too long, or lost its lease.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn cancelled(&self) {
        self.cancel().cancelled().await;
    }

    /// Whether the attempt must stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.get().is_some_and(CancellationToken::is_cancelled)
    }

    /// Tells how far the attempt is, 0 to 1; told on at most four times a second.
    pub fn progress(&self, fraction: f32, note: &str) {
        let note = limits::clip(note, limits::MESSAGE_BYTES);
        self.inner.reporter.progress(self.inner.item, fraction.clamp(0.0, 1.0), note);
    }

    /// What an earlier attempt left.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Bytes> {
        self.inner.checkpoint.clone()
    }

    /// Leaves something for the next attempt, should there be one; stored when this returns. The items of a bundle share the
    /// room there is.
    ///
    /// # Errors
    /// [`CheckpointError`]; when another attempt has begun, stop.
    pub async fn save_checkpoint(&self, bytes: impl Into<Bytes>) -> Result<(), CheckpointError> {
        let bytes = bytes.into();
        if bytes.len() > limits::CHECKPOINT_BYTES {
            return Err(CheckpointError::TooLarge { bytes: bytes.len() });
        }
        self.inner.reporter.save_checkpoint(self.inner.item, bytes).await
    }

    /// Says what the attempt used, for its outcome: processor time and the largest resident memory in bytes.
    pub fn report_usage(&self, cpu: Duration, rss_bytes: u64) {
        let mut usage = self.inner.usage.lock().unwrap_or_else(PoisonError::into_inner);
        *usage = Usage { cpu: Some(cpu), rss_bytes: Some(rss_bytes) };
    }

    /// What tells the attempt to stop.
    pub(crate) fn cancel(&self) -> &CancellationToken {
        self.inner.cancel.get_or_init(CancellationToken::new)
    }

    /// The threads that this attempt blocks, which cannot be stopped from outside.
    pub(crate) fn threads(&self) -> &TaskTracker {
        self.inner.threads.get_or_init(TaskTracker::new)
    }

    /// Whether a thread is still at work for this attempt.
    pub(crate) fn is_on_a_thread(&self) -> bool {
        self.inner.threads.get().is_some_and(|threads| !threads.is_empty())
    }

    pub(crate) fn usage(&self) -> Usage {
        *self.inner.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
