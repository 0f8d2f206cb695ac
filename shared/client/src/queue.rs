//! Queues: what waits, what runs, and pausing them.

use std::time::Duration;

use nova_broker::{ConsumerInfo, PauseState, Scan, StreamInfo};
use nova_types::{Priority, Skill, UnixMillis};
use nova_wire::{Keyed, SkillPolicy, assets, subject};
use serde::Serialize;

use crate::{Client, QueryError};

/// How long a skill's notes are waited for: a user without the right to look sees only silence.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// Which part of a queue a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneOf {
    /// One priority; of a keyed skill what came without a key.
    Priority(Priority),
    /// One partition of a keyed skill's keys, over all priorities.
    Partition(u16),
}

impl LaneOf {
    /// The consumer that hands out its tasks.
    pub(crate) fn consumer(self) -> String {
        match self {
            Self::Priority(priority) => assets::consumer(priority).to_owned(),
            Self::Partition(partition) => assets::partition_consumer(partition),
        }
    }

    /// What of a queue it holds.
    pub(crate) fn subject(self, skill: &Skill) -> String {
        match self {
            Self::Priority(priority) => subject::task(skill, priority),
            Self::Partition(partition) => subject::partition(skill, partition),
        }
    }
}

impl std::fmt::Display for LaneOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Priority(priority) => priority.fmt(f),
            Self::Partition(partition) => write!(f, "k{partition}"),
        }
    }
}

/// One priority of a queue, or one partition of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneView {
    /// Which.
    #[serde(flatten)]
    pub of: LaneOf,
    /// Tasks that no worker has taken.
    pub waiting: u64,
    /// Tasks under lease, and failed ones whose pause is not over.
    pub running: u64,
    /// Of these, taken more than once.
    pub redelivered: u64,
    /// Workers that wait for a task here.
    pub idle_pulls: u64,
    /// The most that may be under lease at once.
    pub most_running: i64,
    /// When the oldest waiting task was submitted.
    pub oldest: Option<UnixMillis>,
    /// The end of its pause, while it is paused.
    pub paused_until: Option<UnixMillis>,
    /// When a task was last taken.
    pub last_taken: Option<UnixMillis>,
    /// The last sequence taken.
    pub delivered: u64,
    /// Everything up to this sequence is done with.
    pub ack_floor: u64,
}

/// One skill's queue at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueView {
    /// The skill.
    pub skill: Skill,
    /// The stream that holds it.
    pub stream: String,
    /// High, normal, low; then the partitions of a keyed skill.
    pub lanes: Vec<LaneView>,
    /// Messages held: waiting, running and history.
    pub messages: u64,
    /// Bytes held, of all these.
    pub bytes: u64,
    /// The most bytes it may hold; `None` without limit.
    pub max_bytes: Option<u64>,
    /// The most messages it may hold; `None` without limit.
    pub max_messages: Option<u64>,
    /// The first sequence held.
    pub first_sequence: u64,
    /// The last sequence held.
    pub last_sequence: u64,
    /// The broker's clock when it said so.
    pub now: UnixMillis,
    /// What holds for its tasks; the defaults where its notes cannot be read.
    #[serde(skip)]
    pub policy: SkillPolicy,
}

