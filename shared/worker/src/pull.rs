//! Takes tasks of one skill off its queue: as many as there are free slots, the urgent ones first.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nova_broker::{BrokerError, Delivery, Pull, PullItem, PullRequest, Settle};
use nova_types::{Priority, UnixMillis};
use nova_wire::assets;
use tokio_util::task::TaskTracker;

use crate::rate::limiter::Grant;
use crate::rota::Rota;
use crate::slots::Slot;
use crate::station::Station;

/// The most tasks asked for at once: enough to hide a round trip behind short tasks, few enough to be fair to others.
const BATCH: usize = 256;
/// How long the broker holds a waiting pull. Each renewal costs a message per priority, so not too short.
const WAIT: Duration = Duration::from_secs(30);
/// The pause after a pull that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause before a connection that broke is looked at again.
const BREATH: Duration = Duration::from_millis(20);

/// The pulling side of one skill.
pub(crate) struct Puller {
    station: Arc<Station>,
    running: TaskTracker,
    rota: Rota,
    /// One waiting pull per priority, the doorbell of a queue found empty: while it stands nothing waits there, and what
    /// comes is brought at once. Kept over rounds: a dropped one would still take tasks at the broker.
    waiting: [Option<Pull>; 3],
    /// The connection over which they stand.
    epoch: u64,
    /// How many tasks are worth a slot in the next round: as many as may come, or as stood behind the last one.
    behind: usize,
}

impl Puller {
    pub(crate) fn new(station: Arc<Station>, running: TaskTracker) -> Self {
        Self { station, running, rota: Rota::default(), waiting: [None, None, None], epoch: 0, behind: BATCH }
    }

