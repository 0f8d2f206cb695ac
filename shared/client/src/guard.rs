//! Keys that hold a task: submitted once for a time, or at most one at a time.
//!
//! The key's record is written under compare-and-set before the task is sent and says so once it is in its queue. Who
//! finds a record whose task may not have arrived sends that very task again: soon after under the same dedupe key, later
//! as a generation, before which workers look for an outcome.

use std::time::Duration;

use nova_broker::{BrokerError, Bucket, Expect, Message, PublishError, Receipt};
use nova_types::{Generation, Outcome, TaskId, UnixMillis};
use nova_wire::{Ended, KeyRecord, Sent, SubmitKey, Task, TaskKey, Unsent, assets, name, subject};
use tokio::time::Instant;

use crate::submit::Prepared;
use crate::{Client, Submit, SubmitError, Submitted, TaskOutcome, WaitError};

mod standing;

/// How long after a record was written its task may be sent under its first dedupe key: with a margin for what is on its
/// way, inside the 10 s in which the broker drops a copy.
const SAME_SEND: Duration = Duration::from_secs(7);
/// The dedupe generation of a task that is sent again later. Those that Nova's own republishing gives are sequences of
/// streams, far above it.
const SENT_AGAIN: Generation = Generation(1);
/// How often a record that others write at the same time is tried.
const ROUNDS: usize = 32;
/// For how long a unique task that has not ended holds its key.
const UNIQUE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a task's key promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// One task for this key, however often it is submitted, until `ttl` is over.
    Once {
        /// The key, 1 to 256 bytes, inside the skill and the task's scope.
        key: String,
        /// For how long it is remembered, counted from the last thing noted of it.
        ttl: Duration,
    },
    /// At most one task of this key that waits or runs.
    Unique {
        /// The key, 1 to 256 bytes, inside the skill and the task's scope.
        key: String,
    },
}

/// What is known of the task that has a key already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits or runs.
    Open,
    /// It has ended; its result is fetched by [`Client::result`].
    Ended(Box<Outcome>),
    /// It has ended, and its outcome is not kept any more. How it ended is told where somebody saw it.
    Forgotten(Option<Ended>),
    /// No outcome of it is kept: it ended and is forgotten, or has waited longer than outcomes are kept. Only who may
    /// look at the queue can tell.
    Unclear,
}

/// What went wrong with the record of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// It could not be read.
    #[error("the record could not be read")]
    Read(#[from] BrokerError),
    /// It could not be written.
    #[error("the record could not be written")]
    Write(#[from] PublishError),
    /// It is not what the contract says.
    #[error("the record, or that of its task, cannot be understood")]
    Garbled,
}

impl KeyStoreError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read(source) => source.is_transient(),
            // Others were faster every time: they will be done soon.
            Self::Write(source) => source.is_transient() || matches!(source, PublishError::Conflict { .. }),
            Self::Garbled => false,
        }
    }
}

impl From<WaitError> for KeyStoreError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Broker { source, .. } => Self::Read(source),
            _ => Self::Garbled,
        }
    }
}

impl Guard {
    fn text(&self) -> &str {
        match self {
            Self::Once { key, .. } | Self::Unique { key } => key,
        }
    }

    fn ttl(&self) -> Duration {
        match self {
            Self::Once { ttl, .. } => *ttl,
            Self::Unique { .. } => UNIQUE_FOR,
        }
    }
}

/// One key at hand.
struct Slot<'a> {
    bucket: Bucket,
    key: String,
    guard: &'a Guard,
}

/// A record as it stands.
struct Held {
    record: KeyRecord,
    at: UnixMillis,
    expect: Expect,
}

