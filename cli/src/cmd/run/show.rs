//! `nova run show`: where a run stands, what it waits for, and how to act on it.

use nova_client::RunRow;
use nova_engine::run::{Asked, View, WaitsFor};
use nova_types::StepId;
use serde_json::{Value, json};

use crate::clock;
use crate::cx::Cx;
use crate::end::{as_json, readable};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::replay::Replay;
use crate::flow::told;
use crate::flow::which::RunWord;
use crate::flow::words;
use crate::out::{Out, Row, Shape};

mod step;

/// Show where a run stands: its steps, what it waits for, and how to act on it
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run show cli.018f2c
  nova run show nightly --step review
  nova run show nightly --history --json")]
pub(crate) struct Args {
    /// The run, by its id or that of its task
    run: RunWord,
    /// One step: its tasks with their inputs, attempts and results
    #[arg(long, value_name = "STEP")]
    step: Option<StepId>,
    /// At most so many tasks of the step
    #[arg(long, value_name = "N", default_value_t = 20, requires = "step")]
    limit: usize,
    /// Every transition: what happened, and what was decided
    #[arg(long, conflicts_with = "step")]
    history: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let row = args.run.find(&cx).await?;
    let mut replay = Replay::load(&cx, &row).await?;
    if args.history {
        return history(&cx.out, &replay);
    }
    if let Some(step) = &args.step {
        return step::show(&cx, &row, &mut replay, step, args.limit).await;
    }
    stands(&cx, &row, &mut replay).await
}

/// Where a run stands.
pub(super) async fn whole(cx: &Cx, row: &RunRow) -> Result<Exit, Failure> {
    let mut replay = Replay::load(cx, row).await?;
    stands(cx, row, &mut replay).await
}

async fn stands(cx: &Cx, row: &RunRow, replay: &mut Replay) -> Result<Exit, Failure> {
    let folded = match replay.fold(&row.summary.run).await {
        Ok(folded) => folded,
        // What every transition says of the run in short is still there to be read.
        Err(failure) => {
            cx.out.record(&super::ls::Line::of(row.clone()), &summary(&cx.out, row, None))?;
            return Err(failure.help(format!("its raw history: nova run show {} --history", row.summary.run)));
        }
    };
    let view = folded.view(&replay.plan);
    let asked = super::answer::approvals(replay, &folded).await?;
    if cx.out.is_json() {
        cx.out.json(&object(cx, row, &view, &asked).await?)?;
        return Ok(Exit::OK);
    }
    cx.out.record(&(), &summary(&cx.out, row, Some(&view)))?;
    cx.out.line("")?;
    let lines: Vec<StepLine> = replay.plan.order().iter().map(|id| StepLine::of(id, &view)).collect();
    cx.out.list(&lines, "no steps")?;
    if cx.out.shape() == Shape::Table {
        what_to_do(cx, row, &view, &asked).await?;
    }
    Ok(Exit::OK)
}

async fn object(cx: &Cx, row: &RunRow, view: &View, asked: &[(StepId, Asked)]) -> Result<Value, Failure> {
    let ended = cx.client.result(&nova_types::run_skill(), &row.summary.task).await.ok().flatten();
    let asks: serde_json::Map<String, Value> = asked.iter().map(|(id, asked)| (id.to_string(), json!(asked))).collect();
    let mut value = serde_json::to_value(super::ls::Line::of(row.clone())).expect("plain records always encode");
    let more = json!({
        "deadline": view.deadline, "end": view.end, "under_way": view.under_way, "signals": view.signals,
        "steps": view.steps, "approvals": asks,
        "result": ended.filter(|ended| ended.error().is_none()).map(|ended| as_json(&ended.body)),
    });
    if let (Some(object), Value::Object(more)) = (value.as_object_mut(), more) {
        object.extend(more);
    }
    Ok(value)
}

fn summary<'a>(out: &Out, row: &RunRow, view: Option<&View>) -> Vec<(&'a str, String)> {
    let run = &row.summary;
    let version = if out.shape() == Shape::Table { told::digest(&run.version) } else { &run.version };
    let labels: Vec<String> = run.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let text = |value: Option<String>| value.unwrap_or_default();
    let end = view.and_then(|view| view.end.as_ref());
    let error = end.and_then(|end| {
        let step = end.step.as_ref().map(|step| format!("step {step}")).unwrap_or_default();
        let attempts = if end.attempts > 0 { format!(" after attempt {}", end.attempts) } else { String::new() };
        let why = end.failure.as_ref().map(told::failure)?;
        Some(
            [format!("{step}{attempts}"), why]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(": "),
        )
    });
    let undone = end.filter(|end| !end.not_undone.is_empty());
    let undone = undone.map(|end| end.not_undone.iter().map(StepId::as_str).collect::<Vec<_>>().join(", "));
    let took = run.ended.unwrap_or_else(clock::now).0 - run.started.0;
    vec![
        ("run", run.run.to_string()),
        ("task", run.task.to_string()),
        ("workflow", format!("{} {version}", run.workflow)),
        ("status", format!("{}, {} of {} steps ended", run.status, run.done, run.total)),
        ("error", text(error)),
        ("not undone", text(undone)),
        ("key", text(run.key.clone())),
        ("labels", labels.join(", ")),
        ("started", out.moment(run.started)),
        ("took", words::span(took)),
        ("deadline", out.moment_or_none(view.and_then(|view| view.deadline))),
        ("parent", text(run.parent.as_ref().map(ToString::to_string))),
        ("restart of", text(run.restart_of.as_ref().map(ToString::to_string))),
    ]
}

