//! Shapes: that every step is of one kind and says what its kind needs, within bounds.

use nova_types::StepId;

use super::Problems;
use crate::definition::{Choice, Join, Kind, Loop, Map, Need, Step, Tolerate, Undecided, Vote, Wait, Work, Workflow};
use crate::input::kind_of;
use crate::sites::step_path;

/// The most steps of a workflow: a run's state holds each of them. Repetition is what maps and loops are for.
pub(super) const MAX_STEPS: usize = 1_000;
/// The most rounds of a loop; each is in the run's history.
const MAX_ROUNDS: u32 = 10_000;
/// The most tasks of one run at once.
const MAX_PARALLEL: u32 = 100_000;
/// The most items of one bundle, as the wire has it.
const MAX_BUNDLE: u32 = 1_000;
/// The most voters; all ballots are held together.
const MAX_VOTERS: u32 = 100;
/// The heaviest ballot: a hundred of them still fit any counter.
const MAX_WEIGHT: u32 = 1_000_000;
/// The most attempts a step may ask for.
const MAX_ATTEMPTS: u32 = 1_000;

/// Checks the workflow's own fields and every step.
pub(super) fn check(workflow: &Workflow, problems: &mut Problems) {
    if workflow.steps.is_empty() {
        problems.add("/steps", "a workflow needs at least one step");
    }
    within("/parallel", workflow.parallel, MAX_PARALLEL, problems);
    if workflow.deadline.is_some_and(|deadline| deadline.0.is_zero()) {
        problems.add("/deadline", "it must be longer than 0");
    }
    within("/runs", workflow.runs, MAX_PARALLEL, problems);
    for (name, param) in workflow.input.iter().flatten() {
        let path = format!("/input/{}", crate::template::escape(name));
        if name.is_empty() || name.len() > 64 {
            problems.add(&path, "the name of an input has 1 to 64 characters");
        }
        if let Some(default) = &param.default
            && !param.kind.fits(default)
        {
            let message = format!("the default is {}; the type says {}", kind_of(default), param.kind.as_str());
            problems.add(format!("{path}/default"), message);
        }
    }
    for (id, step) in &workflow.steps {
        of_step(id, step, problems);
    }
}

fn within(path: impl Into<String>, given: Option<u32>, most: u32, problems: &mut Problems) {
    if given.is_some_and(|given| given == 0 || given > most) {
        problems.add(path, format!("it must be from 1 to {most}"));
    }
}

fn of_step(id: &StepId, step: &Step, problems: &mut Problems) {
    let base = step_path(id);
    let kinds = step.kinds();
    match kinds.as_slice() {
        [] => problems.add(
            &base,
            format!("step `{id}` says not what it does; give it one of task, map, join, vote, choice, loop, wait, run"),
        ),
        [_] => {}
        several => {
            let said = several.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ");
            problems
                .add(&base, format!("step `{id}` has {said}; a step is exactly one of them, so make it several steps"));
        }
    }
    for kind in kinds {
        let path = format!("{base}/{}", kind.as_str());
        match kind {
            Kind::Task(work) => task(&path, work, problems),
            Kind::Run(work) => run(&path, work, problems),
            Kind::Map(of) => map(&path, of, problems),
            Kind::Join(of) => join(&path, of, problems),
            Kind::Vote(of) => vote(&path, of, problems),
            Kind::Choice(of) => choice(&path, of, problems),
            Kind::Loop(of) => repeat(&path, of, problems),
            Kind::Wait(of) => wait(&path, of, problems),
        }
        if step.undo.is_some() && matches!(kind, Kind::Join(_) | Kind::Choice(_) | Kind::Wait(_)) {
            let message =
                format!("a {} does nothing that could be undone; put `undo` on a step that does", kind.as_str());
            problems.add(format!("{base}/undo"), message);
        }
    }
    if let Some(undo) = &step.undo {
        work(&format!("{base}/undo"), undo, problems);
    }
}

fn task(path: &str, of: &Work, problems: &mut Problems) {
    if of.workflow.is_some() {
        problems.add(format!("{path}/workflow"), "a `task` has a `skill`; for a workflow write `run`");
    } else if of.skill.is_none() {
        problems.add(path, "a `task` needs a `skill`");
    }
    bounds(path, of, problems);
}

fn run(path: &str, of: &Work, problems: &mut Problems) {
    if of.skill.is_some() {
        problems.add(format!("{path}/skill"), "a `run` has a `workflow`; for a skill write `task`");
    } else if of.workflow.is_none() {
        problems.add(path, "a `run` needs a `workflow`");
    }
    bounds(path, of, problems);
}

/// A work that may be either.
fn work(path: &str, of: &Work, problems: &mut Problems) {
    match (&of.skill, &of.workflow) {
        (Some(_), Some(_)) => problems.add(path, "it has a `skill` and a `workflow`; only one of them is done"),
        (None, None) => problems.add(path, "it needs a `skill` or a `workflow`"),
        _ => {}
    }
    bounds(path, of, problems);
}

