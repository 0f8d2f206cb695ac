//! `nova schedule backfill`: the tasks of a schedule for moments that have passed.

use nova_client::{BackfillError, Filled};
use nova_types::{TaskId, UnixMillis};
use nova_wire::format_rfc3339;
use serde::Serialize;

use crate::clock;
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::moment::Moment;
use crate::out::{Out, Row};
use crate::progress::Progress;
use crate::task_arg::TaskArg;

/// Run a recurring schedule for moments that have passed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova schedule backfill nightly --from 2026-11-01 --to 2026-11-08 --dry-run
  nova schedule backfill nightly --skill nova-run --from 7d --to 0s --yes

Each moment's task has an id of its own, <name>-<Unix second>: what ran is reported as existing and
not run again, for as long as its outcome is kept (a workflow's: its run). Moments are those of the
schedule's own time zone; a local time that a change of clocks skips has none, one that comes twice
has two.")]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
    /// The first moment that counts: 7d (ago), 2026-11-01, 2026-11-01T02:30:00Z
    #[arg(long, value_name = "WHEN")]
    from: Moment,
    /// The first moment that counts no more; now unless given
    #[arg(long, value_name = "WHEN")]
    to: Option<Moment>,
    /// At most so many moments; more are refused
    #[arg(long, value_name = "N", default_value = "1000")]
    limit: usize,
    /// Only show the moments
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct Line {
    task: TaskId,
    moment: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["moment", "task", "state"];
    fn cells(&self, _: &Out) -> Vec<String> {
        vec![self.moment.clone(), self.task.to_string(), self.state.to_owned()]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    let recurring = cx.client.recurring(&skill, &task).await.map_err(failure)?;
    let now = clock::now();
    let to = args.to.map_or(now, |to| to.past(now));
    let moments: Vec<UnixMillis> =
        recurring.moments(args.from.past(now), to).take(args.limit.saturating_add(1)).collect();
    if moments.len() > args.limit {
        let more = format!("the range has more than {} moments of task {task}", args.limit);
        return Err(Failure::usage(more).help("a shorter range, or --limit N"));
    }
    if args.dry_run || moments.is_empty() {
        let lines: Vec<Line> = moments
            .iter()
            .map(|at| Line { task: recurring.task(*at), moment: format_rfc3339(*at), state: "planned", error: None })
            .collect();
        cx.out.list(&lines, "no moments in that range")?;
        cx.out.say(format!("{} moments", lines.len()));
        return Ok(Exit::OK);
    }
    let (first, last) = (format_rfc3339(moments[0]), format_rfc3339(moments[moments.len() - 1]));
    let question = format!("Run task {task} of skill {skill} for {} moments, {first} to {last}?", moments.len());
    confirm(args.yes, &question).await?;
    let progress = Progress::bar(&cx.out, moments.len() as u64, "backfilling");
    let mut lines = Vec::with_capacity(moments.len());
    let done = cx
        .client
        .backfill(&recurring, moments, |one| {
            let (state, error) = match &one.filled {
                Filled::Submitted => ("submitted", None),
                Filled::Existing => ("existing", None),
                Filled::Failed(error) => ("failed", Some(error.to_string())),
            };
            lines.push(Line { task: one.task, moment: format_rfc3339(one.moment), state, error });
            progress.at(lines.len() as u64);
        })
        .await;
    drop(progress);
    cx.out.list(&lines, "nothing was done")?;
    done?;
    let count = |state: &str| lines.iter().filter(|line| line.state == state).count();
    let failed = count("failed");
    cx.out.say(format!("{} submitted, {} existing, {failed} failed", count("submitted"), count("existing")));
    match lines.iter().find_map(|line| line.error.as_ref()) {
        None => Ok(Exit::OK),
        Some(error) => {
            let told = format!("{failed} moments were not submitted, the first because: {error}");
            Err(Failure::new(Exit::FAILURE, "backfill", told).help("again: what was submitted is not submitted twice"))
        }
    }
}

/// Why there is nothing to backfill.
pub(super) fn failure(error: BackfillError) -> Failure {
    match error {
        BackfillError::Query(error) => error.into(),
        BackfillError::NoSchedule { .. } => {
            Failure::because(Exit::NOT_FOUND, error.code().to_owned(), error).help("what there is: nova schedule ls")
        }
        BackfillError::Once { .. } | BackfillError::Calendar { .. } => {
            Failure::because(Exit::USAGE, error.code().to_owned(), error)
        }
    }
}
