//! Waits for all, any or some of other steps; it counts from the run's beginning.

use nova_types::StepId;
use nova_workflow::definition::{Failures, Join, Need, Rest, StepFailure};

use crate::run::settle::all_skipped;
use crate::run::state::{Active, Answer, failure};
use crate::run::turn::Turn;
use crate::run::{StepStatus, Stuck};

/// The code of a join that too few steps can still come to.
const CODE: &str = "join";

/// What a join has counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    come: u32,
    failed: u32,
    skipped: u32,
    open: u32,
}

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId, join: &Join) -> Result<(), Stuck> {
    turn.activate(id, Active::Plain);
    advance(turn, id, join)
}

pub(in crate::run) fn advance(turn: &mut Turn<'_>, id: &StepId, join: &Join) -> Result<(), Stuck> {
    if turn.run.ending.is_some() {
        return Ok(());
    }
    if all_skipped(turn, id) {
        turn.skip(id);
        return Ok(());
    }
    let count = count(turn, join);
    match verdict(join.need, count) {
        Verdict::Open => return Ok(()),
        Verdict::Met => {
            let of = join.of.iter().map(|of| (of.clone(), turn.run.has_completed(of))).collect();
            turn.complete(id, Answer::Joined(of));
        }
        Verdict::Impossible => fail(turn, id, join, count),
    }
    // When the join failed the run with it, all that runs is being cancelled already.
    if join.rest == Rest::Cancel && turn.run.ending.is_none() {
        cancel_rest(turn, id, join);
    }
    Ok(())
}

fn count(turn: &Turn<'_>, join: &Join) -> Count {
    let mut count = Count::default();
    for of in &join.of {
        let place = match turn.run.ended_step(of).map(|ended| ended.status) {
            Some(StepStatus::Completed) => &mut count.come,
            Some(StepStatus::Skipped) => &mut count.skipped,
            Some(_) if counts_failed(turn, join, of) => &mut count.come,
            Some(_) => &mut count.failed,
            None => &mut count.open,
        };
        *place += 1;
    }
    count
}

/// A failed step counts as come when the join collects, or when the step's own failure is let pass.
fn counts_failed(turn: &Turn<'_>, join: &Join, of: &StepId) -> bool {
    join.failures == Failures::Collect || turn.plan.step(of).on_failure == StepFailure::Continue
}

enum Verdict {
    Open,
    Met,
    Impossible,
}

fn verdict(need: Need, count: Count) -> Verdict {
    match need {
        Need::All if count.failed > 0 => Verdict::Impossible,
        Need::All if count.open > 0 => Verdict::Open,
        Need::All => Verdict::Met,
        Need::Count(need) if count.come >= need => Verdict::Met,
        Need::Count(need) if count.come + count.open < need => Verdict::Impossible,
        Need::Count(_) => Verdict::Open,
    }
}

fn fail(turn: &mut Turn<'_>, id: &StepId, join: &Join, count: Count) {
    let need = match join.need {
        Need::All => join.of.len().to_string(),
        Need::Count(need) => need.to_string(),
    };
    let mut message = format!("{} of {need} needed steps came", count.come);
    let mut attempts = 0;
    for of in &join.of {
        let Some(ended) = turn.run.ended_step(of).filter(|ended| ended.status == StepStatus::Failed) else { continue };
        if let Some(why) = &ended.failure {
            message.push_str(&format!("; `{of}` failed: {}: {}", why.code, why.message));
            attempts = attempts.max(ended.attempts);
        }
    }
    turn.fail(id, failure(CODE, message), attempts);
}

/// Stops what only this join would have waited for.
fn cancel_rest(turn: &mut Turn<'_>, id: &StepId, join: &Join) {
    for of in &join.of {
        let is_open = turn.run.ended_step(of).is_none();
        let is_only_ours = turn.plan.dependants(of).iter().all(|one| one == id);
        if is_open && is_only_ours {
            turn.skip(of);
        }
    }
}