fn bounds(path: &str, of: &Work, problems: &mut Problems) {
    within(format!("{path}/max_attempts"), of.max_attempts, MAX_ATTEMPTS, problems);
    if of.key.is_some() && of.workflow.is_some() {
        problems.add(format!("{path}/key"), "only tasks of a keyed skill have a `key`; a workflow says its own");
    }
    if of.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        problems.add(format!("{path}/timeout"), "it must be longer than 0");
    }
}

fn map(path: &str, of: &Map, problems: &mut Problems) {
    work(&format!("{path}/do"), &of.work, problems);
    within(format!("{path}/parallel"), of.parallel, MAX_PARALLEL, problems);
    within(format!("{path}/bundle"), of.bundle, MAX_BUNDLE, problems);
    if of.bundle.is_some() && of.work.workflow.is_some() {
        problems.add(format!("{path}/bundle"), "runs cannot be bundled; leave `bundle` out, or give a `skill`");
    }
    if of.bundle.is_some() && of.work.key.is_some() {
        problems.add(format!("{path}/bundle"), "a keyed skill takes no bundles; leave out `bundle` or `do.key`");
    }
    if let Tolerate::Percent(share) = of.tolerate
        && share > 100
    {
        problems.add(format!("{path}/tolerate"), "a share is from 0% to 100%");
    }
}

fn join(path: &str, of: &Join, problems: &mut Problems) {
    if of.of.is_empty() {
        problems.add(format!("{path}/of"), "a join needs at least one step");
    }
    for (index, one) in of.of.iter().enumerate() {
        if of.of[..index].contains(one) {
            problems.add(format!("{path}/of/{index}"), format!("step `{one}` is listed twice"));
        }
    }
    if let Need::Count(count) = of.need
        && (count == 0 || count as usize > of.of.len())
        && !of.of.is_empty()
    {
        problems
            .add(format!("{path}/need"), format!("it must be from 1 to {}, the number of steps listed", of.of.len()));
    }
}

fn vote(path: &str, of: &Vote, problems: &mut Problems) {
    match (&of.work, of.by.is_empty()) {
        (None, true) => problems.add(path, "a vote needs voters: `do` with `times`, or a list `by`"),
        (Some(_), false) => problems.add(path, "a vote has `do` or `by`, not both"),
        _ => {}
    }
    if let Some(one) = &of.work {
        work(&format!("{path}/do"), one, problems);
    } else if of.times.is_some() {
        problems.add(format!("{path}/times"), "`times` goes with `do`; the voters of `by` vote once each");
    }
    within(format!("{path}/times"), of.times, MAX_VOTERS, problems);
    if of.by.len() > MAX_VOTERS as usize {
        problems.add(format!("{path}/by"), format!("a vote has at most {MAX_VOTERS} voters"));
    }
    for (index, voter) in of.by.iter().enumerate() {
        work(&format!("{path}/by/{index}/do"), &voter.work, problems);
        within(format!("{path}/by/{index}/weight"), voter.weight, MAX_WEIGHT, problems);
    }
    let voters = if of.by.is_empty() { of.times.unwrap_or(3) as usize } else { of.by.len() };
    if of.quorum.is_some_and(|quorum| quorum == 0 || quorum as usize > voters) {
        problems.add(format!("{path}/quorum"), format!("it must be from 1 to {voters}, the number of voters"));
    }
    match (&of.judge, of.undecided) {
        (None, Undecided::Judge) => problems.add(path, "`undecided: judge` needs a `judge`"),
        (Some(_), Undecided::Fail | Undecided::Continue) => {
            problems.add(format!("{path}/judge"), "a judge is asked only with `undecided: judge`");
        }
        _ => {}
    }
    if let Some(judge) = &of.judge {
        work(&format!("{path}/judge"), judge, problems);
    }
}

fn choice(path: &str, of: &Choice, problems: &mut Problems) {
    if of.cases.is_empty() {
        problems.add(format!("{path}/cases"), "a choice needs at least one case");
    }
}

fn repeat(path: &str, of: &Loop, problems: &mut Problems) {
    work(&format!("{path}/do"), &of.work, problems);
    within(format!("{path}/max"), Some(of.max), MAX_ROUNDS, problems);
}

fn wait(path: &str, of: &Wait, problems: &mut Problems) {
    let ways = [
        of.duration.map(|_| "for"),
        of.until.as_ref().map(|_| "until"),
        of.signal.as_ref().map(|_| "signal"),
        of.approval.as_ref().map(|_| "approval"),
    ];
    let said: Vec<_> = ways.into_iter().flatten().collect();
    match said.as_slice() {
        [] => problems.add(path, "a wait needs one of for, until, signal, approval"),
        [_] => {}
        several => {
            problems.add(path, format!("a wait has exactly one of {}; make it several steps", several.join(", ")));
        }
    }
    if of.timeout.is_some() && of.signal.is_none() && of.approval.is_none() {
        problems.add(
            format!("{path}/timeout"),
            "`timeout` goes with `signal` or `approval`; `for` and `until` end by themselves",
        );
    }
}
