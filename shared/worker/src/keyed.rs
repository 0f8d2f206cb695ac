//! Keyed skills: which partitions of its keys this worker owns, kept as leases in the fleet's bucket.
//!
//! Each partition is worked by one worker at a time, so the order of a key is kept without asking anybody. A lease is a
//! key with a time to live that its owner renews; it is taken over by compare-and-set when it has run out, and given up
//! when the owner drains or another worker joins. A lease has run out, too, when nobody has renewed it for as long as it
//! lasts: a broker that was killed may keep it for ever. Whoever takes over waits, key by key, for what the one before him still
//! has; see `partition`.

mod earlier;
mod keys;
mod line;
mod partition;
mod share;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use nova_broker::{BrokerError, Expect, Listener, Message, PublishError};
use nova_wire::{Headers, Keyed, assets, limits, name, subject};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use partition::Partition;
pub(crate) use partition::note_settled;
use share::{View, decide};

use crate::rate::limiter::Grant;
use crate::slots::Slot;
use crate::station::Station;

/// How often a worker says that it lives, and renews its leases.
const BEAT: Duration = Duration::from_secs(1);
/// How long its word and its leases last: a dead owner is replaced within this and a look.
const TTL: Duration = Duration::from_secs(3);
/// How much earlier than the broker an owner takes his own lease for over.
const MARGIN: Duration = Duration::from_millis(500);
/// How often it is looked what is free.
const LOOK: Duration = Duration::from_millis(250);

/// Until when a partition is surely ours; measured from before each renewal was sent.
pub(crate) struct Tenure(Mutex<Instant>);

impl Tenure {
    fn until(end: Instant) -> Self {
        Self(Mutex::new(end))
    }

