//! Submitting and waiting for many tasks, pipelined.

use std::time::Duration;

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt as _};
use nova_types::{Skill, TaskId};

use crate::{Client, Submit, SubmitError, Submitted, TaskOutcome, WaitError};

/// How far a bulk submit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BulkProgress {
    /// Tasks the broker has.
    pub submitted: u64,
    /// Of these, dropped as duplicates.
    pub duplicates: u64,
    /// Tasks that were refused or whose receipt is missing.
    pub failed: u64,
}

impl Client {
    /// Submits many tasks and yields one answer for each, in their order; at most
    /// [`in_flight`](crate::ClientOptions::in_flight) are under way.
    ///
    /// Nothing is sent beyond what the stream is polled for.
    pub fn submit_many<S>(&self, tasks: S) -> impl Stream<Item = Result<Submitted, SubmitError>> + Send + use<S>
    where
        S: Stream<Item = Submit> + Send,
    {
        let client = self.clone();
        let in_flight = self.inner.options.in_flight.max(1);
        tasks
            .map(move |task| {
                let client = client.clone();
                async move { client.submit(task).await }
            })
            .buffered(in_flight)
    }

    /// Submits many tasks, tells `progress` after each, and returns one answer for each in their order.
    ///
    /// ```
    /// # use nova_client::{Client, Submit};
    /// # async fn example(client: Client) {
    /// let tasks = (0..1000).map(|n| Submit::json("echo".parse().expect("a skill"), &n).expect("a number"));
    /// let answers = client.submit_all(tasks, |so_far| eprintln!("{} submitted", so_far.submitted)).await;
    /// assert!(answers.iter().all(Result::is_ok));
    /// # }
    /// ```
    pub async fn submit_all<I>(
        &self,
        tasks: I,
        mut progress: impl FnMut(BulkProgress),
    ) -> Vec<Result<Submitted, SubmitError>>
    where
        I: IntoIterator<Item = Submit>,
        I::IntoIter: Send,
    {
        let mut so_far = BulkProgress::default();
        let mut answers = Vec::new();
        let mut pending = std::pin::pin!(self.submit_many(stream::iter(tasks)));
        while let Some(answer) = pending.next().await {
            match &answer {
                Ok(submitted) => {
                    so_far.submitted += 1;
                    so_far.duplicates += u64::from(submitted.is_duplicate);
                }
                Err(_) => so_far.failed += 1,
            }
            answers.push(answer);
            progress(so_far);
        }
        answers
    }

    /// Waits for many tasks over one subscription, and yields each as it ends.
    ///
    /// The `timeout` counts from the first poll, for all of them.
    pub fn wait_many<I>(
        &self,
        tasks: I,
        timeout: Duration,
    ) -> impl Stream<Item = (TaskId, Result<TaskOutcome, WaitError>)> + Send + use<I>
    where
        I: IntoIterator<Item = (Skill, TaskId)>,
    {
        tasks
            .into_iter()
            .map(|(skill, task)| {
                let client = self.clone();
                async move {
                    let ended = client.wait(&skill, &task, timeout).await;
                    (task, ended)
                }
            })
            .collect::<FuturesUnordered<_>>()
    }
}
