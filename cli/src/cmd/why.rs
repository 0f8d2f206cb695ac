//! `nova why`: what stands between a task and its end.

use nova_client::RunRow;
use nova_types::{RunId, run_skill};
use serde_json::{Value, json};

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::state_word;
use crate::flow::why;
use crate::task_arg::TaskArg;

/// Say why a task or a run has not ended
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova why cli.018f2c")]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    if skill == run_skill()
        && let Ok(row) = cx.client.run_summary(&RunId::of(&task)).await
    {
        return why_run(&cx, &row).await;
    }
    let (view, reasons) = cx.client.why(&skill, &task).await?;
    let state = state_word(view.state);
    if cx.out.is_json() {
        let reasons: Vec<Value> = reasons
            .iter()
            .map(|reason| {
                let mut value = serde_json::to_value(reason).expect("plain records always encode");
                if let Some(object) = value.as_object_mut() {
                    object.insert("text".to_owned(), reason.to_string().into());
                }
                value
            })
            .collect();
        cx.out.json(&json!({ "task": task, "skill": skill, "state": state, "reasons": reasons }))?;
        return Ok(Exit::OK);
    }
    cx.out.say(format!("task {task} of skill {skill} is {state}"));
    reasons.iter().try_for_each(|reason| cx.out.line(reason.to_string()))?;
    Ok(Exit::OK)
}

/// A run's task is acked long before its end: what it waits for is in its own history.
async fn why_run(cx: &Cx, row: &RunRow) -> Result<Exit, Failure> {
    let run = &row.summary;
    let reasons = why::reasons(cx, row).await?;
    if cx.out.is_json() {
        let reasons: Vec<Value> = reasons.iter().map(|text| json!({ "reason": "run", "text": text })).collect();
        cx.out.json(&json!({ "task": run.task, "run": run.run, "state": run.status, "reasons": reasons }))?;
        return Ok(Exit::OK);
    }
    cx.out.say(format!("run {} of workflow {} is {}", run.run, run.workflow, run.status));
    reasons.iter().try_for_each(|reason| cx.out.line(reason))?;
    Ok(Exit::OK)
}
