//! Works one partition for as long as this worker owns it: pulls, starts what its keys allow, hands the rest back.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use nova_broker::{BrokerError, Pull, PullItem, PullRequest, Scan, Settle, Stored};
use nova_types::TaskId;
use nova_wire::{assets, subject};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::earlier::{Gate, Place, Stretch, earlier, has_forgotten, look};
use super::keys::{Keys, Want};
use super::{Tenure, slot_and_token};
use crate::rate::KeyLimits;
use crate::slots::Slot;
use crate::station::Station;

/// The most tasks asked for at once.
const BATCH: usize = 128;
/// How long the broker holds a waiting pull.
const WAIT: Duration = Duration::from_secs(30);
/// The pause after a pull or a look that failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is looked whether an earlier owner still has something, and whether the tenure was renewed.
const LOOK: Duration = Duration::from_millis(200);
/// How long a pull that was given up may still be given tasks: as long as its inbox is listened to, and a little more.
const GIVEN_UP: Duration = Duration::from_millis(350);
/// How many outcomes are looked up at once.
const LOOK_UPS: usize = 256;

tokio::task_local! {
    /// How the delivery that is being handled was settled last.
    static SETTLED: Cell<Option<Settle>>;
}

/// Notes how the delivery that is being handled was settled; of no use but for a keyed skill.
pub(crate) fn note_settled(settle: Settle) {
    // Elsewhere nobody asks.
    let _ = SETTLED.try_with(|settled| settled.set(Some(settle)));
}

/// One partition of a skill, owned.
pub(super) struct Partition {
    pub(super) station: Arc<Station>,
    pub(super) number: u16,
    pub(super) concurrency: u32,
    pub(super) tenure: Arc<Tenure>,
    pub(super) stop: CancellationToken,
    pub(super) running: TaskTracker,
}

/// What was read for a key.
enum Read {
    /// What there may be elsewhere.
    Placed(Result<Place, BrokerError>),
    Cleared(Arc<str>, Result<Vec<(u64, TaskId)>, BrokerError>),
    Fetched {
        key: Arc<str>,
        from: u64,
        most: usize,
        found: Result<Vec<Stored>, BrokerError>,
    },
    /// What the broker says is out, unless it has forgotten it, and what of it was with this owner before it was asked.
    Looked {
        out: Option<u64>,
        mine: Vec<u64>,
        ended: Vec<u64>,
    },
}

struct Shift {
    of: Partition,
    keys: Keys,
    gate: Gate,
    /// Counts the gates: what was read for one says nothing about the next.
    gates: u64,
    /// The number of the last delivery that came here, or that the broker had made when this owner began.
    order: u64,
    /// The last sequence that the broker is known to have delivered.
    seen: u64,
    pull: Option<Pull>,
    pull_at: Instant,
    /// Each with the gate it was begun at.
    reads: FuturesUnordered<BoxFuture<'static, (u64, Read)>>,
    is_looking: bool,
    /// What runs, as much as there are slots: each ends with how it was settled.
    attempts: FuturesUnordered<BoxFuture<'static, (u64, Option<Settle>)>>,
}

impl Partition {
    /// Works until stopped; then everything not begun is handed back.
    pub(super) async fn run(self) {
        let stop = self.stop.clone();
        let Place { stretch: gate, delivered, deliveries } = loop {
            tokio::select! {
                biased;
                looked = look(&self.station, self.stream(), self.consumer(), 0) => match looked {
                    Ok(looked) => break looked,
                    Err(error) => {
                        tracing::warn!(skill = %self.station.name, partition = self.number, %error, "could not look at a partition");
                        tokio::select! {
                            biased;
                            () = tokio::time::sleep(PAUSE) => {}
                            () = stop.cancelled() => return,
                        }
                    }
                },
                () = stop.cancelled() => return,
            }
        };
        let rate = self.station.policy.key_rate.map(|rate| KeyLimits::new(rate, self.station.now()));
        let keys = Keys::new(self.concurrency, self.station.policy.lease, gate.is_some()).with_rate(rate);
        let shift = Shift {
            of: self,
            keys,
            gate: gate.map_or(Gate::Open, Gate::Closed),
            gates: 0,
            order: deliveries,
            seen: delivered,
            pull: None,
            pull_at: Instant::now(),
            reads: FuturesUnordered::new(),
            is_looking: false,
            attempts: FuturesUnordered::new(),
        };
        shift.work(&stop).await;
    }

    fn stream(&self) -> String {
        assets::tasks_stream(&self.station.name)
    }

    fn consumer(&self) -> String {
        assets::partition_consumer(self.number)
    }
}

