//! Workflow files: YAML or JSON text to a definition, every mistake with its line and column.

mod decode;
mod positions;
mod tree;

use std::fmt;

use crate::Workflow;
use crate::check::Known;
use crate::plan::{Plan, Problem};

pub use positions::Positions;

/// The largest text that is looked at.
pub const MAX_BYTES: usize = 1 << 20;

/// A problem and where in the text it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Located {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong; its path is empty where there is no definition to point into yet.
    pub problem: Problem,
}

impl Located {
    /// The problem as compilers write it, `file:line:column: path: message`.
    #[must_use]
    pub fn in_file(&self, file: &str) -> String {
        format!("{file}:{self}")
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if self.problem.path.is_empty() { f.write_str(&self.problem.message) } else { self.problem.fmt(f) }
    }
}

impl std::error::Error for Located {}

/// Reads a definition from YAML or JSON.
///
/// # Errors
/// Everything that is wrong with the text or its fields. Whether the workflow is sound is for [`check_text`] to say.
pub fn parse(text: &str) -> Result<(Workflow, Positions), Vec<Located>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        let message = format!("the text is longer than the {MAX_BYTES} bytes a workflow may have");
        return Err(vec![Located { line: 1, column: 1, problem: Problem { path: String::new(), message, at: None } }]);
    }
    let root = tree::read(text).map_err(|found| vec![found])?;
    let positions = Positions::of(&root, text);
    let workflow = decode::workflow(&root.to_json()).map_err(|problems| positions.locate(problems))?;
    Ok((workflow, positions))
}

/// Reads and checks a definition, and compiles it.
///
/// ```
/// let text = "workflow: hello\nsteps:\n  greet:\n    task: {skill: echo, input: '${inputs.name}'}\n";
/// let problems = nova_workflow::check_text(text, nova_workflow::Known::default()).unwrap_err();
/// assert_eq!(
///     problems[0].in_file("hello.yaml"),
///     "hello.yaml:4:35: /steps/greet/task/input: there is no variable `inputs`; did you mean `input`?"
/// );
/// ```
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn check_text(text: &str, known: Known<'_>) -> Result<Plan, Vec<Located>> {
    let (workflow, positions) = parse(text)?;
    let mut problems = known.check(&workflow);
    match Plan::new(workflow) {
        Ok(plan) if problems.is_empty() => return Ok(plan),
        Ok(_) => {}
        Err(found) => problems.extend(found),
    }
    Err(positions.locate(problems))
}
