//! `nova why`: what stands between a task and its end.

use serde_json::{Value, json};

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::state_word;
use crate::task_arg::TaskArg;

/// Say why a task has not ended
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova why cli.018f2c")]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
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
