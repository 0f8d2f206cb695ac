//! What the hot paths cost, in numbers that do not depend on how busy the machine is.
//!
//! Times say how fast a machine is today; allocations and instructions say what the code does. A path is repeated `n` and
//! `2n` times, and the difference is what one more costs, its set-up left out.

pub mod figures;
pub mod paths;

/// What one more repetition costs.
///
/// # Panics
/// When twice as many repetitions cost less.
pub fn marginal(times: u64, count: impl Fn(u64) -> u64) -> f64 {
    let (once, twice) = (count(times), count(2 * times));
    let more = twice.checked_sub(once).unwrap_or_else(|| panic!("{times} times cost {once}, twice as many {twice}"));
    more as f64 / times as f64
}
