//! Takes a skill's tokens from the fleet's one bucket, a slice at a time.
//!
//! The bucket is a record under compare-and-set: whoever takes a slice writes what is left. Its time is the broker's,
//! told with the state of a queue, and counted on from there too slowly rather than too fast. A slice is used within the
//! hold of its budget or lost: so a worker that dies, or is stopped for a while, takes no more than that with it.

use std::time::Duration;

use nova_broker::{BrokerRef, Bucket, Expect, PublishError};
use nova_types::{Rate, Skill, UnixMillis};
use nova_wire::assets;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Budget, TokenBucket};

/// How long the broker's time is counted on before it is asked again: what two clocks drift apart meanwhile is far below
/// [`DRIFT`] of it.
const CLOCK_AGE: Duration = Duration::from_secs(10);
/// By which part of the time that passed the counted time lags behind.
const DRIFT: u32 = 1000;
/// How often a slice is tried for that others take at the same time.
const TRIES: u32 = 6;
/// What is worth waking up for when tokens are short: fewer, larger slices keep many starved workers quiet.
const WORTH: Duration = Duration::from_millis(100);
/// How far starved workers spread at first, and at most.
const SPREAD: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The pause when the bucket cannot be reached.
const PAUSE: Duration = Duration::from_secs(1);

/// What was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// So many may start at once.
    Now(usize),
    /// None before this has passed.
    Wait(Duration),
}

/// One skill's rate, for one worker.
pub(crate) struct Limiter {
    broker: BrokerRef,
    bucket: Bucket,
    skill: Skill,
    /// A consumer of the skill's queue, whose state tells the broker's time.
    consumer: String,
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    clock: Option<BrokerTime>,
    /// What this worker wrote last, and so may build on.
    known: Option<(TokenBucket, Expect)>,
    slice: Slice,
    /// How many tokens are worth taking at once while there are plenty.
    stride: u32,
    /// How often in a row there was nothing to take.
    misses: u32,
}

#[derive(Default, Clone, Copy)]
struct Slice {
    left: u32,
    until: Option<Instant>,
}

/// The broker's time, as it was told.
#[derive(Clone, Copy)]
struct BrokerTime {
    moment: UnixMillis,
    asked: Instant,
    answered: Instant,
}

impl BrokerTime {
    /// Never later than the broker's own clock.
    fn now(&self) -> UnixMillis {
        let passed = self.answered.elapsed();
        self.moment.plus(passed - passed / DRIFT)
    }

    /// The instant at which the broker's clock cannot show more than this moment yet.
    fn instant_of(&self, moment: UnixMillis) -> Instant {
        self.asked + moment.since(self.moment)
    }
}

impl Limiter {
    pub(crate) fn new(broker: &BrokerRef, skill: &Skill, consumer: String, rate: Rate) -> Self {
        Self {
            bucket: Bucket::new(broker.clone(), assets::CONFIG_BUCKET),
            broker: broker.clone(),
            skill: skill.clone(),
            consumer,
            budget: Budget::shared(rate),
            state: Mutex::default(),
        }
    }

    /// Takes up to `want` tokens, to be used at once.
    ///
    /// # Cancel safety
    /// Dropping it may lose a slice; no token is given twice.
    pub(crate) async fn take(&self, want: usize) -> Grant {
        let want = u32::try_from(want).unwrap_or(u32::MAX).max(1);
        let mut state = self.state.lock().await;
        if let Some(tokens) = state.use_slice(want) {
            return Grant::Now(tokens);
        }
        state.stride_for(want, self.budget.most());
        match self.slice(&mut state, want).await {
            Ok(()) => match state.use_slice(want) {
                Some(tokens) => Grant::Now(tokens),
                // It took longer to get than it may be held.
                None => Grant::Wait(jitter(PAUSE)),
            },
            Err(pause) => Grant::Wait(pause),
        }
    }

    /// Gives back tokens that were taken this moment and not used.
    pub(crate) async fn give_back(&self, tokens: usize) {
        let mut state = self.state.lock().await;
        state.slice.left = state.slice.left.saturating_add(u32::try_from(tokens).unwrap_or(0));
    }

