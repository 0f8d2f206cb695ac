//! Parses and evaluates through the `cel` crate, whose panics and errors end here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use cel::common::ast::SourceInfo;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, IdedExpr};
use serde_json::Value;

use super::{Bound, Compiled, Fault, Root, effort, library, value};
use crate::Failure;

/// The longest message of a failure, in characters: errors of the crate can quote whole values.
const MAX_MESSAGE: usize = 300;

/// The language: its standard functions without optional values, the library, and the guards.
fn env() -> Arc<Env> {
    static ENV: OnceLock<Arc<Env>> = OnceLock::new();
    let made = ENV.get_or_init(|| {
        let mut env = Env::stdlib().with_optional_support(false);
        effort::declare(&mut env).expect("the guards have names nobody else has");
        library::declare(&mut env).expect("the standard library has none of these names");
        Arc::new(env)
    });
    Arc::clone(made)
}

/// Parses a text whose size and nesting are bounded.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), Vec<Fault>> {
    let parsed = catch_unwind(|| env().parser().parse_with_source_info(source));
    let Ok(parsed) = parsed else {
        return Err(vec![Fault { message: "the expression cannot be read".into(), at: 0 }]);
    };
    parsed.map_err(|errors| {
        let faults =
            errors.errors.iter().map(|error| Fault { message: syntax(&error.msg), at: offset(source, error.pos) });
        // What follows the first is mostly its echo.
        faults.take(1).collect()
    })
}

/// What the parser says, in plainer words.
fn syntax(said: &str) -> String {
    let quoted = || shorten(said.split('\'').nth(1).unwrap_or_default());
    if said.contains("Recursion limit") {
        "the expression is nested too deep; use a skill".into()
    } else if let Some(rest) = said.split("token recognition error at: '").nth(1) {
        match rest.trim_end_matches('\'').trim() {
            text if text.is_empty() || text.starts_with(['"', '\'']) => "a text is never closed".into(),
            "=" => "`=` means nothing in an expression; did you mean `==`?".into(),
            sign => format!("`{}` means nothing in an expression", shorten(sign)),
        }
    } else if said.contains("missing ") && said.contains(" at ") {
        format!("`{}` is missing here", quoted())
    } else if said.contains("input '<EOF>'") {
        "the expression ends too early".into()
    } else if said.contains("mismatched input") || said.contains("extraneous input") {
        format!("`{}` is not expected here", quoted())
    } else if said.contains("unsupported syntax") {
        format!("`{}` is not part of the language here", quoted())
    } else if let Some(word) = said.strip_prefix("reserved identifier: ") {
        format!("`{}` is a word the language keeps for itself", shorten(word))
    } else if said.contains("must be a simple name") {
        "the first argument of a loop is the name of its variable, such as x in list.map(x, x + 1)".into()
    } else if said.contains("has() macro") {
        "`has` asks for a field, such as has(input.x)".into()
    } else {
        shorten(said.trim_start_matches("Syntax error: "))
    }
}

/// The byte of a line and column, both from 1.
fn offset(source: &str, (line, column): (isize, isize)) -> usize {
    let (line, column) = (usize::try_from(line).unwrap_or(0), usize::try_from(column).unwrap_or(0));
    let before: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let within =
        source[before..].char_indices().nth(column.saturating_sub(1)).map_or(source.len() - before, |(at, _)| at);
    before + within
}

/// Evaluates an expression over the values of its roots.
///
/// # Errors
/// A failure with the code `bad_expression` that names the expression.
pub(crate) fn eval(compiled: &Compiled, roots: &[(Root, Bound)]) -> Result<Value, Failure> {
    let resolver = Resolver(roots.iter().map(|(root, bound)| (root.word(), bound)).collect());
    let evaluated = catch_unwind(AssertUnwindSafe(|| {
        effort::grant();
        let mut context = Context::with_env(env());
        context.set_variable_resolver(&resolver);
        let value = cel::Value::resolve_val(&compiled.tree, &context).map_err(|error| explain(&error))?;
        value::to_json(value.as_ref())
    }));
    let message = match evaluated {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(message)) => message,
        Err(_) => "it cannot be evaluated".to_owned(),
    };
    Err(failure(&compiled.source, &message))
}

/// The failure of an expression.
pub(crate) fn failure(source: &str, message: &str) -> Failure {
    let message = format!("expression `{}`: {}", shorten(source), shorten(message));
    Failure { code: super::EvalError::CODE.into(), message }
}

struct Resolver<'a>(Vec<(String, &'a Bound)>);

impl VariableResolver for Resolver<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.0.iter().find(|(name, _)| name == variable).map(|(_, bound)| bound.borrow())
    }
}

/// Says what went wrong without quoting whole values.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        ExecutionError::DivisionByZero(_) => "division by zero".into(),
        ExecutionError::RemainderByZero(_) => "remainder of a division by zero".into(),
        ExecutionError::Overflow(operator, ..) => format!("the result of `{operator}` is too large"),
        ExecutionError::IndexOutOfBounds(_) => "the list has no item of that number".into(),
        ExecutionError::UndeclaredReference(name) => format!("there is no `{name}`"),
        ExecutionError::UnexpectedType { got, want } => format!("{got} where {want} is wanted"),
        ExecutionError::NoSuchOverload(overload) => {
            let types = overload.argument_types().join(" and ");
            format!("`{}` does not work on {types}", overload.function().trim_matches(|c| c == '_' || c == '@'))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("`{operator}` does not work on {} and {}", left.type_of(), right.type_of())
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedIndex(index, of) => format!("{} has no {}", of.type_of(), index.type_of()),
        ExecutionError::UnsupportedTargetType { target } => format!("it does not work on {}", target.type_of()),
        ExecutionError::UnsupportedKeyType(key) => format!("{} cannot be a key", key.type_of()),
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".into(),
        ExecutionError::FunctionError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_MESSAGE {
        text.to_owned()
    } else {
        text.chars().take(MAX_MESSAGE).chain(['…']).collect()
    }
}
