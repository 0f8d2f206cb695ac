//! Emptying a queue: every waiting task gets its outcome before it is gone.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use nova_broker::{Expect, Message, PauseState, PublishError, PullItem, PullRequest, Purge, Settle, Stored};
use nova_types::{Outcome, OutcomeKind, Skill, TaskId, UnixMillis, Usage, codes};
use nova_wire::{AttemptRecord, ErrorBody, EventKind, Headers, TaskEventRecord, assets, name, subject, write_outcome};

use crate::place::read_id;
use crate::scan::PAGE;
use crate::{Client, LaneOf, LaneView, QueryError, QueueView};

/// How many waiting tasks are taken at once: far below any lease's worth of outcomes.
const BATCH: usize = 500;
/// How long a partition is paused at most to be purged.
const PAUSED_FOR: std::time::Duration = std::time::Duration::from_secs(600);

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Tasks that ended as cancelled by it.
    pub cancelled: u64,
    /// Tasks that had an outcome already and were only removed.
    pub had_ended: u64,
}

impl Client {
    /// Cancels every task that waits in a queue now; what runs, or pauses between two attempts, stays.
    ///
    /// Each task is taken as a worker takes it, its outcome recorded, then acked: no worker can start it meanwhile, and
    /// what breaks off half-way leaves whole tasks behind. Tasks of a paused priority cannot be taken: there the outcome
    /// is recorded and the message deleted, which needs an operator's rights. So are the partitions of a keyed skill,
    /// which are paused meanwhile; what the owner of a partition holds for its keys' turns counts as running. `progress` is told after each batch.
    ///
    /// # Errors
    /// [`QueryError::NoQueue`], [`QueryError::Broker`], [`QueryError::Write`]; safe to call again.
    pub async fn purge_queue(&self, skill: &Skill, progress: impl FnMut(Purged) + Send) -> Result<Purged, QueryError> {
        let queue = self.queue(skill).await?;
        let mut tally = Tally { total: Purged::default(), progress };
        for lane in &queue.lanes {
            if let LaneOf::Partition(_) = lane.of {
                self.purge_partition(&queue, lane, &mut tally).await?;
            } else if lane.paused_until.is_some() {
                self.purge_paused(&queue, lane, &mut tally).await?;
            } else {
                self.purge_lane(&queue, lane, &mut tally).await?;
            }
        }
        Ok(tally.total)
    }

    async fn purge_lane<P: FnMut(Purged) + Send>(
        &self,
        queue: &QueueView,
        lane: &LaneView,
        tally: &mut Tally<P>,
    ) -> Result<(), QueryError> {
        let broker = &self.inner.broker;
        let failed = || QueryError::broker(format!("take tasks from the queue of skill `{}`", queue.skill));
        loop {
            let request =
                PullRequest { stream: queue.stream.clone(), consumer: lane.of.consumer(), batch: BATCH, wait: None };
            let mut pull = broker.pull(request).await.map_err(failed())?;
            let mut taken = Vec::new();
            while let Some(item) = pull.next().await {
                if let PullItem::Delivery(delivery) = item.map_err(failed())? {
                    taken.push(*delivery);
                }
            }
            let is_empty = taken.is_empty();
            // What was submitted after the purge began is not meant.
            let is_late = taken.iter().any(|delivery| delivery.sequence > queue.last_sequence);
            let ended = stream::iter(taken)
                .map(|delivery| async move {
                    if delivery.sequence > queue.last_sequence {
                        let back = Settle::Nak { delay: std::time::Duration::ZERO };
                        return broker.settle(&delivery.token, back).await.map(|()| None).map_err(failed());
                    }
                    let stored = Stored {
                        subject: delivery.subject,
                        sequence: delivery.sequence,
                        at: delivery.at,
                        headers: delivery.headers,
                        body: delivery.body,
                    };
                    let is_ours = self.record_cancelled(&queue.skill, &stored, delivery.deliveries > 1).await?;
                    broker.settle(&delivery.token, Settle::Ack).await.map_err(failed())?;
                    Ok(Some(is_ours))
                })
                .buffer_unordered(self.inner.options.in_flight.max(1))
                .try_collect::<Vec<_>>()
                .await?;
            tally.count(ended.into_iter().flatten());
            if is_empty || is_late {
                return Ok(());
            }
        }
    }