    /// Takes a new slice, or says how long to wait for one.
    async fn slice(&self, state: &mut State, want: u32) -> Result<(), Duration> {
        for round in 0..TRIES {
            let clock = self.clock(state).await?;
            let now = clock.now();
            let (mut left, expect) = match state.known {
                Some(known) => known,
                None => self.look(now).await?,
            };
            let most = left.left(&self.budget, now);
            if most == 0 {
                state.known = None;
                return Err(self.starve(state, left, want, now));
            }
            // Plenty is what leaves as much for others.
            let size = if most > self.budget.most() / 2 { want.max(state.stride.min(most / 2)) } else { want };
            let taken = left.take(&self.budget, size, now);
            let value = serde_json::to_vec(&left).expect("a plain record always encodes");
            match self.bucket.put(&assets::rate_key(&self.skill), value, None, expect).await {
                Ok(receipt) => {
                    state.known = Some((left, Expect::Last(receipt.sequence)));
                    state.misses = 0;
                    state.slice = Slice { left: taken, until: Some(clock.instant_of(now) + self.budget.hold) };
                    return Ok(());
                }
                Err(PublishError::Conflict { .. }) => {
                    state.known = None;
                    tokio::time::sleep(jitter(Duration::from_millis(1 << round))).await;
                }
                Err(error) => {
                    state.known = None;
                    tracing::warn!(skill = %self.skill, %error, "no slice of the rate could be taken");
                    return Err(jitter(PAUSE));
                }
            }
        }
        state.misses += 1;
        Err(jitter(SPREAD.0 * (1 << state.misses.min(5))))
    }

    /// The bucket as it stands; a full one where there was none.
    async fn look(&self, now: UnixMillis) -> Result<(TokenBucket, Expect), Duration> {
        let slot = self.bucket.slot(&assets::rate_key(&self.skill)).await.map_err(|error| {
            tracing::warn!(skill = %self.skill, %error, "the rate could not be read");
            jitter(PAUSE)
        })?;
        let Some((value, _)) = slot.held else { return Ok((TokenBucket::full(&self.budget, now), slot.expect)) };
        let bucket = serde_json::from_slice(&value).unwrap_or_else(|error| {
            tracing::warn!(skill = %self.skill, %error, "the record of the rate is damaged: beginning with none");
            TokenBucket::empty(now)
        });
        Ok((bucket, slot.expect))
    }

    /// How long a starved worker waits: until a slice is worth it, and longer the more others are after it.
    fn starve(&self, state: &mut State, left: TokenBucket, want: u32, now: UnixMillis) -> Duration {
        let worth = want.min(self.budget.in_stretch(WORTH)).min((self.budget.most() / 2).max(1));
        let wait = left.wait_for(&self.budget, worth, now);
        let spread = (SPREAD.0 * (1 << state.misses.min(6))).min(SPREAD.1).max(wait / 32);
        state.misses += 1;
        wait + spread.mul_f64(fastrand::f64())
    }

    async fn clock(&self, state: &mut State) -> Result<BrokerTime, Duration> {
        if let Some(clock) = state.clock.filter(|clock| clock.answered.elapsed() < CLOCK_AGE) {
            return Ok(clock);
        }
        let asked = Instant::now();
        let info = match self.broker.consumer(assets::tasks_stream(&self.skill), self.consumer.clone()).await {
            Ok(Some(info)) => info,
            Ok(None) => return Err(jitter(PAUSE)),
            Err(error) => {
                tracing::warn!(skill = %self.skill, %error, "the broker does not tell its time");
                return Err(jitter(PAUSE));
            }
        };
        let clock = BrokerTime { moment: info.now, asked, answered: Instant::now() };
        state.clock = Some(clock);
        Ok(clock)
    }
}

impl State {
    fn use_slice(&mut self, want: u32) -> Option<usize> {
        let is_good = self.slice.until.is_some_and(|until| Instant::now() < until);
        if !is_good || self.slice.left == 0 {
            return None;
        }
        let tokens = want.min(self.slice.left);
        self.slice.left -= tokens;
        Some(tokens as usize)
    }

    /// Learns from the slice before: one that was used up early was too small, one that ran out with a rest too large.
    fn stride_for(&mut self, want: u32, most: u32) {
        self.stride = if self.slice.left == 0 { self.stride.saturating_mul(2) } else { self.stride / 2 };
        self.stride = self.stride.clamp(want.min(most), most.max(1));
        self.slice = Slice::default();
    }
}

/// Between a half and the whole.
fn jitter(pause: Duration) -> Duration {
    pause / 2 + (pause / 2).mul_f64(fastrand::f64())
}
