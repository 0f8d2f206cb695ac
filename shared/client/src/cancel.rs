//! Asking for a task's end.

use futures_util::stream::{self, Stream, StreamExt as _};
use nova_broker::{Expect, Message, PublishError};
use nova_types::{Skill, TaskId};
use nova_wire::subject;

use crate::{Client, QueryError};

/// The broker has the cancel: it will be heeded whoever is down now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelAccepted {
    /// The task.
    pub task: TaskId,
    /// Its skill.
    pub skill: Skill,
}

impl Client {
    /// Asks for a task's end; the outcome decides whether it came in time.
    ///
    /// `Ok` says that the cancel is stored. The task then ends as `cancelled`, or as whatever stood there first: wait
    /// for its outcome to know. What a running attempt has done so far stays done. An id that never arrived stays
    /// cancelled.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again.
    pub async fn cancel(&self, skill: &Skill, task: &TaskId) -> Result<CancelAccepted, QueryError> {
        let tries = self.inner.options.receipt_tries.max(1);
        let mut sent = 1;
        loop {
            let message = Message::new(subject::cancel(skill, task), bytes::Bytes::new());
            match self.inner.broker.publish(message, Expect::Any).await {
                Ok(_) => return Ok(CancelAccepted { task: task.clone(), skill: skill.clone() }),
                // Two cancels are as good as one.
                Err(PublishError::Unknown { .. }) if sent < tries => sent += 1,
                Err(source) => return Err(QueryError::Write { what: format!("cancel task {task}"), source }),
            }
        }
    }

    /// Asks for the end of many tasks, pipelined, and yields one answer for each in their order.
    pub fn cancel_many<I>(&self, tasks: I) -> impl Stream<Item = Result<CancelAccepted, QueryError>> + Send + use<I>
    where
        I: IntoIterator<Item = (Skill, TaskId)>,
        I::IntoIter: Send,
    {
        let client = self.clone();
        let in_flight = self.inner.options.in_flight.max(1);
        stream::iter(tasks)
            .map(move |(skill, task)| {
                let client = client.clone();
                async move { client.cancel(&skill, &task).await }
            })
            .buffered(in_flight)
    }
}
