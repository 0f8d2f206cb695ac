//! The parts of the product that only some worlds have: keys, bundles, rates, keys for once, schedules that recur.

use std::time::Duration;

use fastrand::Rng;

use super::{Act, Part, Recurring, Scenario, Task, act, moment, plain};

/// Told from the seed of the rest, which stays as it is whatever is added here.
const SALT: u64 = 0x7061_7274_7300_0000;

/// Adds what the seed says.
pub(super) fn draw(scenario: &mut Scenario) {
    let mut rng = Rng::with_seed(scenario.seed ^ SALT);
    if rng.u32(0..3) == 0 {
        keyed(&mut rng, &mut scenario.tasks);
    }
    if rng.u32(0..4) == 0 {
        bundles(&mut rng, &mut scenario.tasks);
    }
    if rng.u32(0..4) == 0 {
        once(&mut rng, &mut scenario.tasks);
    }
    if rng.u32(0..6) == 0 {
        limited(&mut rng, &mut scenario.tasks);
    }
    if rng.u32(0..5) == 0 {
        scenario.recurring.push(recurring(&mut rng));
    }
    scenario.is_packed = rng.u32(0..3) == 0;
}

fn keyed(rng: &mut Rng, tasks: &mut Vec<Task>) {
    let keys = rng.u32(1..4);
    for n in 0..rng.usize(3..12) {
        let mut task = super::task(rng, n);
        task.name = format!("k{n}");
        task.part = Part::Keyed(rng.u32(0..keys));
        // Close to one another, or nothing ever waits for its turn.
        task.at /= 3;
        task.cancelled_at = task.cancelled_at.map(|at| at / 2);
        tasks.push(task);
    }
}

fn bundles(rng: &mut Rng, tasks: &mut Vec<Task>) {
    for n in 0..rng.usize(1..4) {
        let items = (0..rng.usize(1..7)).map(|_| (0..rng.usize(1..4)).map(|_| item_act(rng)).collect()).collect();
        let mut task = super::task(rng, n);
        task.name = format!("b{n}");
        task.part = Part::Bundle(items);
        tasks.push(task);
    }
}

/// Shorter than a task's: the items of a bundle may run one after the other.
fn item_act(rng: &mut Rng) -> Act {
    match act(rng) {
        Act::Slow(ms) => Act::Slow(ms / 8),
        act => act,
    }
}

fn once(rng: &mut Rng, tasks: &mut Vec<Task>) {
    for key in 0..rng.u32(1..3) {
        let acts: Vec<Act> = (0..rng.usize(1..4)).map(|_| act(rng)).collect();
        let max_attempts = rng.u32(1..4);
        // The first one's record is often without its task yet when the next one comes.
        let (at, spread) = (moment(rng), if rng.bool() { 2_000 } else { 20_000 });
        for n in 0..rng.usize(2..5) {
            let mut task = plain(&format!("o{key}-{n}"), &acts);
            task.part = Part::Once(key);
            task.max_attempts = max_attempts;
            task.at = at + Duration::from_millis(rng.u64(0..spread));
            tasks.push(task);
        }
    }
}

fn limited(rng: &mut Rng, tasks: &mut Vec<Task>) {
    for n in 0..rng.usize(6..20) {
        let mut task = plain(&format!("l{n}"), &[if rng.u32(0..4) == 0 { Act::Fail } else { Act::Done }, Act::Done]);
        task.part = Part::Limited;
        task.at = Duration::from_millis(rng.u64(0..15_000));
        tasks.push(task);
    }
}

fn recurring(rng: &mut Rng) -> Recurring {
    let at = moment(rng) / 3;
    let every = Duration::from_secs(rng.u64(2..9));
    Recurring { name: "c0".to_owned(), at, every, until: at + Duration::from_millis(rng.u64(10_000..60_000)) }
}
