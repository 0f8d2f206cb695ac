//! `nova run show --step`: the tasks of one step, with their inputs, attempts and results.

use std::collections::BTreeMap;

use nova_client::RunRow;
use nova_engine::run::{Effect, Memo, Run, TaskOrder, step as decide};
use nova_types::{StepId, TaskId, partition_scope};
use nova_workflow::{Datum, Event, Failure as Why, Part};
use serde_json::{Value, json};

use crate::cx::Cx;
use crate::end::readable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::replay::Replay;
use crate::flow::{told, words};
use crate::out::Shape;

/// One task of the step as far as the history tells.
struct Told {
    order: TaskOrder,
    end: Option<Came>,
}

/// How a task ended.
struct Came {
    status: &'static str,
    attempt: Option<u32>,
    result: Datum,
    error: Option<Why>,
}

pub(super) async fn show(
    cx: &Cx,
    row: &RunRow,
    replay: &mut Replay,
    step: &StepId,
    limit: usize,
) -> Result<Exit, Failure> {
    let plan = replay.plan.clone();
    if !plan.workflow().steps.contains_key(step) {
        let steps: Vec<&str> = plan.order().iter().map(StepId::as_str).collect();
        let text = format!("run {} has no step `{step}`", row.summary.run);
        return Err(
            Failure::new(Exit::NOT_FOUND, "unknown_step", text).help(format!("its steps: {}", steps.join(", ")))
        );
    }
    let (folded, tasks) = gather(replay, row, step).await?;
    let view = folded.view(&plan);
    let standing = &view.steps[step];
    let scope = partition(cx, row).await?;
    let count = tasks.len();
    let shown: Vec<(Part, Told)> = tasks.into_iter().take(limit).collect();
    if cx.out.is_json() {
        let mut all = Vec::new();
        for (part, told) in &shown {
            all.push(object(cx, replay, row, &scope, part, told).await?);
        }
        let definition = plan.step(step);
        cx.out.json(&json!({
            "run": row.summary.run, "step": step, "definition": definition, "stands": standing,
            "tasks": all, "tasks_in_all": count,
        }))?;
        return Ok(Exit::OK);
    }
    cx.out.line(format!(
        "step {step}: {}, {}",
        words::what(&plan, step),
        words::standing(standing, crate::clock::now())
    ))?;
    for (part, told) in &shown {
        let value = object(cx, replay, row, &scope, part, told).await?;
        let mut fields = vec![("task", text(&value["task"]))];
        for name in ["skill", "status", "attempt", "input", "result", "error"] {
            let of = &value[name];
            let is_large = matches!(name, "input" | "result") && cx.out.shape() == Shape::Table;
            fields.push((name, if is_large && !of.is_null() { readable(of) } else { text(of) }));
        }
        let failures = value["failures"].as_array().cloned().unwrap_or_default();
        fields.push(("failures", failures.iter().map(text).collect::<Vec<_>>().join("\n")));
        cx.out.line(format!("\n{}", told::part(part)))?;
        cx.out.record(&(), &fields)?;
    }
    if count > limit {
        cx.out.say(format!("{limit} of {count} tasks; more: --limit N"));
    }
    Ok(Exit::OK)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Decides the run's history again, and keeps what belongs to the step.
async fn gather(replay: &mut Replay, row: &RunRow, step: &StepId) -> Result<(Run, BTreeMap<Part, Told>), Failure> {
    let mut run = Run::new(row.summary.run.clone());
    let mut memo = Memo::default();
    let mut tasks: BTreeMap<Part, Told> = BTreeMap::new();
    for recorded in &replay.history {
        let transition = &recorded.transition;
        for event in &transition.events {
            note_ends(event, step, &mut tasks);
        }
        run.mark_emitted(transition.emitted);
        let plan = &replay.plan;
        let moved = replay
            .values
            .with(|loaded| decide(&run, plan, transition.events.clone(), transition.at, loaded, &mut memo));
        let moved = moved.await?;
        for effect in moved.effects {
            if let Effect::Task(order) = effect
                && order.part.step == *step
            {
                tasks.entry(order.part.clone()).or_insert(Told { order: *order, end: None });
            }
        }
        run = moved.run;
    }
    Ok((run, tasks))
}

fn note_ends(event: &Event, step: &StepId, tasks: &mut BTreeMap<Part, Told>) {
    let mut came = |part: &Part, end: Came| {
        if let Some(told) = tasks.get_mut(part) {
            told.end.get_or_insert(end);
        }
    };
    match event {
        Event::Ended(ends) => {
            for end in ends {
                let (result, error) = (end.result.clone(), end.error.clone());
                came(&end.part, Came { status: end.kind.as_str(), attempt: Some(end.attempt), result, error });
            }
        }
        Event::Items(items) if items.step == *step => {
            let values = match &items.done.results {
                Datum::Inline(Value::Array(values)) => values.clone(),
                _ => Vec::new(),
            };
            for (at, item) in items.done.items.iter().enumerate() {
                // Results of many items are kept together, elsewhere: the task's own outcome has this one.
                let result = values.get(at).cloned().map_or(Datum::NULL, Datum::Inline);
                let end = Came { status: "completed", attempt: None, result, error: None };
                came(&Part::work(step.clone(), *item), end);
            }
            for lost in &items.failed {
                let (attempt, error) = (Some(lost.attempts), Some(lost.error.clone()));
                let end = Came { status: "dead", attempt, result: Datum::NULL, error };
                came(&Part::work(step.clone(), lost.item), end);
            }
        }
        _ => {}
    }
}

/// The scope of the run's tasks.
async fn partition(cx: &Cx, row: &RunRow) -> Result<nova_types::Scope, Failure> {
    let stream = cx.client.broker().stream(nova_wire::assets::RUNS.to_owned()).await?;
    let note = stream.and_then(|stream| stream.spec.metadata.get(nova_wire::assets::PARTITIONS_NOTE)?.parse().ok());
    Ok(partition_scope(row.summary.run.partition(note.unwrap_or(1))))
}

async fn object(
    cx: &Cx,
    replay: &mut Replay,
    row: &RunRow,
    scope: &nova_types::Scope,
    part: &Part,
    told: &Told,
) -> Result<Value, Failure> {
    let id = TaskId::new(scope.clone(), part.name(&row.summary.run));
    let skill = &told.order.skill;
    let mut value = json!({
        "task": id, "skill": skill, "role": part.role.as_str(), "index": part.index,
        "key": told.order.key, "input": told.order.input, "status": "running",
    });
    // The fleet's own records of it; they age out before the run's history does.
    let view = cx.client.show(skill, &id).await.ok();
    if let Some(view) = &view {
        value["status"] = crate::filter::state_word(view.state).into();
        value["attempt"] = json!(view.outcome.as_ref().map(|outcome| outcome.attempt));
        value["worker"] = json!(view.outcome.as_ref().and_then(|outcome| outcome.worker.clone()));
        let failures = view.attempts.as_ref().map_or(&[][..], |record| &record.failures);
        let line =
            |f: &nova_wire::FailedAttempt| format!("attempt {} by {}: {}: {}", f.attempt, f.worker, f.code, f.message);
        value["failures"] = failures.iter().map(line).collect();
    }
    let Some(end) = &told.end else { return Ok(value) };
    value["status"] = end.status.into();
    if end.attempt.is_some() {
        value["attempt"] = json!(end.attempt);
    }
    value["result"] = match &end.result {
        Datum::Inline(Value::Null) if end.status == "completed" => {
            let ended = cx.client.result(skill, &id).await.ok().flatten();
            ended.map_or(Value::Null, |ended| crate::end::as_json(&ended.body))
        }
        Datum::Inline(inline) => inline.clone(),
        Datum::Blob(blob) => replay.value(blob).await?,
    };
    if let Some(why) = &end.error {
        value["error"] = told::failure(why).into();
    }
    Ok(value)
}
