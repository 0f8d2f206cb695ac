//! One input given to one target: what it came to, and whether everything held that must.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use allocation_counter::AllocationInfo;

use crate::targets::{Taken, Target};

/// What an input came to.
#[derive(Debug)]
pub struct Trial {
    /// What was made of it, or which promise it broke.
    pub end: Result<Taken, String>,
    /// What it cost.
    pub cost: AllocationInfo,
}

thread_local! {
    /// Where and why the last panic of this thread came; `None` outside a trial, where panics are told as usual.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Gives an input to a target.
///
/// What is made once for all inputs is not the input's to pay for: one that costs too much is given a second time.
#[must_use]
pub fn run(target: &Target, bytes: &[u8]) -> Trial {
    listen();
    let mut trial = once(target, bytes);
    if trial.end.is_ok() && within(target, bytes, &trial.cost).is_err() {
        trial = once(target, bytes);
    }
    let Trial { end, cost } = trial;
    let end = end.and_then(|taken| within(target, bytes, &cost).map(|()| taken));
    Trial { end, cost }
}

fn once(target: &Target, bytes: &[u8]) -> Trial {
    PANIC.set(Some(String::new()));
    let mut end = Err(String::new());
    let cost = allocation_counter::measure(|| {
        end = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)))
            .unwrap_or_else(|_| Err(format!("it panics: {}", PANIC.take().unwrap_or_default())));
    });
    PANIC.set(None);
    Trial { end, cost }
}

/// Whether memory and work are in proportion to the input.
///
/// Allocations stand for steps: they do not depend on how busy the machine is, and what goes quadratic rarely does so without
/// them.
fn within(target: &Target, bytes: &[u8], cost: &AllocationInfo) -> Result<(), String> {
    let length = bytes.len() as u64;
    let checks =
        [("bytes at once", cost.bytes_max, target.bounds.held), ("allocations", cost.count_total, target.bounds.steps)];
    for (what, found, (base, each)) in checks {
        let most = base + each * length;
        if found > most {
            return Err(format!("{length} bytes of input take {found} {what}, and {most} are allowed"));
        }
    }
    Ok(())
}

/// Keeps the message of a panic for the trial that it ends, instead of printing it.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_ours = PANIC.with_borrow_mut(|panic| panic.as_mut().map(|told| *told = info.to_string()).is_some());
            if !is_ours {
                before(info);
            }
        }));
    });
}
