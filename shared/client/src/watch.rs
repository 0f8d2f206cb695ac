//! Watching tasks live: their events and their end.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use nova_broker::{Listener, Message};
use nova_types::{Outcome, Skill, TaskId};
use nova_wire::{TaskEventRecord, assets, subject};

use crate::outcome::RawOutcome;
use crate::scan::walk;
use crate::{Client, QueryError};

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// Something happened to a task.
    Event(TaskEventRecord),
    /// A task ended; its result is fetched by [`Client::result`].
    Ended(Box<Outcome>),
}

/// What is watched, as it happens; dropping it ends the subscriptions.
pub type Watch = BoxStream<'static, Watched>;

impl Client {
    /// Watches one task: what is stored of its past first, then what happens, up to its end.
    ///
    /// Which events there are is the skill's setting; the end is always told, and only once.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn watch(&self, skill: &Skill, task: &TaskId) -> Result<Watch, QueryError> {
        let failed = || QueryError::broker(format!("watch task {task}"));
        let broker = &self.inner.broker;
        let events = subject::task_event("*", skill, task);
        // Listen before looking, so that nothing falls between.
        let live = broker.listen(events.clone(), None).await.map_err(failed())?;
        let done = self.register(skill, task).await;
        let ticket = done.map_err(|error| QueryError::Broker {
            what: format!("watch task {task}"),
            source: match error {
                crate::WaitError::Broker { source, .. } => source,
                other => nova_broker::BrokerError::Garbled { what: "a wait".into(), source: Box::new(other) },
            },
        })?;
        let past = self.past_events(&events).await?;
        let (client, skill, task) = (self.clone(), skill.clone(), task.clone());
        let end =
            async move { client.end_of(ticket, &skill, &task).await.map(|raw| Watched::Ended(Box::new(raw.outcome))) };
        Ok(tell_until_end(past, live, end))
    }

    /// Watches all tasks, or those of one skill, from now on and for as long as it is polled.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn watch_all(&self, skill: Option<&Skill>) -> Result<Watch, QueryError> {
        let failed = || QueryError::broker("watch the fleet");
        let broker = &self.inner.broker;
        let events = broker.listen(subject::ALL_TASK_EVENTS.to_owned(), None).await.map_err(failed())?;
        let done = broker.listen(subject::ALL_DONE.to_owned(), None).await.map_err(failed())?;
        let events = events.filter_map(|message| async move { read_event(&message).map(Watched::Event) });
        let done = done.filter_map(|message| async move {
            let raw = RawOutcome::parse(&message.headers, message.body).ok()?;
            Some(Watched::Ended(Box::new(raw.outcome)))
        });
        let wanted = skill.cloned();
        let told = stream::select(events, done).filter(move |told| {
            let skill = match told {
                Watched::Event(event) => &event.skill,
                Watched::Ended(outcome) => &outcome.skill,
            };
            std::future::ready(wanted.as_ref().is_none_or(|wanted| wanted == skill))
        });
        Ok(told.boxed())
    }

    async fn past_events(&self, subject: &str) -> Result<VecDeque<TaskEventRecord>, QueryError> {
        let failed = || QueryError::broker("read stored events");
        let mut past = VecDeque::new();
        let stream = self.inner.broker.stream(assets::EVENTS.to_owned()).await.map_err(failed())?;
        let Some(stream) = stream else { return Ok(past) };
        let (first, last) = (stream.first_sequence, stream.last_sequence);
        walk(&*self.inner.broker, assets::EVENTS, subject, first, last, |stored| {
            past.extend(serde_json::from_slice::<TaskEventRecord>(&stored.body).ok());
            ControlFlow::Continue(())
        })
        .await
        .map_err(failed())?;
        Ok(past)
    }
}

fn read_event(message: &Message) -> Option<TaskEventRecord> {
    serde_json::from_slice(&message.body).ok()
}

/// How many of the last past events are compared with live ones: those of the moment between listening and reading.
const OVERLAP: usize = 64;

/// The past, then what is live and not of the past, and the end as the last.
fn tell_until_end(
    past: VecDeque<TaskEventRecord>,
    live: Listener,
    end: impl Future<Output = Option<Watched>> + Send + 'static,
) -> Watch {
    let known: Vec<TaskEventRecord> = past.iter().rev().take(OVERLAP).cloned().collect();
    let live = live.filter_map(move |message| {
        let event = read_event(&message).filter(|event| !known.contains(event));
        async move { event.map(Watched::Event) }
    });
    let end = stream::once(end).filter_map(|ended| async move { ended });
    let past = stream::iter(past).map(Watched::Event);
    // The end is looked at last: events told before it come first.
    let merged = stream::select_with_strategy(live, end, |(): &mut ()| stream::PollNext::Left);
    let told = Box::pin(past.chain(merged));
    stream::unfold(Some(told), |told| async move {
        let mut told = told?;
        let next = told.next().await?;
        let goes_on = !matches!(next, Watched::Ended(_));
        Some((next, goes_on.then_some(told)))
    })
    .boxed()
}