    /// Takes tasks until the worker drains.
    pub(crate) async fn run(mut self) {
        let drain = self.station.drain.clone();
        while !drain.is_cancelled() {
            let step = async {
                self.renew().await;
                // With a doorbell at every queue, and a slot for who rings, there is nothing to ask for.
                let is_listening = self.station.limiter.is_none() && self.waiting.iter().all(Option::is_some);
                if is_listening && self.station.slots.has_free() {
                    return self.wait().await;
                }
                match self.round().await {
                    Ok(0) => self.wait().await,
                    Ok(_) => {}
                    // The next step waits for the connection; one that is closed for good never says that it is down.
                    Err(BrokerError::Disconnected { .. }) => tokio::time::sleep(BREATH).await,
                    Err(error) => {
                        tracing::warn!(skill = %self.station.name, %error, "could not pull");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            tokio::select! {
                biased;
                () = drain.cancelled() => {}
                () = step => {}
            }
        }
    }

    /// After a new connection: pulls of the old one are gone, and the broker may have been killed. The same after a consumer
    /// was gone.
    async fn renew(&mut self) {
        let mut connection = self.station.broker.connection();
        let now = *connection.borrow_and_update();
        if now.is_up && self.station.horizon.is_of(now.epoch) {
            return;
        }
        // Taken before the broker is asked: should the connection change meanwhile, it is asked again.
        let Ok(epoch) = connection.wait_for(|c| c.is_up).await.map(|c| c.epoch) else { return };
        if std::mem::replace(&mut self.epoch, epoch) != epoch {
            self.waiting = [None, None, None];
        }
        let stream = assets::tasks_stream(&self.station.name);
        // Any of them tells the time.
        for priority in [Priority::Normal, Priority::High, Priority::Low] {
            match self.station.broker.consumer(stream.clone(), assets::consumer(priority).to_owned()).await {
                Ok(Some(info)) if info.now > UnixMillis(0) => {
                    // They are set up alike. No bound at all is none that could be met.
                    let most_out = u64::try_from(info.spec.max_ack_pending).unwrap_or(u64::MAX);
                    return self.station.horizon.set(epoch, info.now, most_out);
                }
                Ok(Some(_)) => tracing::error!(skill = %self.station.name, "the broker does not tell its time"),
                Ok(None) => {}
                Err(error) => {
                    return tracing::warn!(skill = %self.station.name, %error, "could not look at the queue");
                }
            }
        }
        // Until it answers every task counts as one that may have run before: slower, never wrong.
        tracing::error!(skill = %self.station.name, "queue is gone: run `nova provision check`");
    }

    fn start(&mut self, delivery: Box<Delivery>, slot: Option<Slot>) {
        // On the heap once: it is large, and would be moved with the task that holds it.
        self.running.spawn(Box::pin(Arc::clone(&self.station).handle(delivery, slot)));
    }

    /// Slots for the next tasks, as many as may start now; `None` after a pause in which none might.
    async fn ready(&mut self) -> Option<Vec<Slot>> {
        let mut free = vec![self.free_slot().await];
        let behind = std::mem::replace(&mut self.behind, BATCH);
        free.extend(self.station.slots.take_free(behind.saturating_sub(1)));
        let Some(limiter) = &self.station.limiter else { return Some(free) };
        match limiter.take(free.len()).await {
            Grant::Now(tokens) => free.truncate(tokens),
            Grant::Wait(pause) => {
                // Meanwhile the slots are for other skills, and no doorbell may bring what must not start.
                drop(free);
                self.waiting = [None, None, None];
                self.station.meters.rate_waits.inc();
                tokio::time::sleep(pause).await;
                return None;
            }
        }
        Some(free)
    }

    /// Starts what a doorbell brought outside of a round, or gives it back untouched where it must not start now.
    fn start_rung(&mut self, delivery: Box<Delivery>, slot: Option<Slot>) {
        if self.station.limiter.is_none() {
            return self.start(delivery, slot);
        }
        let station = Arc::clone(&self.station);
        // Nothing here waits for it: a delivery that is at hand is never dropped.
        self.running.spawn(async move {
            let limiter = station.limiter.as_ref().expect("looked at above");
            match slot {
                Some(slot) if limiter.take(1).await == Grant::Now(1) => station.handle(delivery, Some(slot)).await,
                _ => station.settle(&delivery.token, Settle::Nak { delay: Duration::ZERO }).await,
            }
        });
    }

    /// Asks each priority that may have tasks for what is there now; says how many came.
    async fn round(&mut self) -> Result<usize, BrokerError> {
        let Some(mut free) = self.ready().await else { return Ok(1) };
        let asked = self.ask(&mut free).await;
        if let Some(limiter) = &self.station.limiter {
            limiter.give_back(free.len()).await;
        }
        asked
    }

    async fn ask(&mut self, free: &mut Vec<Slot>) -> Result<usize, BrokerError> {
        let (mut came, mut failed) = (self.answer_doorbells(free), None);
        for priority in self.rota.next() {
            if free.is_empty() {
                break;
            }
            if self.waiting[priority as usize].is_some() {
                continue;
            }
            match self.take(priority, free).await {
                Ok((taken, is_empty)) => {
                    came += taken;
                    if is_empty {
                        self.waiting[priority as usize] = Some(pull(&self.station, priority, 1, Some(WAIT)).await?);
                    }
                }
                Err(error @ BrokerError::Disconnected { .. }) => return Err(error),
                // A consumer that is gone or has too much out must not keep the others from being asked.
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if came == 0 => Err(error),
            _ => Ok(came),
        }
    }

    /// Starts what the waiting pulls have brought by now; says how many.
    fn answer_doorbells(&mut self, free: &mut Vec<Slot>) -> usize {
        let mut came = 0;
        while let Some(rung) = brought(&mut self.waiting).now_or_never() {
            match rung {
                Ok(Some((_, delivery))) => {
                    came += 1;
                    match free.pop() {
                        Some(slot) => self.start(delivery, Some(slot)),
                        None => self.start_rung(delivery, None),
                    }
                }
                // One that ended is cleared, and its queue asked again.
                Ok(None) => {}
                Err(error) => {
                    self.station.doubt(&error);
                    tracing::debug!(skill = %self.station.name, %error, "a waiting pull was cut off");
                }
            }
        }
        came
    }

    /// Takes what is there of one priority, a slot for each; says how many came, and whether they were the last.
    async fn take(&mut self, priority: Priority, free: &mut Vec<Slot>) -> Result<(usize, bool), BrokerError> {
        let (mut came, mut is_last) = (0, false);
        let mut pulled = pull(&self.station, priority, free.len(), None).await?;
        while let Some(item) = pulled.next().await {
            if let PullItem::Delivery(delivery) = item.inspect_err(|error| self.station.doubt(error))? {
                came += 1;
                is_last = delivery.pending == 0;
                self.start(delivery, free.pop());
            }
        }
        // Fewer than asked for: the queue is empty, too.
        Ok((came, is_last || !free.is_empty()))
    }

    /// Waits for a free slot; what the waiting pulls bring meanwhile is held under lease.
    async fn free_slot(&mut self) -> Slot {
        let slots = self.station.slots.clone();
        let slot = slots.take();
        tokio::pin!(slot);
        loop {
            tokio::select! {
                biased;
                slot = &mut slot => return slot,
                delivery = brought(&mut self.waiting) => {
                    match delivery {
                        Ok(Some((_, delivery))) => self.start_rung(delivery, None),
                        Ok(None) => {}
                        Err(error) => self.station.doubt(&error),
                    }
                }
            }
        }
    }

    /// Nothing is there: waits until something comes, or the connection changes.
    async fn wait(&mut self) {
        for priority in Priority::ALL {
            if self.waiting[priority as usize].is_none() {
                match pull(&self.station, priority, 1, Some(WAIT)).await {
                    Ok(waiting) => self.waiting[priority as usize] = Some(waiting),
                    Err(error) => {
                        tracing::warn!(skill = %self.station.name, %error, "could not pull");
                        return tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        let mut connection = self.station.broker.connection();
        connection.borrow_and_update();
        tokio::select! {
            biased;
            delivery = brought(&mut self.waiting) => match delivery {
                Ok(Some((priority, delivery))) => {
                    let (slot, behind) = (self.station.slots.take_free(1).pop(), delivery.pending);
                    let has_slot = slot.is_some();
                    self.start_rung(delivery, slot);
                    self.behind = usize::try_from(behind).unwrap_or(BATCH).clamp(1, BATCH);
                    // Nothing stands behind it: asking for more would be two messages in vain for each lone task.
                    if behind == 0 && has_slot {
                        self.waiting[priority as usize] = pull(&self.station, priority, 1, Some(WAIT)).await.ok();
                    }
                }
                Ok(None) | Err(BrokerError::Disconnected { .. }) => {}
                // Such as a consumer that was deleted: asked again at once, the broker would refuse as quickly.
                Err(error) => {
                    self.station.doubt(&error);
                    tracing::warn!(skill = %self.station.name, %error, "a waiting pull was cut off");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            changed = connection.changed() => {
                // Closed for good: this is not to spin until the worker has ended.
                if changed.is_err() {
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

async fn pull(
    station: &Station,
    priority: Priority,
    batch: usize,
    wait: Option<Duration>,
) -> Result<Pull, BrokerError> {
    station.meters.pulls.inc();
    let stream = assets::tasks_stream(&station.name);
    let consumer = assets::consumer(priority).to_owned();
    let pulled = station.broker.pull(PullRequest { stream, consumer, batch, wait }).await;
    pulled.inspect_err(|error| station.doubt(error))
}

/// What the first of the waiting pulls brings, and which; `None` or why when one of them ended, which is then cleared.
///
/// # Cancel safety
/// Safe: nothing is taken from a pull before this returns.
async fn brought(waiting: &mut [Option<Pull>; 3]) -> Result<Option<(Priority, Box<Delivery>)>, BrokerError> {
    std::future::poll_fn(|cx| {
        for (priority, pull) in Priority::ALL.into_iter().zip(waiting.iter_mut()) {
            while let Some(held) = pull {
                match held.poll_next_unpin(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(PullItem::Heartbeat))) => {}
                    Poll::Ready(Some(Ok(PullItem::Delivery(delivery)))) => {
                        return Poll::Ready(Ok(Some((priority, delivery))));
                    }
                    Poll::Ready(Some(Err(error))) => {
                        *pull = None;
                        return Poll::Ready(Err(error));
                    }
                    Poll::Ready(None) => {
                        *pull = None;
                        return Poll::Ready(Ok(None));
                    }
                }
            }
        }
        Poll::Pending
    })
    .await
}