    fn prolong(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    fn holds(&self) -> bool {
        Instant::now() < *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A partition this worker owns.
struct Owned {
    revision: u64,
    tenure: Arc<Tenure>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

/// Owns partitions of one skill for one worker.
pub(crate) struct Governor {
    station: Arc<Station>,
    keyed: Keyed,
    running: TaskTracker,
    /// This process among the members.
    me: String,
    owned: BTreeMap<u16, Owned>,
    /// When each partition's owner, another one, was heard last.
    heard: HashMap<u16, Instant>,
    /// The revision of each lease of another, and since when it is known.
    stands: HashMap<u16, (u64, Instant)>,
    /// When each other member was heard last.
    members: HashMap<String, Instant>,
}

impl Governor {
    /// A worker that owns nothing yet; `process` tells it from others of its name.
    pub(crate) fn new(station: Arc<Station>, keyed: Keyed, running: TaskTracker, process: &str) -> Self {
        let me = format!("{}-{}", station.worker, process.trim_end_matches('-'));
        let (owned, heard, stands, members) = (BTreeMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
        Self { station, keyed, running, me, owned, heard, stands, members }
    }

    /// Owns its share until the worker drains; then everything is given up at once.
    pub(crate) async fn run(mut self) {
        let drain = self.station.drain.clone();
        let Some(mut listening) = self.listen(&drain).await else { return };
        self.beat().await;
        // Who owns something is a member, heard or not.
        let everyone: BTreeSet<u16> = (0..self.keyed.partitions).collect();
        self.look_up(&everyone).await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beaten = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => break,
                heard = listening.next() => match heard {
                    Some(message) => {
                        let is_freed = self.hear(&message);
                        if !is_freed {
                            continue;
                        }
                    }
                    None => match self.listen(&drain).await {
                        Some(anew) => listening = anew,
                        None => break,
                    },
                },
                _ = look.tick() => {}
            }
            if beaten.elapsed() >= BEAT {
                beaten = Instant::now();
                self.beat().await;
                self.renew().await;
            }
            self.balance().await;
        }
        let all: Vec<u16> = self.owned.keys().copied().collect();
        self.give(&all).await;
        self.write(&subject::keyed_member(&self.station.name, &self.me), None, Expect::Any).await.ok();
    }

    /// Hears what the members say; `None` when the worker drains.
    async fn listen(&self, drain: &CancellationToken) -> Option<Listener> {
        let all = subject::bucket_key(assets::CONFIG_BUCKET, &subject::keyed_leases(&self.station.name));
        loop {
            match self.station.broker.listen(all.clone(), None).await {
                Ok(listening) => return Some(listening),
                Err(error) => {
                    tracing::warn!(skill = %self.station.name, %error, "could not listen to the owners of partitions");
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(BEAT) => {}
                () = drain.cancelled() => return None,
            }
        }
    }

    /// Notes what another member said; says whether a partition became free.
    fn hear(&mut self, message: &Message) -> bool {
        let prefix = subject::bucket_key(assets::CONFIG_BUCKET, &subject::keyed_member(&self.station.name, ""));
        let is_over = message.headers.get("KV-Operation").is_some();
        if let Some(member) = message.subject.strip_prefix(&prefix) {
            if member != self.me {
                if is_over {
                    self.members.remove(member);
                } else {
                    self.members.insert(member.to_owned(), Instant::now());
                }
            }
            return false;
        }
        let Some(partition) = message.subject.rsplit('.').next().and_then(|token| token.parse::<u16>().ok()) else {
            return false;
        };
        if is_over {
            self.heard.remove(&partition);
            return true;
        }
        if *message.body != *self.me.as_bytes() {
            self.heard.insert(partition, Instant::now());
        }
        false
    }

    /// Says that this worker lives.
    async fn beat(&self) {
        let key = subject::keyed_member(&self.station.name, &self.me);
        if let Err(error) = self.write(&key, Some(TTL), Expect::Any).await {
            tracing::debug!(skill = %self.station.name, %error, "a member's word was not stored");
        }
    }

    /// Renews all leases; those that another holds are lost.
    async fn renew(&mut self) {
        let sent = Instant::now();
        let this = &*self;
        let renewals = this.owned.iter().map(|(partition, owned)| async move {
            let key = subject::partition_lease(&this.station.name, *partition);
            (*partition, this.write(&key, Some(TTL), Expect::Last(owned.revision)).await)
        });
        for (partition, renewed) in join_all(renewals).await {
            match renewed {
                Ok(revision) => {
                    let owned = self.owned.get_mut(&partition).expect("only this removes them");
                    owned.revision = revision;
                    owned.tenure.prolong(sent + TTL - MARGIN);
                }
                Err(PublishError::Unknown { .. }) => {
                    // It may have been stored: what stands there tells.
                    match self.read(partition).await {
                        Ok((revision, Some(holder))) if holder == self.me => {
                            self.owned.get_mut(&partition).expect("only this removes them").revision = revision;
                        }
                        Ok((_, Some(_))) => self.lose(partition).await,
                        Ok((_, None)) | Err(_) => {}
                    }
                }
                Err(PublishError::Conflict { .. }) => self.lose(partition).await,
                Err(error) => tracing::warn!(skill = %self.station.name, partition, %error, "a partition was not kept"),
            }
        }
    }

    /// Gives up what is beyond the share of this worker and takes what is missing from it.
    async fn balance(&mut self) {
        // Whoever could not renew in time has lost it, whoever has it now.
        let lapsed: Vec<u16> = self.owned.iter().filter(|(_, owned)| !owned.tenure.holds()).map(|(p, _)| *p).collect();
        for partition in lapsed {
            self.lose(partition).await;
        }
        let now = Instant::now();
        let is_fresh = |at: &Instant| now.duration_since(*at) < TTL;
        self.members.retain(|_, at| is_fresh(at));
        self.heard.retain(|_, at| is_fresh(at));
        let mut members: BTreeSet<String> = self.members.keys().cloned().collect();
        members.insert(self.me.clone());
        let mine: BTreeSet<u16> = self.owned.keys().copied().collect();
        let free = (0..self.keyed.partitions).filter(|p| !mine.contains(p) && !self.heard.contains_key(p)).collect();
        let partitions = self.keyed.partitions;
        let moves = decide(&View { me: &self.me, members: &members, partitions, mine: &mine, free: &free });
        self.give(&moves.give).await;
        if !moves.claim.is_empty() {
            self.look_up(&moves.claim.iter().copied().collect()).await;
            for partition in moves.claim {
                if !self.heard.contains_key(&partition) {
                    self.claim(partition).await;
                }
            }
        }
    }

    /// Reads who owns these partitions.
    async fn look_up(&mut self, partitions: &BTreeSet<u16>) {
        let this = &*self;
        let reads = partitions.iter().map(|partition| async move { (*partition, this.read(*partition).await) });
        let now = Instant::now();
        for (partition, read) in join_all(reads).await {
            match read {
                Ok((revision, Some(holder))) if holder != self.me => {
                    if !self.has_run_out(partition, revision, now) {
                        self.heard.insert(partition, now);
                        self.members.entry(holder).or_insert(now);
                    }
                }
                Ok(_) => {}
                // Not known to be free.
                Err(_) => drop(self.heard.insert(partition, now)),
            }
        }
    }

    /// Whether a lease of another was not renewed for as long as it lasts, by this worker's own clock. It was written before
    /// it was first seen here, so its owner has given up by then; one that renewed it all the same wins the compare-and-set.
    fn has_run_out(&mut self, partition: u16, revision: u64, now: Instant) -> bool {
        let stands = self.stands.entry(partition).or_insert((revision, now));
        if stands.0 != revision {
            *stands = (revision, now);
        }
        now.duration_since(stands.1) >= TTL
    }

    async fn claim(&mut self, partition: u16) {
        let sent = Instant::now();
        let Ok((revision, holder)) = self.read(partition).await else { return };
        if holder.is_some_and(|holder| holder != self.me) && !self.has_run_out(partition, revision, sent) {
            self.heard.insert(partition, sent);
            return;
        }
        let key = subject::partition_lease(&self.station.name, partition);
        match self.write(&key, Some(TTL), Expect::Last(revision)).await {
            Ok(revision) => {
                tracing::info!(skill = %self.station.name, partition, worker = %self.me, "partition taken");
                let (tenure, stop) = (Arc::new(Tenure::until(sent + TTL - MARGIN)), CancellationToken::new());
                let work = Partition {
                    station: Arc::clone(&self.station),
                    number: partition,
                    concurrency: self.keyed.concurrency,
                    tenure: Arc::clone(&tenure),
                    stop: stop.clone(),
                    running: self.running.clone(),
                };
                let work = tokio::spawn(work.run());
                self.owned.insert(partition, Owned { revision, tenure, stop, work });
            }
            Err(error) => {
                self.heard.insert(partition, sent);
                tracing::debug!(skill = %self.station.name, partition, %error, "partition was taken by another");
            }
        }
    }

    /// Gives partitions up: first what is not begun goes back, then the lease.
    async fn give(&mut self, partitions: &[u16]) {
        let given: Vec<(u16, Owned)> =
            partitions.iter().filter_map(|partition| Some((*partition, self.owned.remove(partition)?))).collect();
        given.iter().for_each(|(_, owned)| owned.stop.cancel());
        for (partition, owned) in given {
            let _ = owned.work.await;
            let key = subject::partition_lease(&self.station.name, partition);
            // Lost or overtaken, it runs out by itself.
            if let Err(error) = self.write(&key, None, Expect::Last(owned.revision)).await {
                tracing::debug!(skill = %self.station.name, partition, %error, "partition was not given up");
            }
            tracing::info!(skill = %self.station.name, partition, worker = %self.me, "partition given up");
            // Whoever needs it has a moment to take it.
            self.heard.insert(partition, Instant::now());
        }
    }

    /// A partition is no longer ours.
    async fn lose(&mut self, partition: u16) {
        let Some(owned) = self.owned.remove(&partition) else { return };
        tracing::warn!(skill = %self.station.name, partition, worker = %self.me, "partition lost");
        owned.stop.cancel();
        let _ = owned.work.await;
    }

    /// The last revision of a lease, and who holds it.
    async fn read(&self, partition: u16) -> Result<(u64, Option<String>), BrokerError> {
        let key = subject::partition_lease(&self.station.name, partition);
        let subject = subject::bucket_key(assets::CONFIG_BUCKET, &key);
        let stored = self.station.broker.last(assets::bucket_stream(assets::CONFIG_BUCKET), subject).await?;
        Ok(stored.map_or((0, None), |stored| {
            let is_mark =
                stored.headers.get("KV-Operation").is_some() || stored.headers.get("Nats-Marker-Reason").is_some();
            (stored.sequence, (!is_mark).then(|| String::from_utf8_lossy(&stored.body).into_owned()))
        }))
    }

    /// Writes this member's name under a key for a time, or deletes the key.
    async fn write(&self, key: &str, ttl: Option<Duration>, expect: Expect) -> Result<u64, PublishError> {
        let (headers, body) = match ttl {
            Some(ttl) => (Headers::new().with(name::TTL, limits::ttl_text(ttl)), self.me.clone()),
            None => (Headers::new().with("KV-Operation", "DEL"), String::new()),
        };
        let message = Message::new(subject::bucket_key(assets::CONFIG_BUCKET, key), body).with_headers(headers);
        self.station.broker.publish(message, expect).await.map(|receipt| receipt.sequence)
    }
}

/// Waits for a free slot and, where the skill has a rate, for the right to use it; the slot is not held meanwhile.
async fn slot_and_token(station: Arc<Station>) -> Slot {
    loop {
        let slot = station.slots.take().await;
        let Some(limiter) = &station.limiter else { return slot };
        match limiter.take(1).await {
            Grant::Now(_) => return slot,
            Grant::Wait(pause) => {
                station.meters.rate_waits.inc();
                drop(slot);
                tokio::time::sleep(pause).await;
            }
        }
    }
}
