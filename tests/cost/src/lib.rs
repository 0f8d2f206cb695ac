//! What the hot paths cost, in numbers that do not depend on how busy the machine is.
//!
//! Times say how fast a machine is today; allocations and instructions say what the code does. A path is repeated `n` and
//! `2n` times, and the difference is what one more costs, its set-up left out: [`marginal`].

pub mod figures;
pub mod paths;

/// What one more repetition costs, by a count of so many and of twice as many.
///
/// # Errors
/// Those of the count.
///
/// # Panics
/// When twice as many repetitions cost less.
pub fn marginal<E>(times: u64, count: impl Fn(u64) -> Result<u64, E>) -> Result<f64, E> {
    let (once, twice) = (count(times)?, count(2 * times)?);
    let more = twice.checked_sub(once).unwrap_or_else(|| panic!("{times} times cost {once}, twice as many {twice}"));
    Ok(more as f64 / times as f64)
}
