//! Room for the runs of a workflow that says how many may be under way at once.
//!
//! `slots.<workflow>` lists the runs that have room, under compare-and-set. Those that wait have a key
//! `wait.<workflow>.<run>` each; the oldest is next. A process that dies between the two leaves nothing wrong behind: a run
//! may stand in both, which [`Slots::hand_on`] puts right, or have room and not know it yet, which the leader's round tells.

use std::sync::Arc;

use bytes::Bytes;
use nova_broker::{BrokerError, Bucket, Expect, Message, PublishError, Scan, Stored};
use nova_types::{RunId, WorkflowName};
use nova_wire::{Headers, assets, name, subject};
use serde::{Deserialize, Serialize};

use super::effects::Halted;
use crate::Parts;

/// How long the mark of a wait that is over stays: nobody watches it.
const MARK_TTL: &str = "60s";
/// How many that wait are looked at in one round: those behind them have time.
const LOOKED_AT: usize = 100;
/// How often a record that others write as well is tried before it is put off.
const TRIES: usize = 50;

/// The runs of a workflow that have room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// How many may have.
    most: u32,
    /// Which have.
    runs: Vec<RunId>,
}

/// Whether a run has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It has.
    Yes,
    /// It waits.
    Queued,
}

/// The room of all workflows.
pub(crate) struct Slots {
    parts: Parts,
    bucket: Bucket,
}

impl Slots {
    pub(crate) fn new(parts: &Parts) -> Self {
        let bucket = Bucket::new(Arc::clone(&parts.broker), assets::WORKFLOWS_BUCKET);
        Self { parts: parts.clone(), bucket }
    }

    /// Takes room for a run, or lines it up; asked again it says the same.
    pub(crate) async fn claim(&self, workflow: &WorkflowName, run: &RunId, most: u32) -> Result<Room, Halted> {
        let nobody_waits = self.next(workflow).await?.is_none();
        let taken = self
            .change(workflow, |held| {
                held.most = most;
                if held.runs.contains(run) {
                    return Some(Room::Yes);
                }
                if nobody_waits && (held.runs.len() as u64) < u64::from(most) {
                    held.runs.push(run.clone());
                    return Some(Room::Yes);
                }
                Some(Room::Queued)
            })
            .await?;
        if taken == Some(Room::Yes) {
            return Ok(Room::Yes);
        }
        match self.bucket.put(&wait_key(workflow, run), Bytes::new(), None, Expect::NOTHING).await {
            Ok(_) | Err(PublishError::Conflict { .. }) => Ok(Room::Queued),
            Err(error) => Err(Halted::Refused(error)),
        }
    }

    /// Gives a run's room and its place in the line up.
    pub(crate) async fn release(&self, workflow: &WorkflowName, run: &RunId) -> Result<(), Halted> {
        let key = subject::bucket_key(assets::WORKFLOWS_BUCKET, &slots_key(workflow));
        if self.parts.broker.last(assets::bucket_stream(assets::WORKFLOWS_BUCKET), key).await?.is_none() {
            // Nobody ever asked for room of this workflow.
            return Ok(());
        }
        self.forget(workflow, run).await?;
        self.change(workflow, |held| {
            let before = held.runs.len();
            held.runs.retain(|other| other != run);
            (held.runs.len() != before).then_some(())
        })
        .await?;
        Ok(())
    }

    /// Gives room to those that wait, as long as there is some; says who got it.
    pub(crate) async fn hand_on(&self, workflow: &WorkflowName) -> Result<Vec<RunId>, Halted> {
        let mut admitted = Vec::new();
        while let Some(run) = self.next(workflow).await? {
            let given = self
                .change(workflow, |held| {
                    if held.runs.contains(&run) {
                        return Some(true);
                    }
                    if (held.runs.len() as u64) < u64::from(held.most) {
                        held.runs.push(run.clone());
                        return Some(true);
                    }
                    None
                })
                .await?;
            if given.is_none() {
                break;
            }
            nova_runtime::failpoint::hit("run-admitted");
            self.forget(workflow, &run).await?;
            admitted.push(run);
        }
        Ok(admitted)
    }

