//! The task that a part of a run stands for: which skill, and with what input.
//!
//! It follows from the run alone, so that a task that may not have been submitted can be made again, byte for byte.

use std::sync::Arc;

use nova_types::{Skill, StepId};
use nova_workflow::{EvalError, Kind, Part, Plan, Role, Root, Work};
use serde_json::{Value, json};

use super::TaskOrder;
use super::part::items_of;
use super::scope::Scope;
use super::step::vote;
use super::turn::Turn;
use super::value::{answer_of, bad, result_of, value};

/// The work that a part is an instance of.
pub(super) fn work_of<'p>(plan: &'p Plan, part: &Part) -> Option<&'p Work> {
    if part.role == Role::Undo {
        return plan.step(&part.step).undo.as_ref();
    }
    match plan.kind(&part.step) {
        Kind::Task(work) | Kind::Run(work) => Some(work),
        Kind::Map(map) => Some(&map.work),
        Kind::Loop(repeat) => Some(&repeat.work),
        Kind::Vote(vote) if part.role == Role::Judge => vote.judge.as_ref(),
        Kind::Vote(vote) => vote.work.as_ref().or_else(|| vote.by.get(part.index as usize).map(|voter| &voter.work)),
        Kind::Join(_) | Kind::Choice(_) | Kind::Wait(_) => None,
    }
}

/// The skill of a part's task.
pub(super) fn skill_of(plan: &Plan, part: &Part) -> Skill {
    let skill = work_of(plan, part).and_then(|work| work.skill.clone());
    skill.unwrap_or_else(nova_types::run_skill)
}

/// The task of a part; the bundle that begins with that item, when it is one.
pub(super) fn order(turn: &Turn<'_>, part: &Part) -> Result<TaskOrder, EvalError> {
    let plan = turn.plan;
    if let Some(items) = items_of(&turn.run, part) {
        let inputs = items.iter().map(|item| input(turn, &Part::work(part.step.clone(), *item)));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        return Ok(bundle(plan, &part.step, items, inputs));
    }
    let work = work_of(plan, part).ok_or_else(|| EvalError::Failed(bad("the step has no such work")))?;
    let scope = scope_of(turn, part)?;
    let input = plan.fill(&work.input, &scope)?;
    let key = match &work.key {
        None => None,
        Some(key) => match plan.fill(key, &scope)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            other => return Err(EvalError::Failed(bad(format!("the key is {other}, not text")))),
        },
    };
    let input = match &work.workflow {
        Some(workflow) => json!({"workflow": workflow, "input": input}),
        None => input,
    };
    Ok(TaskOrder {
        part: part.clone(),
        skill: skill_of(plan, part),
        priority: work.priority.unwrap_or_default(),
        timeout: work.timeout,
        max_attempts: work.max_attempts,
        backoff: work.backoff,
        key,
        input,
        items: Vec::new(),
    })
}

/// The input of a part.
pub(super) fn input(turn: &Turn<'_>, part: &Part) -> Result<Value, EvalError> {
    let work = work_of(turn.plan, part).ok_or_else(|| EvalError::Failed(bad("the step has no such work")))?;
    turn.plan.fill(&work.input, &scope_of(turn, part)?)
}

/// The bundle of a map's items, whose inputs are made.
pub(super) fn bundle(plan: &Plan, id: &StepId, items: Vec<u32>, inputs: Vec<Value>) -> TaskOrder {
    let part = Part::work(id.clone(), items.first().copied().unwrap_or(0));
    let work = work_of(plan, &part);
    TaskOrder {
        skill: skill_of(plan, &part),
        priority: work.and_then(|work| work.priority).unwrap_or_default(),
        timeout: work.and_then(|work| work.timeout),
        max_attempts: work.and_then(|work| work.max_attempts),
        backoff: work.and_then(|work| work.backoff),
        key: None,
        input: Value::Array(inputs),
        items,
        part,
    }
}

/// The names that the input of a part may use.
fn scope_of<'t, 'a>(turn: &'t Turn<'a>, part: &Part) -> Result<Scope<'t, 'a>, EvalError> {
    let scope = Scope::of(turn);
    let Some(step) = turn.run.steps.get(&part.step) else { return Ok(scope) };
    if part.role == Role::Undo {
        let result = match (&step.late, &step.ended) {
            (Some(late), _) => value(turn.data, &late.result)?,
            (None, Some(ended)) if ended.partial => answer_of(&turn.run, turn.data, ended)?,
            (None, Some(ended)) => result_of(&turn.run, turn.data, ended)?,
            (None, None) => Value::Null,
        };
        return Ok(scope.with(Root::Result, &result));
    }
    match turn.plan.kind(&part.step) {
        Kind::Map(_) => {
            let items = items(turn, &part.step)?;
            let item = items.get(part.index as usize).unwrap_or(&Value::Null);
            Ok(scope.with(Root::Item, item).with(Root::Index, &part.index.into()))
        }
        Kind::Loop(_) => {
            let last = step.repeat().map_or(Ok(Value::Null), |state| value(turn.data, &state.last))?;
            Ok(scope.with(Root::Last, &last).with(Root::Index, &part.index.into()))
        }
        Kind::Vote(_) if part.role == Role::Judge => {
            let count = vote::count(turn, &part.step)?;
            Ok(scope.with(Root::Ballots, &count.ballots()).with(Root::Tally, &count.tally()))
        }
        _ => Ok(scope),
    }
}

/// The list a map goes over. What it depends on has ended, so it is the same whenever it is asked for.
pub(super) fn items(turn: &Turn<'_>, id: &StepId) -> Result<Arc<Vec<Value>>, EvalError> {
    let count = turn.run.steps.get(id).and_then(|step| step.map()).map(|map| &map.count);
    if let (Some(count), Some((of, items))) = (count, turn.memo.borrow().lists.get(id))
        && of.is_same(count)
    {
        return Ok(Arc::clone(items));
    }
    let Kind::Map(map) = turn.plan.kind(id) else {
        return Err(EvalError::Failed(bad("the step is not a map")));
    };
    let items = match turn.plan.eval(&map.over, &Scope::of(turn))? {
        Value::Array(items) => Arc::new(items),
        other => {
            let text: String = other.to_string().chars().take(80).collect();
            return Err(EvalError::Failed(bad(format!("`over` is {text}, not a list"))));
        }
    };
    if let Some(count) = count {
        turn.memo.borrow_mut().lists.insert(id.clone(), (count.clone(), Arc::clone(&items)));
    }
    Ok(items)
}