impl Client {
    /// Submits a task that has a key, unless another has the key already.
    pub(crate) async fn submit_guarded(&self, mut submit: Submit, guard: &Guard) -> Result<Submitted, SubmitError> {
        let (task, slot) = self.slot(&submit, guard)?;
        // Named once: whoever asks for the record again knows its own task.
        submit.id = task.clone().into();
        let input = KeyRecord::fingerprint(&submit.payload);
        let mut prepared: Option<Prepared> = None;
        let mut written: Option<Instant> = None;
        for round in 0..ROUNDS {
            let (held, expect) = self.read(&slot, &task).await?;
            if let Some(mut held) = held {
                if let Guard::Once { key, .. } = guard
                    && held.record.input != input
                {
                    return Err(SubmitError::Conflict { task: held.record.task, key: key.clone() });
                }
                let is_ours = held.record.task == task;
                if let (true, Some(since)) = (is_ours, written) {
                    // Its receipt was lost, not the record.
                    return self.send_held(&slot, &submit, held, Some(since)).await;
                }
                if held.record.unsent.is_some() {
                    let Some(touched) = self.touch(&slot, held).await? else { continue };
                    held = touched;
                    let sent = self.send_held(&slot, &submit, held, None).await?;
                    return Ok(Submitted { existing: Some(Standing::Open), ..sent });
                }
                let standing = self.standing(&submit.skill, &held).await?;
                let is_over = matches!(standing, Standing::Ended(_) | Standing::Forgotten(_));
                // The same id cannot run again: whoever asks for it means the task that ended.
                if !is_over || is_ours || matches!(guard, Guard::Once { .. }) {
                    return Ok(self.existing(&slot, &submit, held, standing).await);
                }
            }
            let ready = match prepared.take() {
                Some(ready) => ready,
                None => self.prepare(submit.clone()).await?,
            };
            let record = KeyRecord {
                task: task.clone(),
                input: input.clone(),
                outcome_kept_secs: self.kept(&submit).as_secs(),
                unsent: Some(Unsent::new(ready.priority, &ready.headers, &ready.body)),
                sent: None,
                ended: None,
            };
            let began = Instant::now();
            match slot.put(&record, expect).await {
                Ok(receipt) => {
                    let held = Held { record, at: UnixMillis(0), expect: Expect::Last(receipt.sequence) };
                    return self.send_held(&slot, &submit, held, Some(began)).await;
                }
                // Another was first: it has the key, or had it.
                Err(PublishError::Conflict { .. }) => tokio::time::sleep(pause(round)).await,
                Err(PublishError::Unknown { .. }) if round < 2 => written = Some(written.unwrap_or(began)),
                Err(source) => return Err(SubmitError::key(&task, source.into())),
            }
            prepared = Some(ready);
        }
        let busy = PublishError::Conflict { subject: subject::bucket_key(assets::KEYS_BUCKET, &slot.key) };
        Err(SubmitError::key(&task, busy.into()))
    }