/// A step in the table.
#[derive(serde::Serialize)]
struct StepLine {
    step: StepId,
    kind: String,
    status: &'static str,
    tasks: String,
    took: String,
    note: String,
}

impl StepLine {
    fn of(id: &StepId, view: &View) -> Self {
        let step = &view.steps[id];
        let failed = if step.failed > 0 { format!(", {} failed", step.failed) } else { String::new() };
        let tasks = if step.total > 1 { format!("{}/{}{failed}", step.done, step.total) } else { String::new() };
        let status = if step.kept { "kept" } else { words::status(step, view) };
        let undone = match step.undone {
            Some(true) => "undone",
            Some(false) => "undo failed",
            None => "",
        };
        let waits = step.waits_for.as_ref().filter(|_| step.error.is_none());
        let note = waits.map_or_else(|| words::note(step), |waits| format!("waits for {}", words::waiting(waits)));
        let note = [undone, &note].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
        let took = words::took(step, clock::now()).unwrap_or_default();
        Self { step: id.clone(), kind: step.kind.clone(), status, tasks, took, note }
    }
}

impl Row for StepLine {
    const TITLES: &'static [&'static str] = &["step", "kind", "status", "tasks", "took", "note"];
    fn cells(&self, _: &Out) -> Vec<String> {
        vec![
            self.step.to_string(),
            self.kind.clone(),
            self.status.to_owned(),
            self.tasks.clone(),
            self.took.clone(),
            self.note.clone(),
        ]
    }
}

/// For people: what the run waits for in full, and the command that answers it.
async fn what_to_do(cx: &Cx, row: &RunRow, view: &View, asked: &[(StepId, Asked)]) -> Result<(), Failure> {
    let run = &row.summary.run;
    for (step, asked) in asked {
        let ask = if asked.ask.is_empty() { String::new() } else { format!(": {}", asked.ask) };
        cx.out.line(format!("\nstep {step} waits for approval{ask}"))?;
        cx.out.line(readable(&asked.of))?;
        let short = told::digest(&asked.hash);
        cx.out.line(format!("  nova run approve {run} {step} --hash {short}"))?;
        cx.out.line(format!("  nova run reject {run} {step} --hash {short} --note WHY"))?;
    }
    for (step, of) in &view.steps {
        if let Some(WaitsFor::Signal { name, .. }) = &of.waits_for {
            cx.out.line(format!("\nstep {step} waits for signal {name}\n  nova run signal {run} {name} DATA"))?;
        }
    }
    match row.summary.status {
        nova_types::RunStatus::Completed => {
            if let Some(ended) = cx.client.result(&nova_types::run_skill(), &row.summary.task).await? {
                cx.out.line(format!("\nresult\n{}", readable(&as_json(&ended.body))))?;
            }
        }
        nova_types::RunStatus::Paused => cx.out.line(format!("\n  nova run resume {run}"))?,
        status if status.is_ended() => cx.out.line(format!("\n  nova run restart {run}"))?,
        _ => {}
    }
    Ok(())
}

fn history(out: &Out, replay: &Replay) -> Result<Exit, Failure> {
    for recorded in &replay.history {
        let transition = &recorded.transition;
        if out.is_json() {
            let mut value = serde_json::to_value(transition).expect("plain records always encode");
            if let Some(object) = value.as_object_mut() {
                object.insert("run".to_owned(), json!(recorded.summary.run));
                object.insert("status".to_owned(), json!(recorded.summary.status));
                object.insert("sequence".to_owned(), json!(recorded.sequence));
                object.insert("bytes".to_owned(), json!(recorded.bytes));
            }
            out.json(&value)?;
            continue;
        }
        let lines = told::lines(transition);
        let head = format!("{}\t{}\t{}", transition.n, out.moment(transition.at), recorded.summary.status);
        if lines.is_empty() {
            out.line(format!("{head}\tcarried out up to {}", transition.emitted))?;
        }
        lines.iter().try_for_each(|line| out.line(format!("{head}\t{line}")))?;
    }
    Ok(Exit::OK)
}
