//! `nova run approve` and `reject`: a person's answer to exactly what was looked at.

use std::io::IsTerminal as _;

use nova_client::{Answer, RunRow};
use nova_engine::run::{Asked, Memo, Run, WaitsFor, asked};
use nova_types::StepId;
use serde_json::json;

use super::who;
use crate::confirm::confirm;
use crate::cx::Cx;
use crate::end::readable;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::act;
use crate::flow::replay::Replay;
use crate::flow::which::RunWord;
use crate::out::Out;

/// Approve what a step of a run waits for
///
/// Without --hash it shows what is approved and asks. The approval names the hash of exactly that: when it is not what the
/// step waits for, it is refused and recorded.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run approve cli.018f2c ask
  nova run approve cli.018f2c ask --hash 5e88489 --note 'looked at the plan'")]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

/// Reject what a step of a run waits for: the step fails
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova run reject cli.018f2c ask --note 'not on a Friday'")]
pub(crate) struct RejectArgs {
    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(clap::Args)]
struct AnswerArgs {
    /// The run, by its id or that of its task
    run: RunWord,
    /// The step; the only one that waits for an answer without it
    step: Option<StepId>,
    /// The hash of what was looked at, or the beginning of it
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    /// A word with it, for the record
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who says so [default: the user of this process]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Take what is shown without asking
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn approve(cx: Cx, args: ApproveArgs) -> Result<Exit, Failure> {
    answer(&cx, args.answer, true).await
}

pub(super) async fn reject(cx: Cx, args: RejectArgs) -> Result<Exit, Failure> {
    answer(&cx, args.answer, false).await
}

async fn answer(cx: &Cx, args: AnswerArgs, yes: bool) -> Result<Exit, Failure> {
    let row = args.run.find(cx).await?;
    super::refuse_ended(&row)?;
    let (step, asked) = waiting(cx, &row, args.step.as_ref()).await?;
    let verb = if yes { "approve" } else { "reject" };
    match &args.hash {
        // What was looked at elsewhere: seven digits tell two values apart, fewer are a slip.
        Some(hash) if hash.len() >= 7 && asked.hash.starts_with(hash.as_str()) => {}
        Some(hash) => {
            let text =
                format!("step {step} of run {} waits for an answer to {}, not {hash}", row.summary.run, asked.hash);
            return Err(Failure::new(Exit::REFUSED, "other_hash", text)
                .help(format!("see what it is now: nova run show {}", row.summary.run)));
        }
        None => {
            show(&cx.out, &step, &asked);
            let is_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
            if !args.yes && !is_person {
                let text = format!("nobody confirmed to {verb} step {step}");
                return Err(Failure::new(Exit::REFUSED, "not_confirmed", text)
                    .help(format!("name what you looked at: --hash {}; or take what is shown: --yes", asked.hash)));
            }
            confirm(args.yes, &format!("{} this?", if yes { "Approve" } else { "Reject" })).await?;
        }
    }
    let given = Answer { step: step.clone(), hash: asked.hash, by: args.by.or_else(who), note: args.note };
    let task = &row.summary.task;
    let order = if yes { cx.client.approve(task, given).await? } else { cx.client.reject(task, given).await? };
    let heeded = act::heeded(cx, &row, order).await?;
    cx.out.line(act::receipt(cx, &row, verb, Some(heeded)))?;
    act::tell(cx, &row, heeded, &format!("step {step} is {verb}{}", if yes { "d" } else { "ed" }));
    Ok(Exit::OK)
}

/// The step that waits for an answer, and what it asks.
async fn waiting(cx: &Cx, row: &RunRow, step: Option<&StepId>) -> Result<(StepId, Asked), Failure> {
    let run = &row.summary.run;
    let mut replay = Replay::load(cx, row).await?;
    let folded = replay.fold(run).await?;
    let open = approvals(&mut replay, &folded).await?;
    let names = |open: &[(StepId, Asked)]| open.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ");
    let none = |text: String| Failure::new(Exit::REFUSED, "no_approval", text);
    match (step, open.as_slice()) {
        (_, []) => Err(none(format!("no step of run {run} waits for an approval"))
            .help(format!("what it waits for: nova run show {run}"))),
        (None, [(id, asked)]) => Ok((id.clone(), asked.clone())),
        (None, several) => Err(Failure::usage(format!("which step? {}", names(several)))),
        (Some(step), open) => open.iter().find(|(id, _)| id == step).cloned().ok_or_else(|| {
            none(format!("step {step} of run {run} waits for no approval")).help(format!("these do: {}", names(open)))
        }),
    }
}

/// Every step that waits for an approval, with what it asks.
pub(super) async fn approvals(replay: &mut Replay, run: &Run) -> Result<Vec<(StepId, Asked)>, Failure> {
    let plan = replay.plan.clone();
    let mut open = Vec::new();
    for (id, step) in run.view(&plan).steps {
        if matches!(step.waits_for, Some(WaitsFor::Approval { .. })) {
            let mut memo = Memo::default();
            let found = replay.values.with(|loaded| asked(run, &plan, &id, loaded, &mut memo)).await?;
            open.extend(found.map(|found| (id, found)));
        }
    }
    Ok(open)
}

/// Shows what is asked: it is what the answer is about, so it is told even when little else is.
fn show(out: &Out, step: &StepId, asked: &Asked) {
    if out.is_json() {
        out.warn(json!({ "step": step, "ask": asked.ask, "of": asked.of, "hash": asked.hash }).to_string());
        return;
    }
    let ask = if asked.ask.is_empty() { String::new() } else { format!(" asks: {}", asked.ask) };
    out.warn(format!("step {step}{ask}"));
    out.warn(readable(&asked.of));
    out.warn(format!("hash {}", asked.hash));
}
