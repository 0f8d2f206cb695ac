//! `nova wait`: until a task has ended.

use nova_types::DurationText;

use crate::cx::Cx;
use crate::end::show_end;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::task_arg::TaskArg;

/// Wait for a task's end and print its result
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova wait cli.018f2c --timeout 30s
  nova wait report --json

Exits 0 when the task completed, 3 when it is dead or was cancelled (the error is on stderr), 6 when
it has not ended in time. With --skill a task that is not submitted yet can be waited for, too.")]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// How long at most; without it for as long as it takes
    #[arg(long, value_name = "DURATION", default_value = "3650d", hide_default_value = true)]
    timeout: DurationText,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    let spinner = Progress::spinner(&cx.out, format!("waiting for {task}"));
    let ended = cx.client.wait(&skill, &task, args.timeout.0).await?;
    drop(spinner);
    show_end(&cx.out, &ended)
}
