//! Giving orders to runs: to one and seeing it heeded, or to many that a filter finds.

use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use nova_client::{OrderAccepted, RunRow};
use nova_types::RunStatus;
use nova_workflow::{Decision, Event, Transition};
use serde_json::json;

use super::which::{RunFilterArgs, RunWord, seek};
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

/// How long a coordinator is waited for before an order is reported as stored only.
const HEED_WITHIN: Duration = Duration::from_secs(5);
/// How many orders are under way at once.
const AT_ONCE: usize = 64;

/// Which runs an order is about: some by id, or all that a filter finds.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// The runs, by their id or that of their task
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<RunWord>,
    /// Every run it can be done to
    #[arg(long, conflicts_with = "runs")]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    filter: RunFilterArgs,
}

impl Which {
    /// Whether runs are named one by one.
    pub(crate) fn is_by_id(&self) -> bool {
        !self.runs.is_empty()
    }

    /// The runs that are meant; of a filter without a status only those in one of `fit`. Asks before more than named ones.
    pub(crate) async fn rows(&self, cx: &Cx, verb: &str, fit: &[RunStatus]) -> Result<Vec<RunRow>, Failure> {
        if self.is_by_id() {
            if self.filter.is_narrow() {
                return Err(Failure::usage("give either runs or a filter, not both"));
            }
            let mut rows = Vec::new();
            for run in &self.runs {
                rows.push(run.find(cx).await?);
            }
            return Ok(rows);
        }
        if !self.filter.is_narrow() && !self.all {
            let text = "which runs? give a RUN, a filter such as --status, --workflow or --key, or --all";
            return Err(Failure::usage(text));
        }
        let mut filter = self.filter.filter(usize::MAX);
        if let Some(unfit) = filter.statuses.iter().find(|status| !fit.contains(status)) {
            let fit: Vec<&str> = fit.iter().map(|status| status.as_str()).collect();
            return Err(Failure::usage(format!("runs that are {unfit} cannot be meant: only {}", fit.join(", "))));
        }
        if filter.statuses.is_empty() {
            filter.statuses = fit.to_vec();
        }
        let rows = seek(cx, &filter).await?.rows;
        if !rows.is_empty() {
            let of = if rows.len() == 1 { "1 run".to_owned() } else { format!("{} runs", rows.len()) };
            confirm(self.yes, &format!("{} {of}?", capitalised(verb))).await?;
        }
        Ok(rows)
    }
}

/// Does one thing to each run, with progress; one that fails does not keep the others running.
pub(crate) async fn each<F>(
    cx: &Cx,
    which: &Which,
    rows: Vec<RunRow>,
    doing: &str,
    act: impl Fn(RunRow) -> F,
) -> Result<Exit, Failure>
where
    F: Future<Output = Result<String, Failure>>,
{
    if rows.is_empty() {
        cx.out.say("no run is meant");
        return Ok(Exit::OK);
    }
    let count = rows.len();
    let progress = Progress::bar(&cx.out, count as u64, doing);
    let mut answers = pin!(stream::iter(rows).map(act).buffered(AT_ONCE));
    let (mut done, mut failed) = (0, None);
    while let Some(answer) = answers.next().await {
        done += 1;
        progress.at(done);
        match answer {
            Ok(line) => progress.beside(|| cx.out.line(line))?,
            Err(failure) if count == 1 => return Err(failure),
            Err(failure) => {
                progress.beside(|| cx.out.fail(&failure));
                failed = Some(failure.exit);
            }
        }
    }
    drop(progress);
    if count > 1 || !which.is_by_id() {
        cx.out.say(if count == 1 { "1 run".to_owned() } else { format!("{count} runs") });
    }
    Ok(failed.unwrap_or(Exit::OK))
}

/// Refuses an order to a run whose status leaves nothing to do.
pub(crate) fn refuse_unless(row: &RunRow, fit: &[RunStatus]) -> Result<(), Failure> {
    let status = row.summary.status;
    if fit.contains(&status) {
        return Ok(());
    }
    let how = if status.is_ended() { "has ended already" } else { "is not in a status for that" };
    Err(Failure::new(Exit::REFUSED, "run_status", format!("run {} {how}: {status}", row.summary.run)))
}

/// One line about an order: the run's id, or an object that says what became of it.
pub(crate) fn receipt(cx: &Cx, row: &RunRow, verb: &str, heeded: Option<bool>) -> String {
    let run = &row.summary.run;
    if !cx.out.is_json() {
        return run.to_string();
    }
    json!({ "run": run, "task": row.summary.task, "order": verb, "accepted": true, "heeded": heeded }).to_string()
}

/// Waits until a coordinator has recorded an order; `false` when none has within moments.
///
/// # Errors
/// A refusal when the run ignored it.
pub(crate) async fn heeded(cx: &Cx, row: &RunRow, order: OrderAccepted) -> Result<bool, Failure> {
    let run = &row.summary.run;
    let mut feed = cx.client.follow_run_from(run, order.sequence + 1).await?;
    let seen = async {
        while let Some(recorded) = feed.next().await {
            let recorded = recorded?;
            if names(&recorded.transition, order.sequence) {
                return Ok(Some(recorded.transition));
            }
        }
        Ok::<_, Failure>(None)
    };
    let Ok(seen) = tokio::time::timeout(HEED_WITHIN, seen).await else { return Ok(false) };
    let Some(transition) = seen? else { return Ok(false) };
    let ignored = transition.decisions.iter().find_map(|decision| match decision {
        Decision::Ignore { why } => Some(why.clone()),
        _ => None,
    });
    match ignored {
        None => Ok(true),
        Some(why) => Err(Failure::new(Exit::REFUSED, "ignored", format!("run {run} ignored the order: {why}"))
            .help(format!("what it waits for: nova run show {run}"))),
    }
}

/// Tells a person what became of an order that is stored.
pub(crate) fn tell(cx: &Cx, row: &RunRow, is_heeded: bool, done: &str) {
    if is_heeded {
        cx.out.say(format!("run {}: {done}", row.summary.run));
    } else {
        cx.out.say(format!(
            "stored, and will be heeded; no coordinator took it within {} s: nova check coordinator",
            HEED_WITHIN.as_secs()
        ));
    }
}

fn names(transition: &Transition, sequence: u64) -> bool {
    transition.events.iter().any(|event| match event {
        Event::Signalled { order, .. } | Event::Paused { order } | Event::Resumed { order } => *order == sequence,
        Event::Approved(answer) => answer.order == sequence,
        _ => false,
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
