//! What the names in an expression stand for, at one place of one run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use nova_types::StepId;
use nova_workflow::{Bound, EvalError, Lookup, Root};
use serde_json::{Value, json};

use super::shared::Shared;
use super::state::Ended;
use super::turn::Turn;
use super::value::{bad, bearable, step_value, told, value, weight_of};

/// The names known everywhere, and those of one place.
pub(super) struct Scope<'t, 'a> {
    turn: &'t Turn<'a>,
    local: Vec<(Root, Bound)>,
    /// Whether a step was asked for that has not ended.
    early: Cell<bool>,
    /// How much has to be loaded of each step whose result was asked for.
    weights: RefCell<BTreeMap<StepId, u64>>,
}

impl<'t, 'a> Scope<'t, 'a> {
    pub fn of(turn: &'t Turn<'a>) -> Self {
        Self { turn, local: Vec::new(), early: Cell::new(false), weights: RefCell::default() }
    }

    /// Adds a name of this place.
    #[must_use]
    pub fn with(mut self, root: Root, value: &Value) -> Self {
        self.local.push((root, Bound::new(value)));
        self
    }

    /// Whether a step was asked for that has not ended.
    pub fn is_early(&self) -> bool {
        self.early.get()
    }

    fn input(&self) -> Result<Bound, EvalError> {
        let turn = self.turn;
        let started = turn.run.started.as_ref().ok_or_else(|| EvalError::Failed(bad("the run has not begun")))?;
        if let Some((_, bound)) = turn.memo.borrow().input.as_ref().filter(|(of, _)| of.is_same(started)) {
            return Ok(bound.clone());
        }
        let bound = Bound::new(&value(turn.data, &started.input)?);
        turn.memo.borrow_mut().input = Some((started.clone(), bound.clone()));
        Ok(bound)
    }

    fn run(&self) -> Result<Bound, EvalError> {
        let turn = self.turn;
        let started = turn.run.started.as_ref().ok_or_else(|| EvalError::Failed(bad("the run has not begun")))?;
        if let Some((_, bound)) = turn.memo.borrow().run.as_ref().filter(|(of, _)| of.is_same(started)) {
            return Ok(bound.clone());
        }
        let bound = Bound::new(&json!({"id": turn.run.id().as_str(), "workflow": started.workflow.as_str()}));
        turn.memo.borrow_mut().run = Some((started.clone(), bound.clone()));
        Ok(bound)
    }

    fn step(&self, id: &StepId) -> Result<Bound, EvalError> {
        let (turn, ended) = (self.turn, self.ended(id)?);
        let mut weights = self.weights.borrow_mut();
        weights.insert(id.clone(), weight_of(&turn.run, ended));
        bearable(weights.values().sum())?;
        if let Some((_, bound)) = turn.memo.borrow().steps.get(id).filter(|(of, _)| of.is_same(ended)) {
            return Ok(bound.clone());
        }
        let bound = Bound::new(&step_value(&turn.run, turn.data, ended)?);
        turn.memo.borrow_mut().steps.insert(id.clone(), (ended.clone(), bound.clone()));
        Ok(bound)
    }

    fn ended(&self, id: &StepId) -> Result<&Shared<Ended>, EvalError> {
        self.turn.run.ended_step(id).ok_or_else(|| {
            self.early.set(true);
            EvalError::Failed(bad(format!("step `{id}` has not ended")))
        })
    }
}

impl Lookup for Scope<'_, '_> {
    fn get(&self, root: &Root) -> Result<Bound, EvalError> {
        match root {
            Root::Input => self.input(),
            Root::Run => self.run(),
            Root::Step(id) => self.step(id),
            Root::Told(id) => Ok(Bound::new(&told(self.ended(id)?))),
            _ => {
                let found = self.local.iter().find(|(name, _)| name == root).map(|(_, bound)| bound.clone());
                found.ok_or_else(|| EvalError::Failed(bad(format!("{root:?} is not known here"))))
            }
        }
    }
}
