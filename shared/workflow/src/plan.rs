//! A sound workflow, ready to be run: its expressions compiled, its steps in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nova_types::StepId;
use serde_json::Value;

use crate::definition::{Expr, Kind, Step, Template, Workflow};
use crate::expr::{self, Bound, Compiled, EvalError, Lookup, Root};
use crate::template::{self, Piece};
use crate::{Failure, canonical, check, input};

/// Something wrong with a workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Problem {
    /// Where: a JSON pointer into the definition.
    pub path: String,
    /// What to do about it, for a person.
    pub message: String,
    /// The byte of the text there, when it is within an expression.
    pub at: Option<usize>,
}

/// A sound workflow, compiled; share it in an `Arc`.
#[derive(Debug)]
pub struct Plan {
    workflow: Workflow,
    hash: String,
    order: Vec<StepId>,
    needs: BTreeMap<StepId, BTreeSet<StepId>>,
    dependants: BTreeMap<StepId, BTreeSet<StepId>>,
    picked_by: BTreeMap<StepId, StepId>,
    programs: check::Programs,
    texts: check::Texts,
}

impl Plan {
    /// Checks and compiles a workflow.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(workflow: Workflow) -> Result<Self, Vec<Problem>> {
        let check::Sound { order, graph, programs, texts } = check::sound(&workflow)?;
        let needs = graph.needs();
        let mut dependants: BTreeMap<StepId, BTreeSet<StepId>> =
            workflow.steps.keys().map(|id| (id.clone(), BTreeSet::new())).collect();
        for (id, needed) in &needs {
            for need in needed {
                dependants.entry(need.clone()).or_default().insert(id.clone());
            }
        }
        let hash = canonical::hash(&canonical::canonical(&workflow));
        Ok(Self { hash, order, needs, dependants, picked_by: graph.picked_by, programs, texts, workflow })
    }

    /// The definition.
    #[must_use]
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// Its version: the SHA-256 of its canonical JSON, in hex.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// A step.
    ///
    /// # Panics
    /// When the workflow has no such step.
    #[must_use]
    pub fn step(&self, id: &StepId) -> &Step {
        self.workflow.steps.get(id).expect("a plan is asked only for its own steps")
    }

    /// What kind a step is of.
    ///
    /// # Panics
    /// When the workflow has no such step.
    #[must_use]
    pub fn kind(&self, id: &StepId) -> Kind<'_> {
        self.step(id).kinds().into_iter().next().expect("a sound step has one kind")
    }

    /// The steps, each behind what it waits for, ties by id.
    #[must_use]
    pub fn order(&self) -> &[StepId] {
        &self.order
    }

    /// What a step waits for itself: its `after`, the steps its expressions name, those it joins, the choice that lists it.
    #[must_use]
    pub fn needs(&self, id: &StepId) -> &BTreeSet<StepId> {
        self.needs.get(id).unwrap_or(const { &BTreeSet::new() })
    }

    /// The steps that wait for a step themselves.
    #[must_use]
    pub fn dependants(&self, id: &StepId) -> &BTreeSet<StepId> {
        self.dependants.get(id).unwrap_or(const { &BTreeSet::new() })
    }

    /// The choice that lists a step.
    #[must_use]
    pub fn picked_by(&self, id: &StepId) -> Option<&StepId> {
        self.picked_by.get(id)
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// [`EvalError::Wants`] naming all objects that must be read first; [`EvalError::Failed`] naming the expression.
    pub fn eval(&self, expr: &Expr, scope: &dyn Lookup) -> Result<Value, EvalError> {
        let compiled = self.compiled(&expr.0)?;
        expr::eval(&compiled, &gather([&*compiled], scope)?).map_err(EvalError::Failed)
    }

    /// Whether an expression holds.
    ///
    /// # Errors
    /// Those of [`Self::eval`]; and it fails when the value is neither true nor false.
    pub fn holds(&self, expr: &Expr, scope: &dyn Lookup) -> Result<bool, EvalError> {
        match self.eval(expr, scope)? {
            Value::Bool(holds) => Ok(holds),
            other => {
                let message = format!("it must be true or false, and is {}", input::kind_of(&other));
                Err(EvalError::Failed(expr::failure(&expr.0, &message)))
            }
        }
    }

    /// The value of a template.
    ///
    /// # Errors
    /// Those of [`Self::eval`]; all objects wanted by all its expressions are named at once.
    pub fn fill(&self, template: &Template, scope: &dyn Lookup) -> Result<Value, EvalError> {
        let mut codes = Vec::new();
        let mut broken = None;
        template::texts(&template.0, "", &mut |text, _| match self.pieces(text) {
            Ok(pieces) => {
                for piece in pieces.iter() {
                    if let Piece::Code(code, _) = piece {
                        codes.push(self.compiled(code));
                    }
                }
            }
            Err(error) => broken = Some(error),
        });
        if let Some(error) = broken {
            return Err(error);
        }
        let codes = codes.into_iter().collect::<Result<Vec<_>, _>>()?;
        let roots = gather(codes.iter().map(AsRef::as_ref), scope)?;
        self.fill_value(&template.0, &roots)
    }

    /// Checks what a run is given against the declared inputs, and fills in defaults.
    ///
    /// # Errors
    /// A failure with the code `bad_input` that names everything wrong.
    pub fn take_input(&self, given: Value) -> Result<Value, Failure> {
        input::take(self.workflow.input.as_ref(), given)
    }

    fn fill_value(&self, value: &Value, roots: &[(Root, Bound)]) -> Result<Value, EvalError> {
        match value {
            Value::String(text) if !template::is_plain(text) => self.fill_text(text, roots),
            Value::Array(items) => {
                items.iter().map(|item| self.fill_value(item, roots)).collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Object(fields) => {
                let filled = fields.iter().map(|(key, value)| Ok((key.clone(), self.fill_value(value, roots)?)));
                filled.collect::<Result<_, _>>().map(Value::Object)
            }
            plain => Ok(plain.clone()),
        }
    }

    fn fill_text(&self, text: &str, roots: &[(Root, Bound)]) -> Result<Value, EvalError> {
        let value = |code: &str| expr::eval(&*self.compiled(code)?, roots).map_err(EvalError::Failed);
        let pieces = self.pieces(text)?;
        if let [Piece::Code(code, _)] = &*pieces {
            return value(code);
        }
        let mut filled = String::new();
        for piece in pieces.iter() {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Code(code, _) => filled.push_str(&template::as_text(&value(code)?)),
            }
        }
        Ok(Value::String(filled))
    }

    /// The pieces of a text, split once for those of the definition.
    fn pieces(&self, text: &str) -> Result<Arc<[Piece]>, EvalError> {
        if template::is_plain(text) {
            return Ok(Arc::from([]));
        }
        if let Some(pieces) = self.texts.get(text) {
            return Ok(Arc::clone(pieces));
        }
        template::split(text)
            .map(Arc::from)
            .map_err(|_| EvalError::failed(format!("in `{text}` a `${{` is never closed")))
    }

    /// The program of an expression, compiled once for those of the definition.
    fn compiled(&self, source: &str) -> Result<Arc<Compiled>, EvalError> {
        if let Some(compiled) = self.programs.get(source) {
            return Ok(Arc::clone(compiled));
        }
        expr::compile(source).map(Arc::new).map_err(|faults| {
            let message = faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ");
            EvalError::Failed(expr::failure(source, &message))
        })
    }
}

/// The values of all roots that some programs read; all wanted objects are named at once.
fn gather<'a>(
    programs: impl IntoIterator<Item = &'a Compiled>,
    scope: &dyn Lookup,
) -> Result<Vec<(Root, Bound)>, EvalError> {
    let roots: BTreeSet<&Root> = programs.into_iter().flat_map(|program| &program.roots).collect();
    let (mut bounds, mut wants) = (Vec::with_capacity(roots.len()), Vec::new());
    for root in roots {
        match scope.get(root) {
            Ok(bound) => bounds.push((root.clone(), bound)),
            Err(EvalError::Wants(blobs)) => wants.extend(blobs),
            Err(failed) => return Err(failed),
        }
    }
    if wants.is_empty() {
        return Ok(bounds);
    }
    wants.sort();
    wants.dedup();
    Err(EvalError::Wants(wants))
}
