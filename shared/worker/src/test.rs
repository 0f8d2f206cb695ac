//! Trying a skill without a broker.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use nova_types::TaskId;
use nova_wire::{ContentType, Headers, Payload};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::context::{About, ContextParts, Reporter};
use crate::skill::AnySkill;
use crate::{CheckpointError, Context, Skill, Verdict};

/// Runs one attempt of a skill on a JSON input, through the same decoding and encoding as a task.
///
/// # Errors
/// The skill's verdict; an input it cannot read is a reject, as with a task.
///
/// # Panics
/// When the skill's name is not a valid one.
pub async fn run(skill: &impl Skill, input: serde_json::Value) -> Result<serde_json::Value, Verdict> {
    Trial::default().run(skill, input).await
}

/// One attempt with its circumstances: which attempt it is, what was left to it, when it is cancelled.
#[derive(Clone)]
pub struct Trial {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How long it may run.
    pub timeout: Duration,
    /// Its position, when it is an item of a bundle.
    pub item: Option<u32>,
    /// What an earlier attempt left.
    pub checkpoint: Option<Bytes>,
    /// Cancels the attempt.
    pub cancel: CancellationToken,
    left: Arc<Mutex<Option<Bytes>>>,
    progress: Arc<Mutex<Vec<(f32, String)>>>,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            attempt: 1,
            timeout: Duration::from_secs(60),
            item: None,
            checkpoint: None,
            cancel: CancellationToken::new(),
            left: Arc::default(),
            progress: Arc::default(),
        }
    }
}

impl Trial {
    /// Runs the attempt.
    ///
    /// # Errors
    /// The skill's verdict.
    ///
    /// # Panics
    /// When the skill's name is not a valid one.
    pub async fn run(&self, skill: &impl Skill, input: serde_json::Value) -> Result<serde_json::Value, Verdict> {
        let payload = Payload::encode(ContentType::Json, &input).expect("a JSON value always encodes");
        let result = AnySkill::run(skill, payload, self.context(Skill::name(skill))).await?;
        Ok(result.to_json().expect("a skill answers in the content type it was asked in"))
    }

    /// What the attempt left for the next.
    #[must_use]
    pub fn left(&self) -> Option<Bytes> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it told of its progress.
    #[must_use]
    pub fn progress(&self) -> Vec<(f32, String)> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A context of these circumstances.
    ///
    /// # Panics
    /// When `skill` is not a valid name.
    #[must_use]
    pub fn context(&self, skill: &str) -> Context {
        Context::new(ContextParts {
            about: Arc::new(About {
                task: TaskId::from_sequence(1),
                skill: nova_types::Skill::new(skill).expect("a skill has a valid name"),
                headers: Headers::new(),
            }),
            attempt: self.attempt,
            deadline: Instant::now() + self.timeout,
            item: self.item,
            checkpoint: self.checkpoint.clone(),
            cancel: Some(self.cancel.clone()),
            reporter: Arc::new(Notebook { left: Arc::clone(&self.left), progress: Arc::clone(&self.progress) }),
        })
    }
}

struct Notebook {
    left: Arc<Mutex<Option<Bytes>>>,
    progress: Arc<Mutex<Vec<(f32, String)>>>,
}

impl Reporter for Notebook {
    fn progress(&self, _item: Option<u32>, fraction: f32, note: &str) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).push((fraction, note.to_owned()));
    }

    fn save_checkpoint(&self, _item: Option<u32>, bytes: Bytes) -> BoxFuture<'_, Result<(), CheckpointError>> {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
        Box::pin(std::future::ready(Ok(())))
    }
}