impl QueueView {
    /// Tasks that no worker has taken, of all priorities.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.waiting).sum()
    }

    /// Tasks under lease or between attempts, of all priorities.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.running).sum()
    }

    /// One of its priorities.
    #[must_use]
    pub fn lane(&self, priority: Priority) -> Option<&LaneView> {
        self.lanes.iter().find(|lane| lane.of == LaneOf::Priority(priority))
    }

    /// The lane that hands out what is stored under a subject.
    pub(crate) fn lane_of(&self, stored: &str) -> Option<&LaneView> {
        let of = match subject::partition_of(stored) {
            Some(partition) => LaneOf::Partition(partition),
            None => LaneOf::Priority(subject::parse_task(stored)?.1),
        };
        self.lanes.iter().find(|lane| lane.of == of)
    }

    /// When the oldest waiting task was submitted.
    #[must_use]
    pub fn oldest(&self) -> Option<UnixMillis> {
        self.lanes.iter().filter_map(|lane| lane.oldest).min()
    }

    /// The first sequence that may be waiting or running; below it everything is history.
    #[must_use]
    pub fn unended_from(&self) -> u64 {
        let next = |lane: &LaneView| {
            // An idle lane's floor may lag behind what the others have taken.
            let is_idle = lane.waiting == 0 && lane.running == 0;
            if is_idle { self.last_sequence + 1 } else { lane.ack_floor + 1 }
        };
        let lowest = self.lanes.iter().map(next).min().unwrap_or(self.first_sequence);
        lowest.max(self.first_sequence).max(1)
    }

    /// Bytes of tasks that are done with and not trimmed yet, by their share of the messages.
    #[must_use]
    pub fn history_bytes(&self) -> u64 {
        let ended = self.messages.saturating_sub(self.waiting() + self.running());
        let share = u128::from(self.bytes) * u128::from(ended) / u128::from(self.messages.max(1));
        u64::try_from(share).unwrap_or(self.bytes)
    }
}

impl Client {
    /// One skill's queue.
    ///
    /// # Errors
    /// [`QueryError::NoQueue`], [`QueryError::Broker`]; safe to call again.
    pub async fn queue(&self, skill: &Skill) -> Result<QueueView, QueryError> {
        let stream = self.inner.broker.stream(assets::tasks_stream(skill)).await;
        let stream = stream.map_err(QueryError::broker(format!("read the queue of skill `{skill}`")))?;
        let stream = stream.ok_or_else(|| QueryError::NoQueue { skill: skill.clone() })?;
        self.describe(skill.clone(), stream).await
    }

    /// All queues, by skill.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn queues(&self) -> Result<Vec<QueueView>, QueryError> {
        let streams = self.inner.broker.streams(assets::TASKS_PREFIX.to_owned()).await;
        let streams = streams.map_err(QueryError::broker("list the queues"))?;
        let views = streams.into_iter().filter_map(|stream| {
            let skill = assets::skill_of_stream(&stream.spec.name)?;
            Some(self.describe(skill, stream))
        });
        let mut views = futures_util::future::try_join_all(views).await?;
        views.sort_by(|a, b| a.skill.cmp(&b.skill));
        Ok(views)
    }

    async fn describe(&self, skill: Skill, stream: StreamInfo) -> Result<QueueView, QueryError> {
        let lanes = Priority::ALL.map(|priority| self.lane(&skill, &stream, LaneOf::Priority(priority)));
        let mut lanes = futures_util::future::try_join_all(lanes).await?;
        let policy = lanes.iter().flatten().find_map(|(_, info)| SkillPolicy::from_metadata(&info.spec.metadata).ok());
        let partitions = policy.as_ref().and_then(|policy| policy.keyed).map_or(0, |keyed| keyed.partitions);
        let keyed = (0..partitions).map(|partition| self.lane(&skill, &stream, LaneOf::Partition(partition)));
        lanes.extend(futures_util::future::try_join_all(keyed).await?);
        let now = lanes.iter().flatten().map(|(_, info)| info.now).max().unwrap_or_else(|| self.now());
        let limit = |most: i64| u64::try_from(most).ok();
        Ok(QueueView {
            skill,
            lanes: lanes.into_iter().flatten().map(|(lane, _)| lane).collect(),
            messages: stream.messages,
            bytes: stream.bytes,
            max_bytes: limit(stream.spec.max_bytes),
            max_messages: limit(stream.spec.max_messages),
            first_sequence: stream.first_sequence,
            last_sequence: stream.last_sequence,
            stream: stream.spec.name,
            now,
            policy: policy.unwrap_or_default(),
        })
    }

    async fn lane(
        &self,
        skill: &Skill,
        stream: &StreamInfo,
        of: LaneOf,
    ) -> Result<Option<(LaneView, ConsumerInfo)>, QueryError> {
        let broker = &self.inner.broker;
        let failed = || QueryError::broker(format!("read the queue of skill `{skill}`"));
        let name = &stream.spec.name;
        let consumer = broker.consumer(name.clone(), of.consumer()).await.map_err(failed())?;
        let Some(info) = consumer else { return Ok(None) };
        let oldest = if info.pending == 0 {
            None
        } else {
            let scan = Scan::all(name.clone(), of.subject(skill), 1).from(info.delivered + 1);
            broker.scan(scan).await.map_err(failed())?.first().map(|stored| stored.at)
        };
        Ok(Some((read_lane(of, &info, oldest), info)))
    }

    /// How the tasks of a keyed skill are kept in order; `None` of any other skill, and where that cannot be read soon.
    ///
    /// Cheap: one question to the broker.
    pub async fn keyed(&self, skill: &Skill) -> Option<Keyed> {
        let consumer = LaneOf::Priority(Priority::Normal).consumer();
        let asked = self.inner.broker.consumer(assets::tasks_stream(skill), consumer);
        let info = tokio::time::timeout(ASK_WITHIN, asked).await.ok()?.ok()??;
        SkillPolicy::from_metadata(&info.spec.metadata).ok()?.keyed
    }

    /// Lets no worker take a task of this skill until a moment; what runs goes on.
    ///
    /// # Errors
    /// [`QueryError::NoQueue`], [`QueryError::Broker`]; safe to call again.
    pub async fn pause(&self, skill: &Skill, until: UnixMillis) -> Result<(), QueryError> {
        self.set_pause(skill, PauseState { until: Some(until) }, "pause").await
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// [`QueryError::NoQueue`], [`QueryError::Broker`]; safe to call again.
    pub async fn resume(&self, skill: &Skill) -> Result<(), QueryError> {
        self.set_pause(skill, PauseState::default(), "resume").await
    }

    async fn set_pause(&self, skill: &Skill, pause: PauseState, verb: &str) -> Result<(), QueryError> {
        let queue = self.queue(skill).await?;
        for lane in &queue.lanes {
            let done = self.inner.broker.pause_consumer(queue.stream.clone(), lane.of.consumer(), pause).await;
            done.map_err(QueryError::broker(format!("{verb} the queue of skill `{skill}`")))?;
        }
        Ok(())
    }
}

