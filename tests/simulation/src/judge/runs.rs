//! I13 and I14: what a run decided was decided once and carried out whole, and its result does not depend on the order.

use std::collections::{BTreeMap, BTreeSet};

use nova_broker::memory::MemoryBroker;
use nova_broker::{Broker as _, Scan};
use nova_engine::run::{Loaded, verify};
use nova_types::{OutcomeKind, RunId, RunStatus, TaskId};
use nova_wire::{assets, subject};
use nova_workflow::{Decision, Part, Plan, Transition};

use super::End;
use crate::scenario::Scenario;
use crate::world::client;

pub(super) async fn judge(
    memory: &MemoryBroker,
    scenario: &Scenario,
    plan: &Plan,
    outcomes: &BTreeMap<TaskId, End>,
    broken: &mut Vec<String>,
) {
    let mut named = BTreeSet::new();
    for number in 0..scenario.runs.len() {
        let task = client::id(&client::run_name(number));
        let run = RunId::of(&task);
        let scan = Scan::all(assets::RUNS, subject::run_of_any_partition(&run), usize::MAX);
        let stored = memory.scan(scan).await.unwrap_or_default();
        let mut transitions = Vec::new();
        for stored in &stored {
            match serde_json::from_slice::<Transition>(&stored.body) {
                Ok(transition) => transitions.push(transition),
                Err(error) => broken.push(format!("I13: a transition of {run} cannot be read: {error}")),
            }
        }
        match verify(plan, &transitions, &Loaded::default()) {
            Ok(verified) if verified.run.end().is_none_or(|end| end.status != RunStatus::Completed) => {
                broken.push(format!("I14: run {run} did not complete: {:?}", verified.run.end()));
            }
            Ok(_) => {}
            Err(error) => broken.push(format!("I13: the record of {run} does not hold: {error}")),
        }
        // A task of packed items has the name of the first.
        let is_first = |part: &Part| {
            !scenario.is_packed || part.step.as_str() != client::MAP || part.index.is_multiple_of(client::PACK)
        };
        for part in decided(&transitions).into_iter().filter(is_first) {
            let name = part.name(&run);
            let is_new = named.insert(name.clone());
            if !is_new {
                broken.push(format!("I13: {part:?} of {run} was started twice"));
            }
            if !outcomes.keys().any(|task| *task.name() == name) {
                broken.push(format!("I13: {part:?} of {run} was decided and never carried out"));
            }
        }
        result(&task, outcomes, broken);
    }
    for task in outcomes.keys().filter(|task| task.scope().as_str().starts_with('r')) {
        if !named.contains(task.name()) {
            broken.push(format!("I13: {task} was carried out and never decided"));
        }
    }
}

/// The tasks that were decided to start.
fn decided(transitions: &[Transition]) -> Vec<Part> {
    let decisions = transitions.iter().flat_map(|transition| &transition.decisions);
    decisions
        .filter_map(|decision| match decision {
            Decision::Start { step, role, from, to } => Some((step, *role, *from..*to)),
            _ => None,
        })
        .flat_map(|(step, role, indexes)| indexes.map(move |index| Part { step: step.clone(), role, index }))
        .collect()
}

fn result(task: &TaskId, outcomes: &BTreeMap<TaskId, End>, broken: &mut Vec<String>) {
    let Some(End { outcome, body, .. }) = outcomes.get(task) else { return };
    let found: Option<i64> = serde_json::from_slice(&body.bytes).ok();
    if outcome.kind != OutcomeKind::Completed || found != Some(client::SUM) {
        broken.push(format!("I14: run {task} is {} with {found:?}, not {}", outcome.kind, client::SUM));
    }
}
