//! Runs of workflows: what happens next, decided from what has happened.
//!
//! [`step`] folds events into a run, decides all that follows, and says what to record and what to carry out. The caller
//! appends the transition under CAS first, and only then carries out the effects. Nothing here knows a clock, a broker or
//! chance: the same events give the same decisions wherever and whenever they are folded, which [`verify`] proves.

mod effect;
mod ending;
mod memo;
mod moment;
mod on;
mod order;
mod packs;
mod part;
mod ranges;
mod recover;
mod rehearse;
mod restart;
mod scope;
mod segments;
mod settle;
mod shared;
mod state;
mod step;
mod stuck;
mod tally;
mod turn;
mod value;
mod verify;
mod view;

use nova_types::UnixMillis;
use nova_workflow::{Event, Plan, RECORD_VERSION, Transition};

pub use effect::{Effect, TaskOrder};
pub use memo::{Data, Loaded, Memo};
pub use part::{items_of, part_of, parts_of};
pub use recover::recover;
pub use rehearse::{Rehearsal, Rehearsed, StepRehearsal, rehearse};
pub use restart::restart;
pub use state::{Run, StepStatus};
pub use stuck::{Divergence, Stuck};
pub use value::{Asked, MOST_AT_ONCE, asked};
pub use verify::{Unverified, Verified, verify};
pub use view::{StepView, View, WaitsFor};

use turn::Turn;

/// A run moved by one transition.
#[derive(Debug)]
pub struct Moved {
    /// The run afterwards.
    pub run: Run,
    /// What to append to its history.
    pub transition: Transition,
    /// What to carry out once that is appended.
    pub effects: Vec<Effect>,
}

/// Folds events into a run and decides all that follows.
///
/// `data` are the large values loaded so far, `memo` remembers conversions between calls for one run and changes no
/// decision. Without events the transition records what [`Run::mark_emitted`] was told.
///
/// # Errors
/// [`Stuck::Wants`] names values to load before asking again; [`Stuck::Parked`] when the run is not of this plan. The run
/// has not moved then.
pub fn step(
    run: &Run,
    plan: &Plan,
    events: Vec<Event>,
    at: UnixMillis,
    data: &dyn Data,
    memo: &mut Memo,
) -> Result<Moved, Stuck> {
    let mut turn = Turn::new(run, plan, at, data, memo);
    for event in &events {
        on::fold(&mut turn, event)?;
    }
    settle::settle(&mut turn)?;
    Ok(turn.finish(run, events))
}

/// Folds one recorded transition, and holds it against what the engine decides.
///
/// # Errors
/// As [`step`]; and [`Stuck::Diverged`] when other decisions are recorded.
pub fn apply(run: &Run, plan: &Plan, transition: &Transition, data: &dyn Data, memo: &mut Memo) -> Result<Run, Stuck> {
    if transition.v != RECORD_VERSION {
        return Err(Stuck::Parked(format!("transition {} is of version {}", transition.n, transition.v)));
    }
    if transition.n != run.n() + 1 {
        return Err(Stuck::Parked(format!("transition {} follows transition {}", transition.n, run.n())));
    }
    let mut run = run.clone();
    run.mark_emitted(transition.emitted);
    let moved = step(&run, plan, transition.events.clone(), transition.at, data, memo)?;
    if moved.transition.decisions != transition.decisions {
        let (expected, found) = (transition.decisions.clone(), moved.transition.decisions);
        return Err(Stuck::Diverged(Box::new(Divergence { n: transition.n, expected, found })));
    }
    Ok(moved.run)
}