    /// Empties a partition under a pause: a task that was taken and given back would lose its place in its key's line.
    async fn purge_partition<P: FnMut(Purged) + Send>(
        &self,
        queue: &QueueView,
        lane: &LaneView,
        tally: &mut Tally<P>,
    ) -> Result<(), QueryError> {
        let broker = &self.inner.broker;
        let failed = || QueryError::broker(format!("empty the queue of skill `{}`", queue.skill));
        let set = |until| broker.pause_consumer(queue.stream.clone(), lane.of.consumer(), PauseState { until });
        if lane.waiting == 0 {
            return Ok(());
        }
        if lane.paused_until.is_none() {
            // It ends by itself, should nobody be left to end it.
            set(Some(queue.now.plus(PAUSED_FOR))).await.map_err(failed())?;
        }
        let seen = broker.consumer(queue.stream.clone(), lane.of.consumer()).await.map_err(failed());
        let purged = match seen {
            Ok(Some(info)) => {
                let lane = LaneView { delivered: info.delivered, ..lane.clone() };
                self.purge_paused(queue, &lane, tally).await
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if lane.paused_until.is_none() {
            set(None).await.map_err(failed())?;
        }
        purged
    }

    async fn purge_paused<P: FnMut(Purged) + Send>(
        &self,
        queue: &QueueView,
        lane: &LaneView,
        tally: &mut Tally<P>,
    ) -> Result<(), QueryError> {
        let broker = &self.inner.broker;
        let failed = || QueryError::broker(format!("empty the queue of skill `{}`", queue.skill));
        let lane_subject = lane.of.subject(&queue.skill);
        let mut next = lane.delivered + 1;
        while next <= queue.last_sequence {
            let scan = nova_broker::Scan::all(&*queue.stream, &*lane_subject, PAGE).from(next);
            let mut page = broker.scan(scan).await.map_err(failed())?;
            page.retain(|stored| stored.sequence <= queue.last_sequence);
            let Some(last) = page.last() else { break };
            next = last.sequence + 1;
            let ended = stream::iter(page)
                .map(|stored| async move {
                    let is_ours = self.record_cancelled(&queue.skill, &stored, false).await?;
                    let deleted = broker.purge(queue.stream.clone(), Purge::Sequence(stored.sequence)).await;
                    deleted.map(|_| is_ours).map_err(failed())
                })
                .buffer_unordered(self.inner.options.in_flight.max(1))
                .try_collect::<Vec<_>>()
                .await?;
            tally.count(ended);
        }
        Ok(())
    }

    /// Records that a task is cancelled, unless it has an outcome; says whether it was this call that ended it.
    async fn record_cancelled(&self, skill: &Skill, stored: &Stored, was_tried: bool) -> Result<bool, QueryError> {
        let (task, _) = read_id(stored);
        let broker = &self.inner.broker;
        let attempt = if was_tried { self.failed_attempts(skill, &task).await? } else { 0 };
        let finished = self.now();
        let (headers, body) = cancelled_record(skill, &task, attempt, stored.at, finished);
        let message = Message::new(subject::outcome(skill, &task), body).with_headers(headers);
        let write = |source| QueryError::Write { what: format!("record that task {task} is cancelled"), source };
        match broker.publish(message.clone(), Expect::NOTHING).await {
            Ok(_) => {}
            Err(PublishError::Conflict { .. }) => return Ok(false),
            Err(source) => return Err(write(source)),
        }
        let event = cancelled_event(skill, &task, attempt, finished);
        let told = [Message { subject: subject::done(skill, &task), ..message }, event];
        for message in told {
            // Only a courtesy: the record stands.
            if let Err(error) = broker.tell(message).await {
                tracing::debug!(task = %task, error = %error, "could not tell of a cancelled task");
            }
        }
        Ok(true)
    }

    async fn failed_attempts(&self, skill: &Skill, task: &TaskId) -> Result<u32, QueryError> {
        let last = self.inner.broker.last(assets::ATTEMPTS.to_owned(), subject::attempt(skill, task)).await;
        let last = last.map_err(QueryError::broker(format!("read the attempts of task {task}")))?;
        let record = last.and_then(|stored| serde_json::from_slice::<AttemptRecord>(&stored.body).ok());
        Ok(record.map_or(0, |record| record.failed))
    }
}

/// What is counted so far, and who is told.
struct Tally<P> {
    total: Purged,
    progress: P,
}

impl<P: FnMut(Purged)> Tally<P> {
    /// Counts tasks by whether this purge ended them.
    fn count(&mut self, ended: impl IntoIterator<Item = bool>) {
        for is_ours in ended {
            if is_ours {
                self.total.cancelled += 1;
            } else {
                self.total.had_ended += 1;
            }
        }
        (self.progress)(self.total);
    }
}

fn cancelled_record(
    skill: &Skill,
    task: &TaskId,
    attempt: u32,
    submitted: UnixMillis,
    finished: UnixMillis,
) -> (Headers, Vec<u8>) {
    let outcome = Outcome {
        kind: OutcomeKind::Cancelled,
        task: task.clone(),
        skill: skill.clone(),
        attempt,
        worker: None,
        nonce: None,
        submitted: Some(submitted),
        started: None,
        finished,
        code: Some(codes::CANCELLED.into()),
        usage: Usage::default(),
        items: None,
    };
    let body = ErrorBody::new(codes::CANCELLED, "the queue was purged");
    let body = serde_json::to_vec(&body).expect("a plain record always encodes");
    (Headers::new().with(name::OUTCOME, write_outcome(&outcome)), body)
}

fn cancelled_event(skill: &Skill, task: &TaskId, attempt: u32, at: UnixMillis) -> Message {
    let record = TaskEventRecord {
        kind: EventKind::Cancelled,
        task: task.clone(),
        skill: skill.clone(),
        attempt,
        worker: None,
        at,
        code: Some(codes::CANCELLED.into()),
        message: Some("the queue was purged".to_owned()),
        fraction: None,
        next_at: None,
    };
    let body = serde_json::to_vec(&record).expect("a plain record always encodes");
    Message::new(subject::task_event(EventKind::Cancelled.as_str(), skill, task), body)
}
