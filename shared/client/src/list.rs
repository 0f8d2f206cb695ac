//! Listing tasks: those that ended from their outcomes, the others from their queues.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use nova_types::{Code, OutcomeKind, Priority, Skill, TaskId, TaskState, UnixMillis, WorkerId};
use nova_wire::{assets, parse_outcome, subject};

use crate::dead::{has_labels, until};
use crate::place::read_id;
use crate::scan::{walk, walk_back};
use crate::{Client, QueryError, QueueView, ScheduleFilter};

/// Which tasks are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFilter {
    /// In one of these states; any when empty.
    pub states: Vec<TaskState>,
    /// Of this skill only.
    pub skill: Option<Skill>,
    /// Ended, or submitted, at or after this moment.
    pub since: Option<UnixMillis>,
    /// With all of these labels. Outcomes carry none: tasks that ended are then not listed.
    pub labels: BTreeMap<String, String>,
    /// At most so many of each kind: scheduled, queued, ended. Default 100.
    pub limit: usize,
}

impl Default for TaskFilter {
    fn default() -> Self {
        Self { states: Vec::new(), skill: None, since: None, labels: BTreeMap::new(), limit: 100 }
    }
}

impl TaskFilter {
    fn wants(&self, states: &[TaskState]) -> bool {
        self.states.is_empty() || states.iter().any(|state| self.states.contains(state))
    }

    fn matches(&self, row: &TaskRow) -> bool {
        self.wants(&[row.state])
            && self.skill.as_ref().is_none_or(|skill| *skill == row.skill)
            && self.since.is_none_or(|since| row.at >= since)
            && has_labels(&self.labels, &row.labels)
    }
}

/// One task in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// Its id.
    pub task: TaskId,
    /// Its skill.
    pub skill: Skill,
    /// Where it stands; a queued task that was taken is listed as running even in the pause between two attempts.
    pub state: TaskState,
    /// When it ended, or else was submitted, or for a one-shot schedule is due.
    pub at: UnixMillis,
    /// Its priority, where known.
    pub priority: Option<Priority>,
    /// The attempt that ended it.
    pub attempt: Option<u32>,
    /// Who ended it.
    pub worker: Option<WorkerId>,
    /// Why it did not complete.
    pub code: Option<Code>,
    /// Its labels, while it has not ended.
    pub labels: BTreeMap<String, String>,
}