fn read_lane(of: LaneOf, info: &ConsumerInfo, oldest: Option<UnixMillis>) -> LaneView {
    LaneView {
        of,
        waiting: info.pending,
        running: info.ack_pending,
        redelivered: info.redelivered,
        idle_pulls: info.waiting,
        most_running: info.spec.max_ack_pending,
        oldest,
        paused_until: info.pause.until.filter(|until| *until > info.now),
        last_taken: info.last_delivered,
        delivered: info.delivered,
        ack_floor: info.ack_floor,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A queue of `messages` with lanes of (waiting, running), high first.
    pub(crate) fn queue(messages: u64, lanes: &[(u64, u64)]) -> QueueView {
        let lane = |(priority, (waiting, running)): (Priority, &(u64, u64))| LaneView {
            of: LaneOf::Priority(priority),
            waiting: *waiting,
            running: *running,
            redelivered: 0,
            idle_pulls: 0,
            most_running: 1000,
            oldest: None,
            paused_until: None,
            last_taken: None,
            delivered: 50,
            ack_floor: 40,
        };
        QueueView {
            skill: Skill::new("echo").expect("a skill"),
            stream: "NOVA_TASKS_echo".into(),
            lanes: Priority::ALL.into_iter().zip(lanes).map(lane).collect(),
            messages,
            bytes: messages * 10,
            max_bytes: None,
            max_messages: None,
            first_sequence: 1,
            last_sequence: messages,
            now: UnixMillis(1_000_000),
            policy: SkillPolicy::default(),
        }
    }

    #[test]
    fn an_idle_lane_pins_nothing() {
        assert_eq!(queue(100, &[(0, 0), (5, 5), (0, 0)]).unended_from(), 41);
        assert_eq!(queue(100, &[(0, 0), (0, 0), (0, 0)]).unended_from(), 101);
    }

    #[test]
    fn history_is_what_neither_waits_nor_runs() {
        assert_eq!(queue(100, &[(10, 10), (20, 0)]).history_bytes(), 600);
        assert_eq!(queue(0, &[]).history_bytes(), 0);
    }
}
