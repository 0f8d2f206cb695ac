//! Works a consumer off: every delivery is handled, many at once, until told to stop.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nova_broker::{BrokerRef, Delivery, Pull, PullItem, PullRequest, Ready, Settle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many deliveries one pull may bring: the next pull costs a round trip.
const BATCH: usize = 512;
/// How long the broker holds a pull.
const WAIT: Duration = Duration::from_secs(30);
/// The pause after a pull that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a delivery may be handled before its lease is extended: a third of the shortest lease there is.
const EXTEND: Duration = Duration::from_secs(1);

/// A consumer to work off.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// How many deliveries are handled at once.
    pub(crate) at_once: usize,
}

impl Queue {
    /// A consumer whose deliveries are a handful of writes each: enough at once to keep the connection busy.
    pub(crate) fn new(stream: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self { stream: stream.into(), consumer: consumer.into(), at_once: 256 }
    }
}

/// Runs until `stop`; what is under way is handled to its end.
pub(crate) async fn run<F>(
    broker: &BrokerRef,
    queue: Queue,
    stop: &CancellationToken,
    handle: impl Fn(Delivery) -> F + Sync,
) where
    F: Future<Output = Settle>,
{
    let handle = &handle;
    let at_once = queue.at_once;
    let consumer = queue.consumer.clone();
    let mut source = Source { broker, queue, opening: None, pull: None, pause_until: None };
    let mut under_way = FuturesUnordered::new();
    loop {
        let room = at_once.saturating_sub(under_way.len());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(()) = under_way.next(), if !under_way.is_empty() => {}
            delivery = source.next(room), if room > 0 => {
                let consumer = &consumer;
                under_way.push(async move {
                    let token = delivery.token.clone();
                    let work = handle(delivery);
                    tokio::pin!(work);
                    let settle = loop {
                        if let Ok(settle) = tokio::time::timeout(EXTEND, &mut work).await {
                            break settle;
                        }
                        if let Err(error) = broker.settle(&token, Settle::Extend).await {
                            tracing::debug!(consumer, %error, "lease was not extended");
                        }
                    };
                    if let Err(error) = broker.settle(&token, settle).await {
                        tracing::debug!(consumer, %error, "delivery was not settled and comes again");
                    }
                });
            }
        }
    }
    // What still arrives goes back unused.
    drop(source);
    while under_way.next().await.is_some() {}
}

/// The deliveries of a consumer, pull after pull.
struct Source<'a> {
    broker: &'a BrokerRef,
    queue: Queue,
    opening: Option<Ready<'a, Pull>>,
    pull: Option<Pull>,
    pause_until: Option<Instant>,
}

impl Source<'_> {
    /// The next delivery; a new pull asks for `room` at most.
    ///
    /// # Cancel safety
    /// What was begun goes on with the next call: nothing is lost.
    async fn next(&mut self, room: usize) -> Delivery {
        loop {
            if let Some(until) = self.pause_until {
                tokio::time::sleep_until(until).await;
                self.pause_until = None;
            }
            let Some(pull) = &mut self.pull else {
                let (broker, queue) = (self.broker, &self.queue);
                let opening = self.opening.get_or_insert_with(|| {
                    broker.pull(PullRequest {
                        stream: queue.stream.clone(),
                        consumer: queue.consumer.clone(),
                        batch: room.min(BATCH),
                        wait: Some(WAIT),
                    })
                });
                let opened = opening.await;
                self.opening = None;
                match opened {
                    Ok(pull) => self.pull = Some(pull),
                    Err(error) => {
                        tracing::warn!(consumer = self.queue.consumer, %error, "could not pull");
                        self.pause_until = Some(Instant::now() + PAUSE);
                    }
                }
                continue;
            };
            match pull.next().await {
                Some(Ok(PullItem::Delivery(delivery))) => return *delivery,
                Some(Ok(PullItem::Heartbeat)) => {}
                Some(Err(error)) => {
                    tracing::warn!(consumer = self.queue.consumer, %error, "pull ended");
                    self.pull = None;
                    self.pause_until = Some(Instant::now() + PAUSE);
                }
                None => self.pull = None,
            }
        }
    }
}