impl Shift {
    async fn work(mut self, stop: &CancellationToken) {
        let lease = self.of.station.policy.lease;
        let mut extend = tokio::time::interval(lease / 3);
        let mut look = tokio::time::interval(LOOK);
        extend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut slot: Option<BoxFuture<'static, Slot>> = None;
        loop {
            self.read_what_is_wanted();
            let can_start = self.keys.ready() > 0 && self.of.tenure.holds();
            if can_start {
                // Kept over rounds, for its place in the row of those who wait.
                let station = Arc::clone(&self.of.station);
                slot.get_or_insert_with(|| slot_and_token(station).boxed());
            } else {
                slot = None;
            }
            let is_hungry = self.keys.ready() < self.of.station.slots.total().saturating_mul(2).clamp(16, BATCH);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((sequence, settled)) = self.attempts.next(), if !self.attempts.is_empty() => match settled {
                    Some(Settle::Ack) => self.keys.finish(sequence),
                    _ => self.keys.put_off(sequence),
                },
                Some((gate, read)) = self.reads.next(), if !self.reads.is_empty() => self.take_up(gate, read).await,
                taken = async { slot.as_mut().expect("asked for above").await }, if slot.is_some() => {
                    slot = None;
                    self.start(taken);
                    let station = Arc::clone(&self.of.station);
                    while station.limiter.is_none()
                        && self.keys.ready() > 0
                        && let Some(more) = station.slots.take_free(1).pop()
                    {
                        self.start(more);
                    }
                }
                item = next(&mut self.pull), if self.pull.is_some() => self.take_in(item).await,
                () = tokio::time::sleep_until(self.pull_at), if self.pull.is_none() && is_hungry => self.ask().await,
                () = wake(self.keys.wakes()) => self.keys.wake(Instant::now()),
                _ = extend.tick() => self.extend(lease).await,
                _ = look.tick() => self.look_again(),
            }
        }
        // What still arrives is handed back by the pull itself.
        let has_pulled = self.pull.take().is_some();
        for token in self.keys.hand_back() {
            self.of.station.settle(&token, Settle::Nak { delay: Duration::ZERO }).await;
        }
        // The next owner must find no request of ours: what it would still be given comes back behind later tasks.
        if has_pulled {
            tokio::time::sleep(GIVEN_UP).await;
            self.of.station.broker.flush().await.ok();
        }
    }

    fn start(&mut self, slot: Slot) {
        let Some((delivery, leased)) = self.keys.next(Instant::now(), self.of.station.now()) else { return };
        let (sequence, station) = (delivery.sequence, Arc::clone(&self.of.station));
        let handled = async move {
            station.handle_since(Box::new(delivery), Some(slot), leased).await;
            SETTLED.with(Cell::get)
        };
        let attempt = self.of.running.spawn(SETTLED.scope(Cell::new(None), handled));
        // One that broke off comes again by itself.
        self.attempts.push(attempt.map(move |settled| (sequence, settled.ok().flatten())).boxed());
    }

    async fn ask(&mut self) {
        let station = &self.of.station;
        station.meters.pulls.inc();
        let (stream, consumer) = (self.of.stream(), self.of.consumer());
        match station.broker.pull(PullRequest { stream, consumer, batch: BATCH, wait: Some(WAIT) }).await {
            Ok(pull) => self.pull = Some(pull),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &BrokerError) {
        self.pull_at = Instant::now() + PAUSE;
        self.of.station.doubt(error);
        if !matches!(error, BrokerError::Disconnected { .. }) {
            tracing::warn!(skill = %self.of.station.name, partition = self.of.number, %error, "could not pull");
        }
    }

    async fn take_in(&mut self, item: Option<Result<PullItem, BrokerError>>) {
        match item {
            Some(Ok(PullItem::Delivery(delivery))) => {
                let is_next = delivery.order == self.order.saturating_add(1);
                self.order = delivery.order;
                self.seen = self.seen.max(delivery.sequence);
                if !is_next {
                    self.close();
                }
                if let Some(park) = self.keys.take_in(*delivery, Instant::now()) {
                    self.of.station.settle(&park.token, Settle::Nak { delay: park.pause }).await;
                }
            }
            Some(Ok(PullItem::Heartbeat)) => {}
            Some(Err(error)) => {
                self.pull = None;
                self.failed(&error);
            }
            None => self.pull = None,
        }
    }

    /// A delivery went elsewhere or was lost with a connection: it is out, and later tasks of its key must wait for it.
    fn close(&mut self) {
        self.gate = Gate::Unknown;
        self.gates += 1;
        self.is_looking = false;
        self.keys.close();
        self.read_place();
    }

    fn read_place(&mut self) {
        let (station, stream, consumer) = (Arc::clone(&self.of.station), self.of.stream(), self.of.consumer());
        let seen = self.seen;
        self.read(async move { Read::Placed(look(&station, stream, consumer, seen).await) });
    }

    fn read(&mut self, read: impl Future<Output = Read> + Send + 'static) {
        let gate = self.gates;
        self.reads.push(read.map(move |read| (gate, read)).boxed());
    }

    async fn extend(&mut self, lease: Duration) {
        let now = Instant::now();
        for token in self.keys.leases(now.checked_sub(lease / 6).unwrap_or(now), now) {
            self.of.station.settle(&token, Settle::Extend).await;
        }
    }

    /// Starts to read what keys need before they can go on.
    fn read_what_is_wanted(&mut self) {
        if matches!(self.gate, Gate::Unknown) {
            return;
        }
        for want in self.keys.wants() {
            let (station, stream) = (Arc::clone(&self.of.station), self.of.stream());
            let of_key = |key: &str| subject::key_in_partition(&station.name, self.of.number, key);
            match want {
                Want::Clear { key } => {
                    let Gate::Closed(gate) = self.gate else {
                        self.keys.clear(&key, Vec::new());
                        continue;
                    };
                    let filter = of_key(&key);
                    self.read(async move {
                        let found = earlier(&station, stream, filter, gate).await;
                        Read::Cleared(key, found)
                    });
                }
                Want::Fetch { key, from, most } => {
                    let scan = Scan::all(stream, of_key(&key), most).from(from);
                    self.read(async move {
                        let found = station.broker.scan(scan).await;
                        Read::Fetched { key, from, most, found }
                    });
                }
            }
        }
    }

    async fn take_up(&mut self, gate: u64, read: Read) {
        let paused = |error: BrokerError| async move {
            tracing::warn!(%error, "could not read a key's tasks");
            tokio::time::sleep(PAUSE).await;
        };
        let is_stale = gate != self.gates;
        match read {
            // All of it was asked for again at the gate that came after.
            Read::Placed(_) | Read::Cleared(..) | Read::Looked { .. } if is_stale => {}
            Read::Placed(Ok(Place { stretch: Some(stretch), .. })) => self.gate = Gate::Closed(stretch),
            Read::Placed(Ok(Place { stretch: None, .. })) => {
                self.gate = Gate::Open;
                self.keys.open();
            }
            Read::Placed(Err(error)) => {
                paused(error).await;
                self.read_place();
            }
            Read::Cleared(key, Ok(elsewhere)) => self.keys.clear(&key, elsewhere),
            Read::Cleared(key, Err(error)) => {
                paused(error).await;
                self.keys.not_cleared(&key);
            }
            Read::Fetched { key, from, most, found: Ok(found) } => {
                // A full page tells of no more than it holds.
                let last = found.last().map_or(from, |stored| stored.sequence);
                let upto = if found.len() < most { u64::MAX } else { last };
                for token in self.keys.fetched(&key, upto, found, Instant::now()) {
                    self.of.station.settle(&token, Settle::Extend).await;
                }
            }
            Read::Fetched { key, found: Err(error), .. } => {
                paused(error).await;
                self.keys.not_fetched(&key);
            }
            Read::Looked { out, mine, ended } => {
                self.is_looking = false;
                // Only what was here before and still is was surely counted: what came or ended meanwhile may stand for
                // something that an earlier owner has.
                let sure = mine.into_iter().filter(|sequence| self.keys.is_mine(*sequence)).count() as u64;
                ended.into_iter().for_each(|sequence| self.keys.finish(sequence));
                // All that is out is with this owner: the earlier ones have nothing any more.
                if out.is_some_and(|out| out <= sure) {
                    self.gate = Gate::Open;
                    self.keys.open();
                }
            }
        }
    }

    /// Looks whether an earlier owner has ended something.
    fn look_again(&mut self) {
        let Gate::Closed(Stretch { delivered, .. }) = self.gate else { return };
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let (station, awaited) = (Arc::clone(&self.of.station), self.keys.awaited());
        // What an earlier owner had, too, he may ack at any time: counted here and not out, it would hide another.
        let mine = self.keys.mine_behind(delivered);
        let (stream, consumer, seen) = (self.of.stream(), self.of.consumer(), self.seen);
        let look = async move {
            let ended = futures_util::stream::iter(awaited).map(|(sequence, task)| {
                let station = &station;
                async move {
                    let outcome = station.stored_outcome(&task).await;
                    matches!(outcome, Ok(Some(_))).then_some(sequence)
                }
            });
            let ended = ended.buffer_unordered(LOOK_UPS).filter_map(|ended| async move { ended }).collect().await;
            let info = station.broker.consumer(stream, consumer).await.ok().flatten();
            let out = info.filter(|info| !has_forgotten(info, seen)).map(|info| info.ack_pending);
            Read::Looked { out, mine, ended }
        };
        self.read(look);
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn next(pull: &mut Option<Pull>) -> Option<Result<PullItem, BrokerError>> {
    pull.as_mut()?.next().await
}
