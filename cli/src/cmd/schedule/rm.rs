//! `nova schedule rm`: the end of a schedule.

use serde_json::json;

use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::task_arg::TaskArg;

/// End a schedule; its task is cancelled
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    confirm(args.yes, &format!("End the schedule of task {task} of skill {skill}?")).await?;
    if !cx.client.unschedule(&skill, &task).await? {
        return Err(Failure::new(
            Exit::NOT_FOUND,
            "no_schedule",
            format!("task {task} of skill {skill} has no schedule"),
        )
        .help("what there is: nova schedule ls"));
    }
    if cx.out.is_json() {
        cx.out.json(&json!({ "task": task, "skill": skill, "removed": true }))?;
    } else {
        cx.out.line(task.to_string())?;
    }
    Ok(Exit::OK)
}
