//! Goes through every state of a model, breadth first.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::hash::Hash;

/// Something that moves from state to state.
pub trait Model {
    /// A state.
    type State: Clone + Eq + Hash + Debug;
    /// A way to move on.
    type Action: Copy + Debug;

    /// Where it begins.
    fn initial(&self) -> Self::State;
    /// What can happen in a state.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    /// Whether an action is a fault: something that must be survived, and never be needed.
    fn is_fault(&self, action: Self::Action) -> bool;
    /// The state after an action.
    fn after(&self, state: &Self::State, action: Self::Action) -> Self::State;
    /// The property that a state breaks.
    fn broken(&self, state: &Self::State) -> Option<&'static str>;
    /// Whether all is done; from every state such a one must be in reach without a fault.
    fn is_done(&self, state: &Self::State) -> bool;
}

/// What was found.
#[derive(Debug)]
pub struct Explored<M: Model> {
    /// How many different states there are.
    pub states: usize,
    /// How many ways there are between them.
    pub ways: usize,
    /// How many of them are ends.
    pub ends: usize,
    /// How a property is broken.
    pub counterexample: Option<Counterexample<M>>,
}

/// The shortest way to a broken property.
#[derive(Debug)]
pub struct Counterexample<M: Model> {
    /// The property.
    pub property: &'static str,
    /// What happened, in order.
    pub actions: Vec<M::Action>,
    /// Where that led.
    pub state: M::State,
}

/// What is said of a state from which no end is in reach.
pub const STUCK: &str = "an end can always be reached without a fault";

/// Goes through all states of a model, up to `most` of them.
///
/// # Panics
/// When there are more: a model that is not looked at whole proves nothing.
pub fn explore<M: Model>(model: &M, most: usize) -> Explored<M> {
    let mut search = Search::begin(model);
    while let Some(at) = search.open.pop_front() {
        let state = search.states[at].clone();
        if let Some(property) = model.broken(&state) {
            return search.end(Some((property, at)));
        }
        if model.is_done(&state) {
            search.ends.push(at);
        }
        for action in model.actions(&state) {
            let next = search.meet(model.after(&state, action), at, action);
            search.ways += 1;
            if !model.is_fault(action) {
                search.back[next].push(at);
            }
        }
        assert!(search.states.len() <= most, "the model has more than {most} states");
    }
    let stuck = search.stuck();
    search.end(stuck.map(|at| (STUCK, at)))
}

struct Search<M: Model> {
    states: Vec<M::State>,
    known: HashMap<M::State, usize>,
    open: VecDeque<usize>,
    /// From where a state was first met, and how.
    from: Vec<Option<(usize, M::Action)>>,
    /// The states from which a state is in reach by one step that is no fault.
    back: Vec<Vec<usize>>,
    ends: Vec<usize>,
    ways: usize,
}

impl<M: Model> Search<M> {
    fn begin(model: &M) -> Self {
        let first = model.initial();
        Self {
            known: HashMap::from([(first.clone(), 0)]),
            states: vec![first],
            open: VecDeque::from([0]),
            from: vec![None],
            back: vec![Vec::new()],
            ends: Vec::new(),
            ways: 0,
        }
    }

    fn meet(&mut self, state: M::State, from: usize, action: M::Action) -> usize {
        if let Some(known) = self.known.get(&state) {
            return *known;
        }
        let at = self.states.len();
        self.known.insert(state.clone(), at);
        self.states.push(state);
        self.from.push(Some((from, action)));
        self.back.push(Vec::new());
        self.open.push_back(at);
        at
    }

    /// The first state from which no end is in reach.
    fn stuck(&self) -> Option<usize> {
        let mut is_saved = vec![false; self.states.len()];
        let mut open = self.ends.clone();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut is_saved[at], true) {
                open.extend(&self.back[at]);
            }
        }
        is_saved.iter().position(|saved| !saved)
    }

    fn end(self, broken: Option<(&'static str, usize)>) -> Explored<M> {
        let counterexample = broken.map(|(property, at)| {
            let mut actions = Vec::new();
            let mut back = at;
            while let Some((from, action)) = self.from[back] {
                actions.push(action);
                back = from;
            }
            actions.reverse();
            Counterexample { property, actions, state: self.states[at].clone() }
        });
        Explored { states: self.states.len(), ways: self.ways, ends: self.ends.len(), counterexample }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up to a number; a fault may set it back, or forward into a hole it does not come out of.
    struct Counter {
        hole: bool,
        most: u8,
    }

    impl Model for Counter {
        type State = u8;
        type Action = u8;

        fn initial(&self) -> u8 {
            0
        }

        fn actions(&self, state: &u8) -> Vec<u8> {
            match state {
                9 => Vec::new(),
                3 if self.hole => vec![4, 0, 9],
                state => vec![(state + 1).min(5), 0],
            }
        }

        fn is_fault(&self, action: u8) -> bool {
            action == 0 || action == 9
        }

        fn after(&self, _: &u8, action: u8) -> u8 {
            action
        }

        fn broken(&self, state: &u8) -> Option<&'static str> {
            (*state > self.most).then_some("it stays below the most")
        }

        fn is_done(&self, state: &u8) -> bool {
            *state == 5
        }
    }

    #[test]
    fn all_states_are_seen_and_holes_are_found() {
        let whole = explore(&Counter { hole: false, most: 9 }, 100);
        assert_eq!((whole.states, whole.ends), (6, 1));
        assert!(whole.counterexample.is_none());
        let stuck = explore(&Counter { hole: true, most: 9 }, 100).counterexample.expect("there is a hole");
        assert_eq!((stuck.property, stuck.actions), (STUCK, vec![1, 2, 3, 9]));
    }

    #[test]
    fn a_broken_property_is_told_by_the_shortest_way() {
        let broken = explore(&Counter { hole: false, most: 2 }, 100).counterexample.expect("it counts to five");
        assert_eq!((broken.actions, broken.state), (vec![1, 2, 3], 3));
    }
}
