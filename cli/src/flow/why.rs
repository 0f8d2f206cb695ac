//! What stands between a run and its end, in sentences.

use nova_client::RunRow;
use nova_engine::run::{StepStatus, View, WaitsFor};
use nova_types::RunStatus;

use super::replay::Replay;
use super::words;
use crate::cx::Cx;
use crate::failure::Failure;

/// Says why a run has not ended; never empty.
pub(crate) async fn reasons(cx: &Cx, row: &RunRow) -> Result<Vec<String>, Failure> {
    let mut replay = Replay::load(cx, row).await?;
    let view = replay.fold(&row.summary.run).await?.view(&replay.plan);
    Ok(judge(&view))
}

fn judge(view: &View) -> Vec<String> {
    let run = &view.run;
    let mut told = Vec::new();
    match view.status {
        status if status.is_ended() => return vec![format!("it has ended: {status}")],
        RunStatus::Queued => told.push("it waits for room among the runs of its workflow".to_owned()),
        RunStatus::Paused => told.push(format!("it is paused: nova run resume {run}")),
        RunStatus::Undoing => told.push("it failed or was cancelled, and undoes what had finished".to_owned()),
        _ => {}
    }
    for (id, step) in &view.steps {
        // What waits for another step is told with that one.
        match &step.waits_for {
            _ if step.running > 0 => {
                let of = if step.total > 1 { format!(" of {}", step.total) } else { String::new() };
                let tasks = if step.running == 1 { "1 task".to_owned() } else { format!("{} tasks", step.running) };
                told.push(format!("step {id}: {tasks}{of} under way: nova run show {run} --step {id}"));
            }
            Some(WaitsFor::Steps(_)) | None => {}
            Some(WaitsFor::Room) if step.status == StepStatus::Waiting => {}
            Some(waits) => told.push(format!("step {id} waits for {}", words::waiting(waits))),
        }
    }
    if told.is_empty() {
        told.push("nothing: it moves within moments".to_owned());
    }
    told
}