    fn slot<'a>(&self, submit: &Submit, guard: &'a Guard) -> Result<(TaskId, Slot<'a>), SubmitError> {
        let task = self.checked_name(submit)?;
        let bad = |what: String| SubmitError::BadTask { task: task.clone(), what };
        let key = SubmitKey::new(guard.text()).map_err(|error| bad(error.to_string()))?;
        if guard.ttl() < Duration::from_secs(60) {
            return Err(bad("a key is kept for a minute at least".to_owned()));
        }
        let key = match guard {
            Guard::Once { .. } => key.once(&submit.skill, task.scope()),
            Guard::Unique { .. } => key.unique(&submit.skill, task.scope()),
        };
        let bucket = Bucket::new(self.inner.broker.clone(), assets::KEYS_BUCKET);
        Ok((task, Slot { bucket, key, guard }))
    }

    /// For how long the outcome of this task is kept.
    fn kept(&self, submit: &Submit) -> Duration {
        let usual = self.inner.options.outcomes_kept;
        submit.options.outcome_ttl.map_or(usual, |asked| asked.min(usual))
    }

    async fn read(&self, slot: &Slot<'_>, task: &TaskId) -> Result<(Option<Held>, Expect), SubmitError> {
        let failed = |source| SubmitError::key(task, source);
        let found = slot.bucket.slot(&slot.key).await.map_err(|error| failed(error.into()))?;
        let Some((value, at)) = found.held else { return Ok((None, found.expect)) };
        let record = serde_json::from_slice(&value).map_err(|_| failed(KeyStoreError::Garbled))?;
        Ok((Some(Held { record, at, expect: found.expect }), found.expect))
    }

    /// Writes a record again that somebody left behind, and so learns by the broker's clock how old it is. `None` when
    /// another was faster.
    async fn touch(&self, slot: &Slot<'_>, mut held: Held) -> Result<Option<Held>, SubmitError> {
        let task = held.record.task.clone();
        if let Some(unsent) = &mut held.record.unsent {
            unsent.since.get_or_insert(held.at);
        }
        match slot.put(&held.record, held.expect).await {
            Ok(_) => {
                let (now, _) = self.read(slot, &task).await?;
                Ok(now.filter(|now| now.record.task == task && now.record.unsent.is_some()))
            }
            Err(PublishError::Conflict { .. }) => Ok(None),
            Err(source) => Err(SubmitError::key(&task, source.into())),
        }
    }

    /// Sends the task of a record and notes that it was taken; `written` is when this call wrote the record.
    async fn send_held(
        &self,
        slot: &Slot<'_>,
        submit: &Submit,
        held: Held,
        written: Option<Instant>,
    ) -> Result<Submitted, SubmitError> {
        let task = held.record.task.clone();
        let garbled = || SubmitError::key(&task, KeyStoreError::Garbled);
        let unsent = held.record.unsent.as_ref().ok_or_else(garbled)?;
        let (headers, body) = (unsent.headers(), unsent.body().ok_or_else(garbled)?);
        let age_before = unsent.since.map_or(Duration::ZERO, |since| held.at.since(since));
        let key = headers.get(name::KEY).map(TaskKey::new).transpose().map_err(|_| garbled())?;
        let subject = subject::task_of(&submit.skill, unsent.priority, key.as_ref());
        let began = Instant::now();
        let tries = self.inner.options.receipt_tries.max(1);
        let mut sent = 1;
        let receipt: Receipt = loop {
            let age = age_before + written.unwrap_or(began).elapsed();
            let named = if age < SAME_SEND {
                headers.clone().with(name::MSG_ID, task.to_string())
            } else {
                Task::republished_headers(&headers, &task, SENT_AGAIN)
            };
            let message = Message::new(&*subject, body.clone()).with_headers(named);
            match self.inner.broker.publish(message, Expect::Any).await {
                Ok(receipt) => break receipt,
                Err(PublishError::Unknown { .. }) if sent < tries => sent += 1,
                Err(error) => {
                    // Surely not taken: nobody shall find a task that its submitter was told of in vain.
                    let is_sure = sent == 1 && !matches!(error, PublishError::Unknown { .. });
                    if is_sure && let Err(error) = slot.bucket.remove(&slot.key, held.expect).await {
                        tracing::warn!(%task, %error, "the key of a refused task could not be freed");
                    }
                    if sent > 1 {
                        // An earlier try may be stored, whatever is said of the last one.
                        let skill = submit.skill.clone();
                        return Err(SubmitError::NoReceipt { task, skill, source: Box::new(error) });
                    }
                    return Err(self.explain_refusal(task, submit.skill.clone(), &headers, error).await);
                }
            }
        };
        let (stream, keyed) = (receipt.stream.clone(), key.is_some());
        let sent = Sent { stream, sequence: receipt.sequence, priority: unsent.priority, keyed };
        let record = KeyRecord { unsent: None, sent: Some(sent), ..held.record };
        // Not in the way of the caller: who finds the record unmarked sends the task again, and the copy is dropped.
        if let Err(error) = slot.put(&record, held.expect).await {
            tracing::debug!(%task, %error, "a key was not marked as sent");
        }
        Ok(Submitted {
            task,
            skill: submit.skill.clone(),
            stream: receipt.stream,
            sequence: receipt.sequence,
            is_duplicate: receipt.is_duplicate && written.is_none(),
            existing: None,
        })
    }

    /// Answers with the task that has the key, and notes its end for when the outcome is forgotten.
    async fn existing(&self, slot: &Slot<'_>, submit: &Submit, held: Held, standing: Standing) -> Submitted {
        if let (Standing::Ended(outcome), None) = (&standing, held.record.ended) {
            let ended = Some(Ended { kind: outcome.kind, finished: outcome.finished });
            let record = KeyRecord { ended, ..held.record.clone() };
            if let Err(error) = slot.put(&record, held.expect).await {
                tracing::debug!(task = %held.record.task, %error, "the end of a task was not noted at its key");
            }
        }
        let (stream, sequence) = held.record.sent.map(|sent| (sent.stream, sent.sequence)).unwrap_or_default();
        Submitted {
            task: held.record.task,
            skill: submit.skill.clone(),
            stream,
            sequence,
            is_duplicate: false,
            existing: Some(standing),
        }
    }

    /// Submits a task that has a key, or finds the one that has it, and waits for its outcome.
    pub(crate) async fn submit_guarded_and_wait(
        &self,
        submit: Submit,
        guard: &Guard,
        timeout: Duration,
    ) -> Result<TaskOutcome, WaitError> {
        let began = Instant::now();
        let submitted = self.submit_guarded(submit.clone(), guard).await.map_err(WaitError::Submit)?;
        let (task, skill) = (submitted.task, submitted.skill);
        match submitted.existing {
            Some(Standing::Forgotten(ended)) => return Err(WaitError::Forgotten { task, skill, ended }),
            Some(Standing::Unclear) => return Err(WaitError::Forgotten { task, skill, ended: None }),
            Some(Standing::Ended(_)) => return self.wait(&skill, &task, timeout).await,
            Some(Standing::Open) | None => {}
        }
        let ended = self.wait(&skill, &task, timeout.saturating_sub(began.elapsed())).await?;
        self.note_end(&submit, guard, &ended.outcome).await;
        Ok(ended)
    }

    /// Notes at its key how a task ended that was waited for; what fails here is only told less well later.
    async fn note_end(&self, submit: &Submit, guard: &Guard, outcome: &Outcome) {
        let noted = async {
            let (_, slot) = self.slot(submit, guard)?;
            let (Some(held), _) = self.read(&slot, &outcome.task).await? else { return Ok(()) };
            if held.record.task == outcome.task && held.record.unsent.is_none() {
                self.existing(&slot, submit, held, Standing::Ended(Box::new(outcome.clone()))).await;
            }
            Ok::<(), SubmitError>(())
        };
        if let Err(error) = noted.await {
            tracing::debug!(task = %outcome.task, %error, "the end of a task was not noted at its key");
        }
    }
}

impl Slot<'_> {
    async fn put(&self, record: &KeyRecord, expect: Expect) -> Result<Receipt, PublishError> {
        let value = serde_json::to_vec(record).expect("a plain record always encodes");
        self.bucket.put(&self.key, value, Some(self.guard.ttl()), expect).await
    }
}

/// Lets others finish what they are at; they need a round trip or two.
fn pause(round: usize) -> Duration {
    Duration::from_millis(fastrand::u64(1..=4 << round.min(5)))
}
