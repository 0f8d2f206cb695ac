//! `nova run rehearse`: what another version would have done with a recorded run.

use std::path::PathBuf;

use nova_client::RunRow;
use nova_engine::run::{Rehearsal, Rehearsed, StepRehearsal, Unverified, rehearse};
use nova_types::StepId;
use nova_workflow::{Plan, RunEnd};
use serde::Serialize;
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::replay::Replay;
use crate::flow::which::RunWord;
use crate::flow::{file, told};
use crate::out::{Out, Row};

/// Run a new version dry over a recorded run: what would it have done?
///
/// Nothing is started: where the new version asks for the same task, its recorded end answers.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run rehearse cli.018f2c --file review.yaml
  nova run rehearse cli.018f2c --version latest --json")]
pub(crate) struct Args {
    /// The recorded run, by its id or that of its task
    run: RunWord,
    /// The new version's file
    #[arg(long, short, value_name = "FILE", required_unless_present = "version")]
    file: Option<PathBuf>,
    /// A version that is stored: its hash, the beginning of it, or `latest`
    #[arg(long, value_name = "VERSION", conflicts_with = "file")]
    version: Option<String>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let new = match &args.file {
        Some(path) => Some(file::load(&cx.out, path)?),
        None => None,
    };
    let row = args.run.find(&cx).await?;
    let workflow = &row.summary.workflow;
    let new = match (new, args.version.as_deref()) {
        (Some(plan), _) => plan,
        (None, Some("latest") | None) => cx.client.workflow(workflow, None).await?,
        (None, version) => cx.client.workflow(workflow, version).await?,
    };
    let mut replay = Replay::load(&cx, &row).await?;
    let transitions = replay.transitions();
    let old = replay.plan.clone();
    let rehearsal = replay.values.with(|loaded| match rehearse(&old, &new, &transitions, loaded) {
        Ok(rehearsal) => Ok(Ok(rehearsal)),
        Err(Unverified::Stuck(stuck)) => Err(stuck),
        Err(unverified @ Unverified::Diverged(_)) => Ok(Err(unverified)),
    });
    let rehearsal = rehearsal.await?.map_err(|unverified| {
        Failure::because(Exit::FAILURE, "diverged", unverified)
            .help(format!("the recorded run itself does not hold: nova run verify {}", row.summary.run))
    })?;
    show(&cx.out, &row, &new, &rehearsal)?;
    Ok(Exit::OK)
}

#[derive(Serialize)]
struct Line {
    step: StepId,
    #[serde(flatten)]
    rehearsed: StepRehearsal,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["step", "was", "would be", "note"];
    fn cells(&self, _: &Out) -> Vec<String> {
        let note = match self.rehearsed.comes_to {
            Rehearsed::Same => "the same",
            Rehearsed::DifferentInput => "the same tasks with other inputs: their results may differ",
            Rehearsed::NoRecord => "the record does not say how it would end",
            Rehearsed::NotStarted => "would not have begun",
            Rehearsed::DifferentEnd => "ends another way",
        };
        let (was, is) = (self.rehearsed.was.as_str(), self.rehearsed.is.as_str());
        vec![self.step.to_string(), was.to_owned(), is.to_owned(), note.to_owned()]
    }
}

fn show(out: &Out, row: &RunRow, new: &Plan, rehearsal: &Rehearsal) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&json!({
            "run": row.summary.run, "version": row.summary.version, "new_version": new.hash(), "rehearsal": rehearsal,
        }));
    }
    let known = new.order().iter().filter_map(|id| Some((id, rehearsal.steps.get(id)?)));
    let gone = rehearsal.steps.iter().filter(|(id, _)| !new.workflow().steps.contains_key(*id));
    let lines: Vec<Line> =
        known.chain(gone).map(|(id, step)| Line { step: id.clone(), rehearsed: step.clone() }).collect();
    out.list(&lines, "no steps")?;
    let differ = lines.iter().filter(|line| line.rehearsed.comes_to != Rehearsed::Same).count();
    out.say(format!("was: {}; would be: {}", ending(rehearsal.was.as_ref()), ending(rehearsal.end.as_ref())));
    out.say(if differ == 0 {
        "no step differs".to_owned()
    } else {
        format!("{differ} of {} steps differ", lines.len())
    });
    Ok(())
}

fn ending(end: Option<&RunEnd>) -> String {
    let Some(end) = end else { return "not ended".to_owned() };
    let step = end.step.as_ref().map(|step| format!(" at {step}")).unwrap_or_default();
    let why = end.failure.as_ref().map(|why| format!(" ({})", told::failure(why))).unwrap_or_default();
    format!("{}{step}{why}", end.status)
}