impl Client {
    /// Lists tasks, newest first.
    ///
    /// Every kind is read from its newest record back, [`search_depth`](crate::ClientOptions::search_depth) records at
    /// most.
    ///
    /// # Errors
    /// [`QueryError::Broker`], [`QueryError::NoQueue`]; safe to call again.
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<TaskRow>, QueryError> {
        use TaskState as S;
        let mut rows = Vec::new();
        if filter.wants(&[S::Completed, S::Dead, S::Cancelled]) && filter.labels.is_empty() {
            rows.extend(self.ended(filter).await?);
        }
        if filter.wants(&[S::Available, S::Running, S::Retryable]) {
            let queues = match &filter.skill {
                Some(skill) => vec![self.queue(skill).await?],
                None => self.queues().await?,
            };
            for queue in &queues {
                rows.extend(self.queued(queue, filter).await?);
            }
        }
        if filter.wants(&[S::Scheduled]) {
            rows.extend(self.scheduled(filter).await?);
        }
        rows.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.task.cmp(&b.task)));
        Ok(rows)
    }

    async fn ended(&self, filter: &TaskFilter) -> Result<Vec<TaskRow>, QueryError> {
        let failed = || QueryError::broker("list the outcomes");
        let broker = &*self.inner.broker;
        let stream = broker.stream(assets::OUTCOMES.to_owned()).await.map_err(failed())?;
        let Some(stream) = stream else { return Ok(Vec::new()) };
        let subject = filter.skill.as_ref().map_or_else(|| subject::OUTCOME_SPACE.to_owned(), subject::outcomes_of);
        let depth = self.inner.options.search_depth.min(stream.last_sequence + 1 - stream.first_sequence.max(1));
        let mut rows = Vec::new();
        walk_back(broker, assets::OUTCOMES, &subject, stream.last_sequence, depth, |stored| {
            if filter.since.is_some_and(|since| stored.at < since) {
                return ControlFlow::Break(());
            }
            let header = stored.headers.get(nova_wire::name::OUTCOME);
            if let Some(outcome) = header.and_then(|text| parse_outcome(text).ok()) {
                let state = match outcome.kind {
                    OutcomeKind::Completed => TaskState::Completed,
                    OutcomeKind::Dead => TaskState::Dead,
                    OutcomeKind::Cancelled => TaskState::Cancelled,
                };
                let row = TaskRow {
                    task: outcome.task,
                    skill: outcome.skill,
                    state,
                    at: outcome.finished,
                    priority: None,
                    attempt: Some(outcome.attempt),
                    worker: outcome.worker,
                    code: outcome.code,
                    labels: BTreeMap::new(),
                };
                rows.extend(Some(row).filter(|row| filter.matches(row)));
            }
            until(rows.len(), filter.limit)
        })
        .await
        .map_err(failed())?;
        Ok(rows)
    }

    async fn queued(&self, queue: &QueueView, filter: &TaskFilter) -> Result<Vec<TaskRow>, QueryError> {
        let (from, to) = (queue.unended_from(), queue.last_sequence);
        let from = from.max(to.saturating_sub(self.inner.options.search_depth));
        let mut rows = Vec::new();
        let listed = walk(&*self.inner.broker, &queue.stream, ">", from, to, |stored| {
            rows.extend(queued_row(queue, &stored).filter(|row| filter.matches(row)));
            ControlFlow::Continue(())
        });
        listed.await.map_err(QueryError::broker(format!("list the queue of skill `{}`", queue.skill)))?;
        // Newest first, one row for each task whatever its generations, and no more reads than rows are wanted.
        let mut seen = HashSet::new();
        let mut kept = Vec::new();
        for row in rows.into_iter().rev() {
            if kept.len() >= filter.limit {
                break;
            }
            if !seen.insert(row.task.clone()) {
                continue;
            }
            // A task that was taken and acked out of order lies above the floor and has ended.
            let may_have_ended = row.state == TaskState::Running;
            if may_have_ended && self.has_ended(&row).await? {
                continue;
            }
            kept.push(row);
        }
        Ok(kept)
    }

    async fn has_ended(&self, row: &TaskRow) -> Result<bool, QueryError> {
        let last = self.inner.broker.last(assets::OUTCOMES.to_owned(), subject::outcome(&row.skill, &row.task)).await;
        Ok(last.map_err(QueryError::broker(format!("read the outcome of task {}", row.task)))?.is_some())
    }

    async fn scheduled(&self, filter: &TaskFilter) -> Result<Vec<TaskRow>, QueryError> {
        let entries = self.schedules(&ScheduleFilter { skill: filter.skill.clone(), limit: None }).await?;
        let rows = entries.into_iter().filter(|entry| !entry.is_timer()).map(|entry| TaskRow {
            at: entry.at.unwrap_or(entry.since),
            labels: nova_wire::TaskOptions::from_headers(&entry.headers).map(|o| o.labels).unwrap_or_default(),
            task: entry.task,
            skill: entry.skill,
            state: TaskState::Scheduled,
            priority: Some(entry.priority),
            attempt: None,
            worker: None,
            code: None,
        });
        Ok(rows.filter(|row| filter.matches(row)).take(filter.limit).collect())
    }
}

fn queued_row(queue: &QueueView, stored: &nova_broker::Stored) -> Option<TaskRow> {
    let (skill, priority) = subject::parse_task(&stored.subject)?;
    let lane = queue.lane_of(&stored.subject)?;
    if stored.sequence <= lane.ack_floor {
        return None;
    }
    let (id, task) = read_id(stored);
    Some(TaskRow {
        task: id,
        skill,
        state: if stored.sequence <= lane.delivered { TaskState::Running } else { TaskState::Available },
        at: stored.at,
        priority: Some(priority),
        attempt: None,
        worker: None,
        code: None,
        labels: task.map(|task| task.options.labels).unwrap_or_default(),
    })
}
