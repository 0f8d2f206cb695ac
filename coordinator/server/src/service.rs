//! The NATS micro service `nova-coordinator`: what can be asked of a coordinator, shown by `nats micro ls`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, Message};
use nova_runtime::{Shutdown, VERSION};
use nova_wire::subject;
use tokio::task::JoinSet;

use crate::Parts;
use crate::call::Calls;
use crate::later::Later;

/// The pause before the service is offered again after it was lost.
const AGAIN: Duration = Duration::from_secs(1);

/// The part.
pub(crate) struct Service {
    pub(crate) parts: Parts,
    pub(crate) calls: Arc<Calls>,
    pub(crate) later: Arc<Later>,
}

impl Service {
    fn shown(&self) -> nova_broker::Service {
        nova_broker::Service {
            name: "nova-coordinator".to_owned(),
            version: VERSION.to_owned(),
            description: "Nova coordinator: ask and wait, schedule".to_owned(),
            metadata: [("coordinator".to_owned(), self.parts.name.to_string())].into(),
            endpoints: vec![
                ("call".to_owned(), subject::ALL_CALLS.to_owned()),
                ("later".to_owned(), subject::ALL_LATER.to_owned()),
            ],
        }
    }

    /// Runs until told to stop; then no request is taken and every waiting call is answered at once.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        let mut under_way = JoinSet::new();
        let mut was_ready = false;
        while !stop.is_cancelled() {
            // The ends first: a call that is taken must be able to hear its task's.
            let offered = async {
                Ok::<_, BrokerError>((self.calls.listen().await?, self.parts.broker.serve(self.shown()).await?))
            };
            let (mut ends, mut requests) = match offered.await {
                Ok(offered) => offered,
                Err(error) => {
                    tracing::warn!(%error, "could not offer the service");
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            if !std::mem::replace(&mut was_ready, true) {
                tracing::info!(coordinator = %self.parts.name, "coordinator ready");
            }
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    end = ends.next() => match end {
                        Some(end) => self.calls.wake(end),
                        None => break,
                    },
                    Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
                    request = requests.next() => match request {
                        Some(request) => self.take(request, &mut under_way),
                        None => break,
                    },
                }
            }
        }
        while under_way.join_next().await.is_some() {}
        if let Err(error) = self.parts.broker.flush().await {
            tracing::debug!(%error, "the last answers may be lost");
        }
    }

    fn take(&self, request: Message, under_way: &mut JoinSet<()>) {
        // Without a reply nobody hears the answer, so the request means nothing.
        let Some(reply) = request.reply.clone() else { return };
        let (parts, calls, later) = (self.parts.clone(), Arc::clone(&self.calls), Arc::clone(&self.later));
        // Bounded by what each of the two admits; beyond it the answer is immediate.
        under_way.spawn(async move {
            let answer = if subject::parse_later(&request.subject).is_some() {
                later.handle(request, reply).await
            } else {
                calls.handle(request, reply).await
            };
            if let Err(error) = parts.broker.tell(answer).await {
                tracing::debug!(%error, "an answer was not told");
            }
        });
    }
}
