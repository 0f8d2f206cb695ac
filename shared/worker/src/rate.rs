//! Token buckets: how many may start now, decided from data alone.

use std::collections::HashMap;
use std::time::Duration;

use nova_types::{Rate, UnixMillis};
use serde::{Deserialize, Serialize};

pub(crate) mod limiter;

/// Tokens are counted in billionths, so that five an hour fill a bucket evenly.
const WHOLE: u64 = 1_000_000_000;
/// The longest a slice may be held: what a worker that dies takes with it is a second's worth at most.
const LONGEST_HOLD: Duration = Duration::from_secs(1);
/// The shortest a slice of a rate without burst is held: a token must live longer than a round trip.
const SHORTEST_HOLD: Duration = Duration::from_millis(50);

/// What a rate comes to for whoever hands out its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Billionths of a token that come in a second.
    refill: u64,
    /// Billionths of a token that a full bucket holds.
    most: u64,
    /// How long after it was taken a token may be used.
    pub(crate) hold: Duration,
}

impl Budget {
    /// For one who uses each token as it is taken.
    pub(crate) fn local(rate: Rate) -> Self {
        Self { refill: per_second(rate), most: u64::from(rate.burst()) * WHOLE, hold: Duration::ZERO }
    }

    /// For many who take tokens in slices and use them within [`hold`](Self::hold).
    ///
    /// What is used in a stretch `t` was taken in `t + hold`, which is `refill * (t + hold) + most` at most. That must
    /// not exceed `rate * t + burst`: so a bucket gives up `rate * hold` of its burst. A burst of one cannot give up
    /// anything; there the bucket fills more slowly instead, so that two tokens taken one after the other can be used
    /// no closer than the rate allows.
    pub(crate) fn shared(rate: Rate) -> Self {
        let (refill, burst) = (per_second(rate), u64::from(rate.burst()) * WHOLE);
        let millis = |tokens: u64| u64::try_from(u128::from(tokens) * 1000 / u128::from(refill)).unwrap_or(u64::MAX);
        if rate.burst() >= 2 {
            let hold = Duration::from_millis(millis(burst / 2)).min(LONGEST_HOLD);
            return Self { refill, most: burst - grown(refill, hold).min(burst / 2), hold };
        }
        let hold = Duration::from_millis(millis(WHOLE / 20)).clamp(SHORTEST_HOLD, LONGEST_HOLD);
        let slowed = u128::from(refill) * u128::from(WHOLE) / u128::from(WHOLE + grown(refill, hold));
        Self { refill: u64::try_from(slowed).expect("it is below the refill").max(1), most: WHOLE, hold }
    }

    /// How many tokens a full bucket holds.
    pub(crate) fn most(&self) -> u32 {
        whole(self.most)
    }

    /// How many tokens come in a stretch, at least one.
    pub(crate) fn in_stretch(&self, stretch: Duration) -> u32 {
        whole(grown(self.refill, stretch)).clamp(1, self.most().max(1))
    }
}

fn per_second(rate: Rate) -> u64 {
    (u64::from(rate.count()) * WHOLE / rate.per().as_secs()).max(1)
}

fn grown(refill: u64, stretch: Duration) -> u64 {
    u64::try_from(u128::from(refill) * stretch.as_millis() / 1000).unwrap_or(u64::MAX)
}

fn whole(level: u64) -> u32 {
    u32::try_from(level / WHOLE).unwrap_or(u32::MAX)
}

/// A bucket of tokens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenBucket {
    /// Billionths of a token in it then.
    level: u64,
    /// When that was.
    at: UnixMillis,
}

impl TokenBucket {
    /// A full one.
    pub(crate) fn full(budget: &Budget, now: UnixMillis) -> Self {
        Self { level: budget.most, at: now }
    }

    /// An empty one.
    pub(crate) fn empty(now: UnixMillis) -> Self {
        Self { level: 0, at: now }
    }

    /// Fills it up to now; a clock that went back fills nothing.
    fn at(self, budget: &Budget, now: UnixMillis) -> Self {
        let level = self.level.saturating_add(grown(budget.refill, now.since(self.at))).min(budget.most);
        Self { level, at: self.at.max(now) }
    }

    /// How many tokens are in it.
    pub(crate) fn left(self, budget: &Budget, now: UnixMillis) -> u32 {
        whole(self.at(budget, now).level)
    }

    /// Takes up to `want` tokens; says how many.
    pub(crate) fn take(&mut self, budget: &Budget, want: u32, now: UnixMillis) -> u32 {
        *self = self.at(budget, now);
        let taken = want.min(whole(self.level));
        self.level -= u64::from(taken) * WHOLE;
        taken
    }

    /// How long until so many tokens are in it; no more than it holds are waited for.
    pub(crate) fn wait_for(self, budget: &Budget, tokens: u32, now: UnixMillis) -> Duration {
        let filled = self.at(budget, now);
        let missing = (u64::from(tokens) * WHOLE).min(budget.most).saturating_sub(filled.level);
        let millis = (u128::from(missing) * 1000).div_ceil(u128::from(budget.refill));
        // Its own moment may be ahead of this clock.
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) + filled.at.since(now)
    }

    fn is_full(self, budget: &Budget, now: UnixMillis) -> bool {
        self.at(budget, now).level == budget.most
    }
}

/// How many keys are remembered before those whose buckets are full again are forgotten.
const KEYS_BEFORE_SWEEP: usize = 1024;

/// The rates of many keys, for the one who owns them all.
#[derive(Debug)]
pub(crate) struct KeyLimits {
    budget: Budget,
    owned_since: UnixMillis,
    buckets: HashMap<String, TokenBucket>,
    sweep_at: usize,
}

impl KeyLimits {
    /// The rates of keys owned from now on. What an owner before used is not known: every bucket begins empty then.
    pub(crate) fn new(rate: Rate, now: UnixMillis) -> Self {
        let budget = Budget::local(rate);
        Self { budget, owned_since: now, buckets: HashMap::new(), sweep_at: KEYS_BEFORE_SWEEP }
    }

    /// Takes a token of a key.
    ///
    /// # Errors
    /// How long to wait for the next one.
    pub(crate) fn take(&mut self, key: &str, now: UnixMillis) -> Result<(), Duration> {
        if self.buckets.len() >= self.sweep_at {
            let (budget, since) = (self.budget, self.owned_since);
            // One that is full again, and would be full if it began anew, says nothing.
            let is_settled = TokenBucket::empty(since).is_full(&budget, now);
            self.buckets.retain(|_, bucket| !(is_settled && bucket.is_full(&budget, now)));
            self.sweep_at = KEYS_BEFORE_SWEEP.max(self.buckets.len() * 2);
        }
        if !self.buckets.contains_key(key) {
            self.buckets.insert(key.to_owned(), TokenBucket::empty(self.owned_since));
        }
        let bucket = self.buckets.get_mut(key).expect("it was put there");
        match bucket.take(&self.budget, 1, now) {
            0 => Err(bucket.wait_for(&self.budget, 1, now)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
