//! Works a consumer off: every delivery is handled, many at once, until told to stop.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nova_broker::{BrokerRef, Delivery, PullItem, PullRequest, Settle};
use tokio_util::sync::CancellationToken;

/// How many deliveries are handled at once: a handful of writes each, enough to keep the connection busy.
const BATCH: usize = 256;
/// How long the broker holds a pull.
const WAIT: Duration = Duration::from_secs(30);
/// The pause after a pull that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A consumer to work off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) stream: &'static str,
    pub(crate) consumer: &'static str,
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
    while !stop.is_cancelled() {
        let request = PullRequest {
            stream: queue.stream.to_owned(),
            consumer: queue.consumer.to_owned(),
            batch: BATCH,
            wait: Some(WAIT),
        };
        let pulled = tokio::select! {
            pulled = broker.pull(request) => pulled,
            () = stop.cancelled() => return,
        };
        let mut pull = match pulled {
            Ok(pull) => Some(pull),
            Err(error) => {
                tracing::warn!(consumer = queue.consumer, %error, "could not pull");
                None
            }
        };
        let mut has_failed = pull.is_none();
        let mut under_way = FuturesUnordered::new();
        while let Some(open) = &mut pull {
            tokio::select! {
                item = open.next() => match item {
                    Some(Ok(PullItem::Delivery(delivery))) => under_way.push(async move {
                        let token = delivery.token.clone();
                        let settle = handle(*delivery).await;
                        if let Err(error) = broker.settle(&token, settle).await {
                            tracing::debug!(consumer = queue.consumer, %error, "delivery was not settled and comes again");
                        }
                    }),
                    Some(Ok(PullItem::Heartbeat)) => {}
                    Some(Err(error)) => {
                        tracing::warn!(consumer = queue.consumer, %error, "pull ended");
                        has_failed = true;
                        pull = None;
                    }
                    None => pull = None,
                },
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = stop.cancelled() => pull = None,
            }
        }
        while under_way.next().await.is_some() {}
        if has_failed {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}
