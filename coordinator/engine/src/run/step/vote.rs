//! Asks several voters, counts their ballots, and asks a judge where they do not agree.

use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::{Undecided, Vote};
use nova_workflow::{Datum, End, EvalError, Failure, Kind, Part, Role, Root};
use serde_json::Value;

use crate::run::Stuck;
use crate::run::ending::failure_of;
use crate::run::scope::Scope;
use crate::run::shared::Shared;
use crate::run::state::{Active, Answer, Cast, VoteState, failure};
use crate::run::tally::{Ballot, Count, Decided};
use crate::run::turn::{Turn, own};
use crate::run::value::{bad, value};

/// The code of a vote without a winner.
const UNDECIDED: &str = "undecided";

/// How often a work is done for a vote that does not say.
const TIMES: u32 = 3;

/// How many voters a vote has.
pub(in crate::run) fn voters(vote: &Vote) -> u32 {
    match &vote.work {
        Some(_) => vote.times.unwrap_or(TIMES),
        None => u32::try_from(vote.by.len()).unwrap_or(u32::MAX),
    }
}

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId, vote: &Vote) -> Result<(), Stuck> {
    turn.activate(id, Active::Vote(VoteState { next: 0, cast: Default::default() }));
    advance(turn, id, vote)
}

pub(in crate::run) fn advance(turn: &mut Turn<'_>, id: &StepId, vote: &Vote) -> Result<(), Stuck> {
    let voters = voters(vote);
    while state(turn, id).next < voters && turn.may_start() && turn.room() > 0 {
        let voter = state(turn, id).next;
        state(turn, id).next += 1;
        if let Err(failure) = turn.start(&Part::work(id.clone(), voter))? {
            state(turn, id).cast.insert(voter, Cast::Nothing(failure));
        }
    }
    let is_idle = turn.run.steps.get(id).is_some_and(|step| step.is_idle());
    if is_idle && state(turn, id).next == voters && turn.run.ending.is_none() {
        decide(turn, id, vote)?;
    }
    Ok(())
}

fn state<'t>(turn: &'t mut Turn<'_>, id: &StepId) -> &'t mut VoteState {
    match &mut turn.step_mut(id).active {
        Active::Vote(vote) => vote,
        _ => unreachable!("a vote under way holds the state of one"),
    }
}

/// Ends the vote once every voter is in, or calls the judge.
fn decide(turn: &mut Turn<'_>, id: &StepId, vote: &Vote) -> Result<(), Stuck> {
    let count = match own(count(turn, id))? {
        Ok(count) => count,
        Err(failure) => {
            turn.fail(id, failure, 0);
            return Ok(());
        }
    };
    match (&count.decided, vote.undecided) {
        (Decided::Winner(_), _) | (_, Undecided::Continue) => {
            turn.complete(id, Answer::Value(count.result(None).into()));
        }
        (decided, Undecided::Fail) => {
            let why = format!("no winner: {}; tally {}", decided.as_str(), count.tally());
            turn.fail(id, failure(UNDECIDED, why), 0);
        }
        (_, Undecided::Judge) => {
            if turn.may_start() && turn.room() > 0 {
                let judge = Part { step: id.clone(), role: Role::Judge, index: 0 };
                if let Err(failure) = turn.start(&judge)? {
                    turn.fail(id, failure, 0);
                }
            }
        }
    }
    Ok(())
}

/// The ballots that are in, counted.
pub(in crate::run) fn count(turn: &Turn<'_>, id: &StepId) -> Result<Count, EvalError> {
    let vote = if let Kind::Vote(vote) = turn.plan.kind(id) { Some(vote) } else { None };
    let state = turn.run.steps.get(id).and_then(|step| step.vote());
    let (Some(vote), Some(state)) = (vote, state) else {
        return Err(EvalError::Failed(bad("the step is not a vote under way")));
    };
    let (mut ballots, mut wants) = (Vec::new(), Vec::new());
    for (voter, cast) in &state.cast {
        let weight = vote.by.get(*voter as usize).and_then(|voter| voter.weight).unwrap_or(1);
        let cast = match cast {
            Cast::Nothing(failure) => Err(failure.clone()),
            Cast::Result(result) => match ballot(turn, vote, result) {
                Ok(cast) => cast,
                Err(EvalError::Wants(blobs)) => {
                    wants.extend(blobs);
                    continue;
                }
                Err(failed) => return Err(failed),
            },
        };
        ballots.push(Ballot { voter: *voter, weight, cast });
    }
    if !wants.is_empty() {
        return Err(EvalError::Wants(wants));
    }
    let quorum = vote.quorum.unwrap_or(voters(vote) / 2 + 1);
    Ok(Count::new(ballots, vote.rule, quorum))
}

/// What a voter's result says; one that cannot be read counts as not cast.
fn ballot(turn: &Turn<'_>, vote: &Vote, result: &Datum) -> Result<Result<Value, Failure>, EvalError> {
    let result = value(turn.data, result)?;
    let Some(expr) = &vote.ballot else { return Ok(Ok(result)) };
    match turn.plan.eval(expr, &Scope::of(turn).with(Root::Result, &result)) {
        Ok(ballot) => Ok(Ok(ballot)),
        Err(EvalError::Failed(failure)) => Ok(Err(failure)),
        Err(wants) => Err(wants),
    }
}

pub(in crate::run) fn ended(turn: &mut Turn<'_>, vote: &Vote, end: &End) -> Result<(), Stuck> {
    let id = &end.part.step;
    let is_done = end.kind == OutcomeKind::Completed;
    if end.part.role == Role::Work {
        let result = Shared::new(end.result.clone());
        let cast = if is_done { Cast::Result(result) } else { Cast::Nothing(failure_of(end)) };
        state(turn, id).cast.insert(end.part.index, cast);
        return Ok(());
    }
    if !is_done {
        turn.fail(id, failure_of(end), end.attempt);
        return Ok(());
    }
    let judged = own(ballot(turn, vote, &end.result).and_then(|judged| judged.map_err(EvalError::Failed)))?;
    let count = own(count(turn, id))?;
    match judged.and_then(|judged| Ok((count?, judged))) {
        Ok((count, judged)) => turn.complete(id, Answer::Value(count.result(Some(judged)).into())),
        Err(failure) => turn.fail(id, failure, end.attempt),
    }
    Ok(())
}
