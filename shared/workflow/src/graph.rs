//! Which step waits for which, and why.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::StepId;

use crate::definition::{Kind, Workflow};
use crate::sites::step_path;

/// What each step waits for, with the place that says so.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    edges: BTreeMap<StepId, BTreeMap<StepId, String>>,
    /// The choice that lists a step, first come first served.
    pub(crate) picked_by: BTreeMap<StepId, StepId>,
}

impl Graph {
    /// The graph of a workflow; `reads` are the steps that expressions name, with their places.
    ///
    /// Steps that do not exist are left out.
    pub(crate) fn of<'a>(workflow: &Workflow, reads: impl Iterator<Item = (&'a StepId, &'a StepId, &'a str)>) -> Self {
        let mut graph =
            Self { edges: workflow.steps.keys().map(|id| (id.clone(), BTreeMap::new())).collect(), ..Self::default() };
        for (id, step) in &workflow.steps {
            let base = step_path(id);
            for (index, need) in step.after.iter().enumerate() {
                graph.add(id, need, format!("{base}/after/{index}"));
            }
            for kind in step.kinds() {
                match kind {
                    Kind::Join(join) => {
                        for (index, need) in join.of.iter().enumerate() {
                            graph.add(id, need, format!("{base}/join/of/{index}"));
                        }
                    }
                    Kind::Choice(choice) => {
                        for (picked, path) in choice.picks() {
                            graph.add(picked, id, format!("{base}/choice{path}"));
                            graph.picked_by.entry(picked.clone()).or_insert_with(|| id.clone());
                        }
                    }
                    _ => {}
                }
            }
        }
        for (id, need, path) in reads {
            graph.add(id, need, path.to_owned());
        }
        graph
    }

    fn add(&mut self, id: &StepId, need: &StepId, path: String) {
        if self.edges.contains_key(need)
            && let Some(needs) = self.edges.get_mut(id)
        {
            needs.entry(need.clone()).or_insert(path);
        }
    }

    /// What each step waits for.
    pub(crate) fn needs(&self) -> BTreeMap<StepId, BTreeSet<StepId>> {
        self.edges.iter().map(|(id, needs)| (id.clone(), needs.keys().cloned().collect())).collect()
    }

    /// Why `id` waits for `need`: the place that says so.
    pub(crate) fn why(&self, id: &StepId, need: &StepId) -> &str {
        self.edges.get(id).and_then(|needs| needs.get(need)).map_or("", String::as_str)
    }

    /// An order in which every step comes behind what it waits for, ties by id; or the cycles.
    pub(crate) fn order(&self) -> Result<Vec<StepId>, Vec<Vec<StepId>>> {
        let mut open: BTreeMap<&StepId, usize> = self.edges.iter().map(|(id, needs)| (id, needs.len())).collect();
        let mut dependants: BTreeMap<&StepId, Vec<&StepId>> = BTreeMap::new();
        for (id, needs) in &self.edges {
            for need in needs.keys() {
                dependants.entry(need).or_default().push(id);
            }
        }
        let mut ready: BTreeSet<&StepId> = open.iter().filter(|(_, needs)| **needs == 0).map(|(id, _)| *id).collect();
        let mut order = Vec::with_capacity(self.edges.len());
        while let Some(id) = ready.pop_first() {
            open.remove(id);
            order.push(id.clone());
            for dependant in dependants.get(id).into_iter().flatten() {
                if let Some(needs) = open.get_mut(dependant) {
                    *needs -= 1;
                    if *needs == 0 {
                        ready.insert(dependant);
                    }
                }
            }
        }
        if open.is_empty() { Ok(order) } else { Err(self.cycles(open.into_keys().collect())) }
    }

    /// The cycles among steps that all wait for one of themselves.
    fn cycles(&self, mut left: BTreeSet<&StepId>) -> Vec<Vec<StepId>> {
        let mut cycles = Vec::new();
        while let Some(mut at) = left.first().copied() {
            let mut path: Vec<&StepId> = Vec::new();
            let found = loop {
                if let Some(begin) = path.iter().position(|seen| *seen == at) {
                    break Some(begin);
                }
                path.push(at);
                match self.edges[at].keys().find(|need| left.contains(need)) {
                    Some(next) => at = next,
                    None => break None,
                }
            };
            if let Some(begin) = found {
                let cycle = &path[begin..];
                let least = cycle.iter().enumerate().min_by_key(|(_, id)| **id).map_or(0, |(index, _)| index);
                cycles.push(cycle[least..].iter().chain(&cycle[..least]).map(|id| (*id).clone()).collect());
            }
            for seen in path {
                left.remove(seen);
            }
        }
        cycles
    }
}
