//! A run's history: read at once, or followed as it grows.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use nova_broker::{Connection, Listener, Scan, Stored};
use nova_types::{RunId, RunStatus, UnixMillis};
use nova_wire::{BlobRef, RunSummary, assets, name, subject};
use nova_workflow::{BlobName, Transition};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::scan::PAGE;
use crate::{Client, QueryError};

/// When the stream is looked at after a notice of something new: the notice may be faster than the record.
const LOOKS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(5),
    Duration::from_millis(25),
    Duration::from_millis(150),
    Duration::from_millis(800),
];

/// One stored transition.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What it says of the run, in short.
    pub summary: RunSummary,
    /// What happened and what was decided.
    pub transition: Transition,
    /// When it was stored, by the broker's clock.
    pub at: UnixMillis,
    /// Its sequence in the stream of runs.
    pub sequence: u64,
    /// Its size in bytes, headers aside.
    pub bytes: usize,
}

impl Recorded {
    fn read(stored: &Stored) -> Result<Self, QueryError> {
        let what = || format!("message {} of {}, {}", stored.sequence, assets::RUNS, stored.subject);
        let header = stored.headers.get(name::TRANSITION).unwrap_or_default();
        let summary = RunSummary::parse(header).map_err(|source| QueryError::garbled_run(what(), source))?;
        let transition =
            serde_json::from_slice(&stored.body).map_err(|source| QueryError::garbled_run(what(), source))?;
        Ok(Self { summary, transition, at: stored.at, sequence: stored.sequence, bytes: stored.body.len() })
    }
}

/// A run's transitions as they come; ends with the run. Dropping it ends the subscription.
pub type RunFeed = BoxStream<'static, Result<Recorded, QueryError>>;

impl Client {
    /// Reads the whole history of a run, oldest first.
    ///
    /// # Errors
    /// [`QueryError::UnknownRun`], [`QueryError::GarbledRun`], [`QueryError::Broker`]; safe to call again.
    pub async fn run_history(&self, run: &RunId) -> Result<Vec<Recorded>, QueryError> {
        let mut history = Vec::new();
        let mut next = 1;
        loop {
            let page = self.history_page(run, next).await?;
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            let is_last = page.len() < PAGE;
            for stored in &page {
                history.push(Recorded::read(stored)?);
            }
            if is_last {
                break;
            }
        }
        if history.is_empty() { Err(QueryError::UnknownRun { run: run.clone() }) } else { Ok(history) }
    }

    /// Follows a run from its first transition to its end, whether it exists yet or not.
    ///
    /// What is told live is only a hint to look: every transition comes from the stream, in order and once, whatever
    /// becomes of the connection.
    ///
    /// # Errors
    /// [`QueryError::Broker`] when the broker refuses to be listened to; safe to call again.
    pub async fn follow_run(&self, run: &RunId) -> Result<RunFeed, QueryError> {
        self.follow_run_from(run, 1).await
    }

    /// The same from a sequence of the stream of runs on, such as the one after an order's.
    ///
    /// # Errors
    /// As of [`follow_run`](Self::follow_run).
    pub async fn follow_run_from(&self, run: &RunId, sequence: u64) -> Result<RunFeed, QueryError> {
        let listener = self.inner.broker.listen(subject::run_of_any_partition(run), None).await;
        let listener = listener.map_err(QueryError::broker(format!("follow run {run}")))?;
        let mut connection = self.inner.broker.connection();
        connection.mark_unchanged();
        let follower = Follower {
            client: self.clone(),
            run: run.clone(),
            next: sequence,
            page: VecDeque::new(),
            listener: Some(listener),
            connection: Some(connection),
            looks: 0,
            is_over: false,
        };
        Ok(stream::unfold(follower, |mut follower| async move {
            let told = follower.advance().await?;
            Some((told, follower))
        })
        .boxed())
    }

    /// Reads a value that a run keeps in the object store, as JSON.
    ///
    /// # Errors
    /// [`QueryError::Value`], [`QueryError::GarbledRun`]; safe to call again.
    pub async fn run_value(&self, blob: &BlobName) -> Result<Value, QueryError> {
        let bytes = self.run_bytes(blob).await?;
        let what = || format!("value `{}` of a run", blob.name);
        serde_json::from_slice(&bytes).map_err(|source| QueryError::garbled_run(what(), source))
    }

    async fn run_bytes(&self, blob: &BlobName) -> Result<Bytes, QueryError> {
        let wanted = BlobRef { name: blob.name.clone(), size: blob.size, sha256: blob.sha256.clone() };
        let got = self.inner.blobs.get(&wanted).await;
        got.map_err(|source| QueryError::Value { name: blob.name.clone(), source: Box::new(source) })
    }

    async fn history_page(&self, run: &RunId, from: u64) -> Result<Vec<Stored>, QueryError> {
        let scan = Scan::all(assets::RUNS, subject::run_of_any_partition(run), PAGE).from(from);
        let page = self.inner.broker.scan(scan).await;
        page.map_err(QueryError::broker(format!("read the history of run {run}")))
    }
}

/// Who follows one run.
struct Follower {
    client: Client,
    run: RunId,
    next: u64,
    page: VecDeque<Stored>,
    listener: Option<Listener>,
    connection: Option<watch::Receiver<Connection>>,
    /// How often was looked since the last notice.
    looks: usize,
    is_over: bool,
}

impl Follower {
    async fn advance(&mut self) -> Option<Result<Recorded, QueryError>> {
        loop {
            if self.is_over {
                return None;
            }
            if let Some(stored) = self.page.pop_front() {
                self.next = stored.sequence + 1;
                let recorded = Recorded::read(&stored);
                self.is_over = recorded.as_ref().map_or(true, |recorded| RunStatus::is_ended(recorded.summary.status));
                return Some(recorded);
            }
            match self.client.history_page(&self.run, self.next).await {
                Ok(page) if !page.is_empty() => {
                    self.page = page.into();
                    self.looks = 1;
                }
                Ok(_) => self.wait().await,
                Err(error) if error.is_transient() => self.wait().await,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Waits until it is worth looking again.
    async fn wait(&mut self) {
        let pause = LOOKS.get(self.looks).copied().unwrap_or(self.client.inner.options.check_every);
        self.looks += 1;
        let look_at = Instant::now() + pause;
        tokio::select! {
            biased;
            heard = hear(&mut self.listener) => {
                self.looks = 1;
                if heard.is_none() {
                    self.listener = None;
                }
            }
            is_up = reconnected(&mut self.connection) => {
                self.looks = if is_up { 0 } else { self.looks };
            }
            () = tokio::time::sleep_until(look_at) => {}
        }
    }
}

/// The next notice; never, once nobody tells any more.
async fn hear(listener: &mut Option<Listener>) -> Option<()> {
    match listener {
        Some(listener) => listener.next().await.map(|_| ()),
        None => std::future::pending().await,
    }
}

/// The next change of the connection: whether it stands again.
async fn reconnected(connection: &mut Option<watch::Receiver<Connection>>) -> bool {
    let changed = match connection {
        Some(receiver) => receiver.changed().await.is_ok().then(|| receiver.borrow_and_update().is_up),
        None => std::future::pending().await,
    };
    if changed.is_none() {
        *connection = None;
    }
    changed.unwrap_or(false)
}
