//! Trial after trial: which input is mutated next, and what is worth keeping on the way.
//!
//! There is no coverage on the stable toolchain. What stands in for it is what can be seen from outside: whether an input was
//! read, what was said of it, and about how many allocations it took. An input that comes to something new joins those that
//! are mutated.

use std::collections::BTreeSet;

use fastrand::Rng;
use nova_types::Fnv1a;

use crate::corpus::Kept;
use crate::mutate::mutate;
use crate::targets::Target;
use crate::trial::{self, Trial};

/// The most inputs that are gone on from; beyond it a new one takes the place of another.
const POOL: usize = 4096;

/// A hunt for one target; the same seed and corpus make the same one.
pub struct Hunt<'t> {
    target: &'t Target,
    rng: Rng,
    pool: Vec<Vec<u8>>,
    seen: BTreeSet<u64>,
}

/// One turn of a hunt.
#[derive(Debug)]
pub struct Turn {
    /// The input.
    pub bytes: Vec<u8>,
    /// What it came to.
    pub trial: Trial,
}

impl<'t> Hunt<'t> {
    /// Begins with kept inputs.
    #[must_use]
    pub fn new(target: &'t Target, kept: &[Kept], seed: u64) -> Self {
        let mut pool: Vec<_> = kept.iter().map(|kept| kept.bytes.clone()).collect();
        if pool.is_empty() {
            pool.push(Vec::new());
        }
        Self { target, rng: Rng::with_seed(seed), pool, seen: BTreeSet::new() }
    }

    /// The next input.
    #[must_use]
    pub fn next_input(&mut self) -> Vec<u8> {
        let base = self.rng.usize(0..self.pool.len());
        let other = self.rng.usize(0..self.pool.len());
        mutate(&mut self.rng, &self.pool[base], &self.pool[other], self.target.words, self.target.longest)
    }

    /// Gives the next input to the target.
    pub fn turn(&mut self) -> Turn {
        let bytes = self.next_input();
        let trial = self.look(&bytes);
        Turn { bytes, trial }
    }

    /// Gives an input to the target, and goes on from it if it came to something new.
    pub fn look(&mut self, bytes: &[u8]) -> Trial {
        let trial = trial::run(self.target, bytes);
        if self.seen.insert(signature(&trial)) {
            if self.pool.len() < POOL {
                self.pool.push(bytes.to_vec());
            } else {
                let at = self.rng.usize(0..POOL);
                self.pool[at] = bytes.to_vec();
            }
        }
        trial
    }

    /// How many different things inputs came to.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.len()
    }
}

/// What a trial came to, as a number: told texts without what they quote, allocations about as many.
fn signature(trial: &Trial) -> u64 {
    let (kind, told) = match &trial.end {
        Ok(taken) => (if taken.is_read { "read" } else { "refused" }, &taken.told),
        Err(broken) => ("broken", broken),
    };
    // What is quoted may hold anything, quotes included.
    let outside = told
        .split_once('`')
        .map_or((told.as_str(), ""), |(head, rest)| (head, rest.rsplit_once('`').map_or("", |(_, tail)| tail)));
    let plain: String = [outside.0, outside.1].concat().chars().filter(|c| !c.is_ascii_digit()).take(96).collect();
    let allocations = trial.cost.count_total.checked_ilog2().unwrap_or(0);
    Fnv1a::of(kind.as_bytes()).and(plain.as_bytes()).and(&allocations.to_le_bytes()).value()
}
