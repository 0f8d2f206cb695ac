//! Dead letters: listed, read and dropped.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use futures_util::stream::{self, Stream};
use nova_broker::{Purge, Scan, Stored};
use nova_types::{Code, Skill, TaskId, UnixMillis};
use nova_wire::{DeadLetter, TaskOptions, assets, subject};

use crate::scan::PAGE;
use crate::{Client, QueryError};

/// One dead letter and when it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadEntry {
    /// The letter.
    pub letter: DeadLetter,
    /// Its sequence among the dead letters.
    pub sequence: u64,
    /// When the task was given up.
    pub at: UnixMillis,
}

impl DeadEntry {
    /// The task's labels; none when its headers are malformed.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        TaskOptions::from_headers(&self.letter.headers).map(|options| options.labels).unwrap_or_default()
    }

    fn read(stored: Stored) -> Option<Self> {
        let letter = DeadLetter::parse(&stored.headers, stored.body).ok()?;
        Some(Self { letter, sequence: stored.sequence, at: stored.at })
    }
}

/// Which dead letters are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeadFilter {
    /// Of this skill only.
    pub skill: Option<Skill>,
    /// With this code only.
    pub code: Option<Code>,
    /// Given up at or after this moment.
    pub since: Option<UnixMillis>,
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
    /// At most so many; all when `None`.
    pub limit: Option<usize>,
}

impl DeadFilter {
    /// Whether a letter is meant, the limit aside.
    #[must_use]
    pub fn matches(&self, entry: &DeadEntry) -> bool {
        let labels = || entry.labels();
        self.skill.as_ref().is_none_or(|skill| *skill == entry.letter.skill)
            && self.code.as_ref().is_none_or(|code| *code == entry.letter.code)
            && self.since.is_none_or(|since| entry.at >= since)
            && (self.labels.is_empty() || has_labels(&self.labels, &labels()))
    }
}

pub(crate) fn has_labels(wanted: &BTreeMap<String, String>, given: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| given.get(key) == Some(value))
}

struct Cursor {
    client: Client,
    filter: DeadFilter,
    subject: String,
    next: u64,
    left: usize,
    page: std::vec::IntoIter<DeadEntry>,
    is_over: bool,
}

impl Client {
    /// Lists dead letters, oldest first; they are read as the stream is polled.
    pub fn dead(&self, filter: DeadFilter) -> impl Stream<Item = Result<DeadEntry, QueryError>> + Send + use<> {
        let subject = filter.skill.as_ref().map_or_else(|| subject::DEAD_SPACE.to_owned(), subject::dead_of);
        let left = filter.limit.unwrap_or(usize::MAX);
        let page = Vec::new().into_iter();
        let cursor = Cursor { client: self.clone(), filter, subject, next: 1, left, page, is_over: false };
        stream::unfold(cursor, |mut cursor| async move {
            let entry = cursor.advance().await?;
            Some((entry, cursor))
        })
    }

    /// One task's dead letter.
    ///
    /// # Errors
    /// [`QueryError::UnknownTask`] when there is none, [`QueryError::Broker`]; safe to call again.
    pub async fn dead_letter(&self, skill: &Skill, task: &TaskId) -> Result<DeadEntry, QueryError> {
        let stored = self.inner.broker.last(assets::DEAD.to_owned(), subject::dead(skill, task)).await;
        let stored = stored.map_err(QueryError::broker(format!("read the dead letter of task {task}")))?;
        let unknown = || QueryError::UnknownTask { task: task.clone(), skill: Some(skill.clone()) };
        stored.and_then(DeadEntry::read).ok_or_else(unknown)
    }

    /// Deletes a task's dead letter; its outcome stays. Says whether there was one.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn drop_dead(&self, skill: &Skill, task: &TaskId) -> Result<bool, QueryError> {
        let what = Purge::Subject(subject::dead(skill, task));
        let dropped = self.inner.broker.purge(assets::DEAD.to_owned(), what).await;
        Ok(dropped.map_err(QueryError::broker(format!("drop the dead letter of task {task}")))? > 0)
    }
}

impl Cursor {
    async fn advance(&mut self) -> Option<Result<DeadEntry, QueryError>> {
        loop {
            if self.left == 0 {
                return None;
            }
            if let Some(entry) = self.page.next() {
                self.left -= 1;
                return Some(Ok(entry));
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.turn_page().await {
                self.is_over = true;
                return Some(Err(error));
            }
        }
    }

    async fn turn_page(&mut self) -> Result<(), QueryError> {
        let scan = Scan::all(assets::DEAD, &*self.subject, PAGE).from(self.next);
        let page = self.client.inner.broker.scan(scan).await;
        let page = page.map_err(QueryError::broker("list the dead letters"))?;
        match page.last() {
            Some(last) => self.next = last.sequence + 1,
            None => self.is_over = true,
        }
        let kept: Vec<DeadEntry> =
            page.into_iter().filter_map(DeadEntry::read).filter(|entry| self.filter.matches(entry)).collect();
        self.page = kept.into_iter();
        Ok(())
    }
}

/// Stops a walk once `limit` is reached.
pub(crate) fn until(count: usize, limit: usize) -> ControlFlow<()> {
    if count < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
