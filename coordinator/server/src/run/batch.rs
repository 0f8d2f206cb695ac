//! Letters on their way into one transition: sorted into what happened, what is known already and what is not understood.

use std::collections::HashSet;

use nova_engine::run::{items_of, part_of, parts_of};
use nova_types::{Name, RunId};
use nova_workflow::{Event, Part};

use super::fold::Fold;
use super::mail::{Letter, News, Verdict};
use super::shelf::ShelfError;
use super::state::State;
use crate::Parts;

/// Letters that are worked off together.
#[derive(Default)]
pub(crate) struct Batch {
    /// Not recorded yet.
    pub(crate) open: Vec<Letter>,
    /// Recorded, or known to be; answered once all is carried out.
    pub(crate) done: Vec<Letter>,
    /// Whether the history was read since the batch came.
    pub(crate) is_fresh: bool,
    /// Whether the run is known to exist.
    pub(crate) exists: bool,
}

/// What a batch comes to before it is recorded.
#[derive(Default)]
pub(crate) struct Sorted {
    pub(crate) events: Vec<Event>,
    /// Recorded with these events.
    pub(crate) counted: Vec<Letter>,
    /// Left for the next transition.
    pub(crate) rest: Vec<Letter>,
    /// Ends that no task under way has.
    pub(crate) unknown: Vec<Letter>,
    /// How many ends are among the events.
    pub(crate) ends: u64,
}

impl Sorted {
    /// All letters again.
    pub(crate) fn all(self) -> Vec<Letter> {
        self.counted.into_iter().chain(self.rest).chain(self.unknown).collect()
    }
}

impl Batch {
    /// Sorts what is open; what is not for this run is answered at once.
    pub(crate) async fn sort(&mut self, parts: &Parts, run: &RunId, state: &mut State) -> Result<Sorted, ShelfError> {
        let open = std::mem::take(&mut self.open);
        if state.run.started().is_none() {
            return Ok(first(open));
        }
        let mut sorted = Sorted::default();
        let (mut fold, mut others, mut seen) = (Fold::default(), Vec::new(), HashSet::<Part>::new());
        let mut known = ends(state, &open).into_iter();
        for letter in open {
            let part = if let News::Outcome(_) = letter.news { known.next().flatten() } else { None };
            match &letter.news {
                News::Start(start) if is_of(state, &start.started.task) => sorted.counted.push(letter),
                News::Start(_) => letter.settle(Verdict::Taken),
                News::Order(order) if !is_of(state, &order.0) => letter.settle(Verdict::Taken),
                _ if state.is_ended() => sorted.counted.push(letter),
                News::Outcome(_) | News::Refused(_) if fold.is_full() => sorted.rest.push(letter),
                News::Outcome(ended) => match part {
                    Some(part) => {
                        if seen.insert(part.clone()) {
                            match items_of(&state.run, &part) {
                                Some(items) => fold.add_bundle(parts, part.step, items, ended).await?,
                                None => fold.add(parts, run, &state.plan, &mut state.shelf, part, ended).await?,
                            }
                        }
                        sorted.counted.push(letter);
                    }
                    None => sorted.unknown.push(letter),
                },
                News::Refused(end) => {
                    if part_of(&state.run, &end.part.name(run)).is_some() && seen.insert(end.part.clone()) {
                        match (items_of(&state.run, &end.part), &end.error) {
                            (Some(items), Some(error)) => fold.fail_all(&end.part.step, items, error),
                            _ => fold.push((**end).clone()),
                        }
                    }
                    sorted.counted.push(letter);
                }
                News::Order(order) => {
                    others.push(order.1.clone());
                    sorted.counted.push(letter);
                }
                News::Event(event) => {
                    others.push((**event).clone());
                    sorted.counted.push(letter);
                }
            }
        }
        sorted.ends = seen.len() as u64;
        sorted.events = fold.events(parts, run, &mut state.shelf).await?;
        sorted.events.extend(others);
        Ok(sorted)
    }
}

/// A run's start alone: all else is understood behind it.
fn first(open: Vec<Letter>) -> Sorted {
    let mut sorted = Sorted::default();
    for letter in open {
        match &letter.news {
            News::Start(start) if sorted.events.is_empty() => {
                sorted.events.push(Event::Started(Box::new(start.started.clone())));
                sorted.counted.push(letter);
            }
            _ => sorted.rest.push(letter),
        }
    }
    sorted
}

/// The task behind each outcome, when it is under way.
fn ends(state: &State, open: &[Letter]) -> Vec<Option<Part>> {
    let name = |letter: &'_ Letter| match &letter.news {
        News::Outcome(ended) => Some(ended.name.clone()),
        _ => None,
    };
    let names: Vec<Name> = open.iter().filter_map(name).collect();
    parts_of(&state.run, &names.iter().collect::<Vec<_>>())
}

fn is_of(state: &State, task: &nova_types::TaskId) -> bool {
    state.run.started().is_some_and(|started| started.task == *task)
}