    /// The workflows that ever had a limit, with the runs that have room.
    pub(crate) async fn all(&self) -> Result<Vec<(WorkflowName, Vec<RunId>)>, BrokerError> {
        let entries = self.bucket.entries_of("slots.*").await?;
        Ok(entries
            .into_iter()
            .filter_map(|entry| {
                let workflow = WorkflowName::new(entry.key.strip_prefix("slots.")?).ok()?;
                let held: Held = serde_json::from_slice(&entry.value).ok()?;
                Some((workflow, held.runs))
            })
            .collect())
    }

    /// Some of the runs of a workflow that wait, oldest first.
    pub(crate) async fn waiting(&self, workflow: &WorkflowName) -> Result<Vec<RunId>, BrokerError> {
        let keys = subject::bucket_key(assets::WORKFLOWS_BUCKET, &format!("wait.{workflow}.*"));
        let stream = assets::bucket_stream(assets::WORKFLOWS_BUCKET);
        let lined = self.parts.broker.scan(Scan::all(stream, keys, LOOKED_AT)).await?;
        Ok(lined.iter().filter(|stored| is_live(stored)).filter_map(|stored| run_of(&stored.subject)).collect())
    }

    /// Who waits longest.
    async fn next(&self, workflow: &WorkflowName) -> Result<Option<RunId>, BrokerError> {
        let (stream, mut from) = (assets::bucket_stream(assets::WORKFLOWS_BUCKET), 1);
        let keys = subject::bucket_key(assets::WORKFLOWS_BUCKET, &format!("wait.{workflow}.*"));
        loop {
            // The marks of waits that are over are passed over; they go by themselves.
            let page = self.parts.broker.scan(Scan::all(&*stream, &*keys, 64).from(from)).await?;
            let Some(last) = page.last() else { return Ok(None) };
            from = last.sequence + 1;
            if let Some(found) = page.iter().find(|stored| is_live(stored)) {
                return Ok(run_of(&found.subject));
            }
        }
    }

    /// Takes a run out of the line.
    async fn forget(&self, workflow: &WorkflowName, run: &RunId) -> Result<(), Halted> {
        let key = wait_key(workflow, run);
        if self.bucket.get(&key).await?.is_none() {
            return Ok(());
        }
        let headers = Headers::new().with("KV-Operation", "DEL").with(name::TTL, MARK_TTL);
        let message = Message::new(subject::bucket_key(assets::WORKFLOWS_BUCKET, &key), Bytes::new());
        let gone = self.parts.broker.publish(message.with_headers(headers), Expect::Any).await;
        gone.map(|_| ()).map_err(Halted::Refused)
    }

    /// Changes the record of a workflow; `None` from `decide` leaves it.
    async fn change<T>(
        &self,
        workflow: &WorkflowName,
        mut decide: impl FnMut(&mut Held) -> Option<T>,
    ) -> Result<Option<T>, Halted> {
        let key = slots_key(workflow);
        for _ in 0..TRIES {
            let entry = self.bucket.get(&key).await?;
            let before: Held = match &entry {
                Some(entry) => serde_json::from_slice(&entry.value).unwrap_or_default(),
                None => Held::default(),
            };
            let mut held = before.clone();
            let Some(decided) = decide(&mut held) else { return Ok(None) };
            if held == before {
                return Ok(Some(decided));
            }
            let body = serde_json::to_vec(&held).expect("a plain record always encodes");
            let expect = Expect::Last(entry.map_or(0, |entry| entry.revision));
            match self.bucket.put(&key, body, None, expect).await {
                Ok(_) => return Ok(Some(decided)),
                // Another was first, or it is not known: what stands there decides.
                Err(PublishError::Conflict { .. } | PublishError::Unknown { .. }) => {}
                Err(error) => return Err(Halted::Refused(error)),
            }
            let jitter = std::time::Duration::from_millis(fastrand::u64(1..10));
            tokio::time::sleep(jitter).await;
        }
        Err(Halted::Stopped { what: key })
    }
}

/// Whether a stored key is no mark of a deleted one.
fn is_live(stored: &Stored) -> bool {
    stored.headers.get("KV-Operation").is_none() && stored.headers.get("Nats-Marker-Reason").is_none()
}

fn slots_key(workflow: &WorkflowName) -> String {
    format!("slots.{workflow}")
}

fn wait_key(workflow: &WorkflowName, run: &RunId) -> String {
    format!("wait.{workflow}.{run}")
}

/// The run of a wait's key or subject: its last token.
fn run_of(key: &str) -> Option<RunId> {
    RunId::new(key.rsplit('.').next()?).ok()
}
