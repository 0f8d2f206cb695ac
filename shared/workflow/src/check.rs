//! Whether a workflow is sound: everything wrong with it, at once.

mod expressions;
mod names;
mod shape;
mod types;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nova_types::StepId;

use crate::Workflow;
use crate::expr::{Compiled, Read};
use crate::graph::Graph;
use crate::plan::Problem;
use crate::sites::sites;
use crate::template::Piece;

pub use names::Known;
pub(crate) use names::nearest;

/// The most problems that are told at once; nobody reads more.
const MAX_PROBLEMS: usize = 100;

/// Expressions by their text, compiled.
pub(crate) type Programs = HashMap<String, Arc<Compiled>>;
/// Texts that hold expressions, split.
pub(crate) type Texts = HashMap<String, Arc<[Piece]>>;

/// What a sound workflow was found to be.
pub(crate) struct Sound {
    pub(crate) order: Vec<StepId>,
    pub(crate) graph: Graph,
    pub(crate) programs: Programs,
    pub(crate) texts: Texts,
}

/// Checks a workflow.
///
/// # Errors
/// All its problems, in the order of the definition's paths.
pub(crate) fn sound(workflow: &Workflow) -> Result<Sound, Vec<Problem>> {
    let mut problems = Problems::default();
    if workflow.steps.len() > shape::MAX_STEPS {
        let message =
            format!("a workflow has at most {} steps; this one has {}", shape::MAX_STEPS, workflow.steps.len());
        problems.add("/steps", message);
        return Err(problems.told());
    }
    shape::check(workflow, &mut problems);
    names::check(workflow, &mut problems);
    let sites = sites(workflow);
    let mut codes = expressions::Codes::default();
    for site in &sites {
        codes.read(site, workflow, &mut problems);
    }
    let reads = codes.uses.iter().flat_map(|one| {
        let step = one.site.step;
        one.compiled.reads.iter().filter_map(move |read| match read {
            // A step that reads itself is told where it does.
            Read::Root(root, _) => {
                let need = root.step()?;
                step.filter(|step| *step != need).map(|step| (step, need, one.path.as_str()))
            }
            _ => None,
        })
    });
    let graph = Graph::of(workflow, reads);
    let order = graph.order().unwrap_or_else(|cycles| {
        cycles.iter().for_each(|cycle| cyclic(cycle, &graph, &mut problems));
        Vec::new()
    });
    if problems.is_empty() {
        let (programs, texts) = codes.finish();
        Ok(Sound { order, graph, programs, texts })
    } else {
        Err(problems.told())
    }
}

fn cyclic(cycle: &[StepId], graph: &Graph, problems: &mut Problems) {
    let Some(first) = cycle.first() else { return };
    let next = cycle.get(1).unwrap_or(first);
    let path = graph.why(first, next).to_owned();
    if cycle.len() == 1 {
        return problems.add(path, format!("step `{first}` waits for itself"));
    }
    let said = cycle.iter().chain([first]).map(StepId::as_str).collect::<Vec<_>>().join(" → ");
    let pairs = cycle.iter().zip(cycle.iter().skip(1).chain([first]));
    let why = pairs.map(|(id, need)| graph.why(id, need)).collect::<Vec<_>>().join(", ");
    problems.add(path, format!("these steps wait for each other: {said}; break one of {why}"));
}

/// Problems as they are found.
#[derive(Default)]
pub(crate) struct Problems(BTreeMap<(String, Option<usize>, String), ()>);

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.insert((path.into(), None, message.into()), ());
    }

    /// Notes a problem within a text.
    pub(crate) fn add_at(&mut self, path: impl Into<String>, at: usize, message: impl Into<String>) {
        self.0.insert((path.into(), Some(at), message.into()), ());
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, as many as anyone reads.
    pub(crate) fn told(self) -> Vec<Problem> {
        let all = self.0.into_keys().map(|(path, at, message)| Problem { path, message, at });
        all.take(MAX_PROBLEMS).collect()
    }
}
