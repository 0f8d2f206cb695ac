//! Names: those that steps use for one another, those that cannot be written, and those of skills and workflows.

use std::collections::BTreeSet;

use nova_types::{RUN_SKILL, Skill, StepId, WorkflowName};

use super::Problems;
use crate::Workflow;
use crate::definition::{Kind, Work};
use crate::sites::step_path;

/// Words the language keeps for itself even behind a dot.
const RESERVED: [&str; 4] = ["false", "in", "null", "true"];

/// The skills and workflows there are; what is `None` is not looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The skills.
    pub skills: Option<&'a BTreeSet<Skill>>,
    /// The workflows, beside the one that is checked.
    pub workflows: Option<&'a BTreeSet<WorkflowName>>,
}

/// Checks the names of steps and their use.
pub(super) fn check(workflow: &Workflow, problems: &mut Problems) {
    for (id, step) in &workflow.steps {
        let base = step_path(id);
        if RESERVED.contains(&id.as_str()) {
            problems.add(&base, format!("`{id}` is a word of the expression language; call the step something else"));
        }
        for (index, need) in step.after.iter().enumerate() {
            exists(workflow, need, &format!("{base}/after/{index}"), problems);
        }
        for kind in step.kinds() {
            match kind {
                Kind::Join(join) => {
                    for (index, one) in join.of.iter().enumerate() {
                        exists(workflow, one, &format!("{base}/join/of/{index}"), problems);
                    }
                }
                Kind::Choice(choice) => {
                    for (one, path) in choice.picks() {
                        exists(workflow, one, &format!("{base}/choice{path}"), problems);
                        twice(workflow, id, one, &format!("{base}/choice{path}"), problems);
                    }
                }
                _ => {}
            }
        }
        for (path, work) in works(step) {
            if work.skill.as_ref().is_some_and(|skill| skill.as_str() == RUN_SKILL) {
                let message = format!("the skill `{RUN_SKILL}` is Nova's own; name a `workflow` instead of a `skill`");
                problems.add(format!("{base}{path}/skill"), message);
            }
        }
    }
}

fn exists(workflow: &Workflow, step: &StepId, path: &str, problems: &mut Problems) {
    if !workflow.steps.contains_key(step) {
        problems.add(path, no_step(workflow, step.as_str()));
    }
}

/// That there is no such step, and which may be meant.
pub(super) fn no_step(workflow: &Workflow, name: &str) -> String {
    format!("there is no step `{name}`{}", nearest(name, workflow.steps.keys().map(StepId::as_str)))
}

/// A step that an earlier choice lists too.
fn twice(workflow: &Workflow, choice: &StepId, picked: &StepId, path: &str, problems: &mut Problems) {
    let other = workflow
        .steps
        .iter()
        .take_while(|(id, _)| *id != choice)
        .find(|(_, step)| step.choice.as_ref().is_some_and(|other| other.picks().any(|(one, _)| one == picked)));
    if let Some((other, _)) = other {
        problems
            .add(path, format!("the choices `{other}` and `{choice}` both list step `{picked}`; only one choice may"));
    }
}

/// All works of a step, with their paths below it.
pub(crate) fn works(step: &crate::Step) -> Vec<(String, &Work)> {
    let mut all = Vec::new();
    for kind in step.kinds() {
        match kind {
            Kind::Task(work) => all.push(("/task".to_owned(), work)),
            Kind::Run(work) => all.push(("/run".to_owned(), work)),
            Kind::Map(map) => all.push(("/map/do".to_owned(), &map.work)),
            Kind::Loop(repeat) => all.push(("/loop/do".to_owned(), &repeat.work)),
            Kind::Vote(vote) => {
                all.extend(vote.work.iter().map(|work| ("/vote/do".to_owned(), work)));
                let by = vote.by.iter().enumerate();
                all.extend(by.map(|(index, voter)| (format!("/vote/by/{index}/do"), &voter.work)));
                all.extend(vote.judge.iter().map(|work| ("/vote/judge".to_owned(), work)));
            }
            Kind::Join(_) | Kind::Choice(_) | Kind::Wait(_) => {}
        }
    }
    all.extend(step.undo.iter().map(|work| ("/undo".to_owned(), work)));
    all
}

impl Known<'_> {
    /// The problems of works whose skill or workflow there is not.
    #[must_use]
    pub fn check(&self, workflow: &Workflow) -> Vec<crate::Problem> {
        let mut problems = Problems::default();
        for (id, step) in &workflow.steps {
            for (path, work) in works(step) {
                let base = format!("{}{path}", step_path(id));
                if let (Some(skill), Some(known)) = (&work.skill, self.skills)
                    && !known.contains(skill)
                    && skill.as_str() != RUN_SKILL
                {
                    let meant = nearest(skill.as_str(), known.iter().map(Skill::as_str));
                    problems.add(format!("{base}/skill"), format!("no worker offers the skill `{skill}`{meant}"));
                }
                if let (Some(name), Some(known)) = (&work.workflow, self.workflows)
                    && !known.contains(name)
                    && *name != workflow.workflow
                {
                    let meant = nearest(name.as_str(), known.iter().map(WorkflowName::as_str));
                    problems.add(format!("{base}/workflow"), format!("there is no workflow `{name}`{meant}"));
                }
            }
        }
        problems.told()
    }
}

/// `; did you mean ...?` with the nearest of some words, or what there is when none is near and they are few.
pub(crate) fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = among.collect();
    let short: String = word.chars().take(64).collect();
    let best = all.iter().map(|one| (distance(&short, one), *one)).min();
    match best {
        Some((distance, one)) if distance <= 1 + short.len() / 4 && distance < short.len() => {
            format!("; did you mean `{one}`?")
        }
        Some(_) if all.len() <= 8 => {
            let listed = all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
            format!("; there is {listed}")
        }
        _ => String::new(),
    }
}

/// How many letters must be put in, left out, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().take(80).collect());
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut cost = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}
