//! All places of a workflow that hold expressions, what they may read there, and what they must come to.

use nova_types::StepId;

use crate::definition::{Expr, Kind, Step, Template, Work, Workflow};
use crate::expr::Root;
use crate::template::escape;

/// One place that holds an expression, or texts with expressions.
#[derive(Debug, Clone)]
pub(crate) struct Site<'a> {
    /// Its JSON pointer.
    pub(crate) path: String,
    /// The step it belongs to.
    pub(crate) step: Option<&'a StepId>,
    /// What is there.
    pub(crate) held: Held<'a>,
    /// What it may read.
    pub(crate) place: Place,
    /// What it must come to.
    pub(crate) wants: Wants,
}

/// What a site holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Held<'a> {
    Expr(&'a Expr),
    Template(&'a Template),
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Key,
    Step,
    MapWork,
    LoopWork,
    Until,
    Ballot,
    Judge,
    Undo,
}

/// What an expression must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Any,
    Bool,
    List,
    /// A moment: text or a whole number.
    Moment,
    /// What can stand for a key: text, a number or a bool.
    Word,
}

impl Place {
    /// Whether `root` can be read there.
    pub(crate) fn offers(self, root: &Root) -> bool {
        match root {
            Root::Input => true,
            Root::Run | Root::Step(_) | Root::Told(_) => self != Self::Key,
            Root::Item => self == Self::MapWork,
            Root::Index => matches!(self, Self::MapWork | Self::LoopWork | Self::Until),
            Root::Last => self == Self::LoopWork,
            Root::Result => matches!(self, Self::Until | Self::Ballot | Self::Undo),
            Root::Ballots | Root::Tally => self == Self::Judge,
        }
    }
}

/// Where a root that not every place offers can be read.
pub(crate) fn offered_in(root: &Root) -> &'static str {
    match root {
        Root::Input => "everywhere",
        Root::Run | Root::Step(_) | Root::Told(_) => "everywhere but in the workflow's `key`",
        Root::Item => "in the `do` of a map",
        Root::Index => "in the `do` of a map, and in the `do` and `until` of a loop",
        Root::Last => "in the `do` of a loop",
        Root::Result => "in the `until` of a loop, the `ballot` of a vote and an `undo`",
        Root::Ballots | Root::Tally => "in the `judge` of a vote",
    }
}

/// All places of a workflow, in its order.
pub(crate) fn sites(workflow: &Workflow) -> Vec<Site<'_>> {
    let mut all = Vec::new();
    let whole = |path: &str, held, place, wants| Site { path: path.to_owned(), step: None, held, place, wants };
    if let Some(key) = &workflow.key {
        all.push(whole("/key", Held::Expr(key), Place::Key, Wants::Word));
    }
    for (id, step) in &workflow.steps {
        of_step(id, step, &mut all);
    }
    if let Some(result) = &workflow.result {
        all.push(whole("/result", Held::Template(result), Place::Step, Wants::Any));
    }
    all
}

/// The JSON pointer of a step.
pub(crate) fn step_path(id: &StepId) -> String {
    format!("/steps/{}", escape(id.as_str()))
}

fn of_step<'a>(id: &'a StepId, step: &'a Step, all: &mut Vec<Site<'a>>) {
    let base = step_path(id);
    let mut add = |path: String, held, place, wants| {
        all.push(Site { path: format!("{base}{path}"), step: Some(id), held, place, wants });
    };
    if let Some(when) = &step.when {
        add("/when".into(), Held::Expr(when), Place::Step, Wants::Bool);
    }
    let work = |path: &str, work: &'a Work, place: Place, add: &mut dyn FnMut(String, Held<'a>, Place, Wants)| {
        add(format!("{path}/input"), Held::Template(&work.input), place, Wants::Any);
        if let Some(key) = &work.key {
            add(format!("{path}/key"), Held::Template(key), place, Wants::Word);
        }
    };
    for kind in step.kinds() {
        match kind {
            Kind::Task(one) => work("/task", one, Place::Step, &mut add),
            Kind::Run(one) => work("/run", one, Place::Step, &mut add),
            Kind::Map(map) => {
                add("/map/over".into(), Held::Expr(&map.over), Place::Step, Wants::List);
                work("/map/do", &map.work, Place::MapWork, &mut add);
            }
            Kind::Vote(vote) => {
                if let Some(one) = &vote.work {
                    work("/vote/do", one, Place::Step, &mut add);
                }
                for (index, voter) in vote.by.iter().enumerate() {
                    work(&format!("/vote/by/{index}/do"), &voter.work, Place::Step, &mut add);
                }
                if let Some(ballot) = &vote.ballot {
                    add("/vote/ballot".into(), Held::Expr(ballot), Place::Ballot, Wants::Any);
                }
                if let Some(judge) = &vote.judge {
                    work("/vote/judge", judge, Place::Judge, &mut add);
                }
            }
            Kind::Choice(choice) => {
                for (index, case) in choice.cases.iter().enumerate() {
                    add(format!("/choice/cases/{index}/when"), Held::Expr(&case.when), Place::Step, Wants::Bool);
                }
            }
            Kind::Loop(repeat) => {
                work("/loop/do", &repeat.work, Place::LoopWork, &mut add);
                add("/loop/until".into(), Held::Expr(&repeat.until), Place::Until, Wants::Bool);
            }
            Kind::Wait(wait) => {
                if let Some(until) = &wait.until {
                    add("/wait/until".into(), Held::Expr(until), Place::Step, Wants::Moment);
                }
                if let Some(approval) = &wait.approval {
                    add("/wait/approval/of".into(), Held::Template(&approval.of), Place::Step, Wants::Any);
                }
            }
            Kind::Join(_) => {}
        }
    }
    if let Some(undo) = &step.undo {
        work("/undo", undo, Place::Undo, &mut add);
    }
}
