//! Functions beside the standard ones, under the names CEL's extensions have for them; what they make is paid for first.

use cel::common::types::{CelList, CelString, LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

use super::effort::{pay, weight};

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Made<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// What a value counts beside its text, as in [`super::effort`].
const EACH_COSTS: usize = 64;

/// Declares the functions of this module.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let (list, text) = (|| LIST_TYPE.to_owned(), || STRING_TYPE.to_owned());
    env.add_member_overload("flatten", "list_flatten", list(), vec![], flatten)?;
    env.add_member_overload("join", "list_join", list(), vec![], join)?;
    env.add_member_overload("join", "list_join_string", list(), vec![text()], join)?;
    env.add_member_overload("split", "string_split_string", text(), vec![text()], split)?;
    env.add_member_overload("replace", "string_replace", text(), vec![text(), text()], replace)?;
    env.add_member_overload("trim", "string_trim", text(), vec![], trim)?;
    env.add_member_overload("lowerAscii", "string_lower_ascii", text(), vec![], lower)?;
    env.add_member_overload("upperAscii", "string_upper_ascii", text(), vec![], upper)
}

fn text<'a>(args: &'a [CowVal<'_, '_>], index: usize) -> Result<&'a str, ExecutionError> {
    let arg = args.get(index).ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(arg.downcast_ref::<CelString<'_>>().ok_or_else(ExecutionError::missing_argument_or_target)?.inner())
}

fn list<'a, 'v>(args: &'a [CowVal<'_, 'v>]) -> Result<&'a [Box<dyn Val + 'v>], ExecutionError> {
    let arg = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(arg.downcast_ref::<CelList<'_>>().ok_or_else(ExecutionError::missing_argument_or_target)?.inner())
}

fn made<'b, 'v>(text: String) -> Made<'b, 'v> {
    Ok(CowVal::owned(CelString::from(text)))
}

/// A list with the items of its lists in their place, one level deep.
#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn flatten<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let mut flat: Vec<Box<dyn Val + 'v>> = Vec::new();
    for item in list(&args)? {
        pay(EACH_COSTS + weight(item.as_ref()))?;
        match item.downcast_ref::<CelList<'_>>() {
            Some(inner) => flat.extend(inner.inner().iter().map(|item| item.clone_as_boxed())),
            None => flat.push(item.clone_as_boxed()),
        }
    }
    Ok(CowVal::owned(CelList::from(flat)))
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn join<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let between = if args.len() > 1 { text(&args, 1)? } else { "" };
    let mut joined = String::new();
    for (index, item) in list(&args)?.iter().enumerate() {
        let Some(item) = item.downcast_ref::<CelString<'_>>() else {
            let message = format!("`join` takes a list of strings, and item {index} is {}", item.get_type().name());
            return Err(ExecutionError::function_error("join", message));
        };
        pay(item.inner().len() + between.len())?;
        joined.push_str(if index == 0 { "" } else { between });
        joined.push_str(item.inner());
    }
    made(joined)
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn split<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let (whole, at) = (text(&args, 0)?, text(&args, 1)?);
    let mut parts: Vec<Box<dyn Val + 'v>> = Vec::new();
    // An empty separator splits into characters, without the empty ends that Rust gives.
    for part in whole.split(at).filter(|part| !at.is_empty() || !part.is_empty()) {
        pay(EACH_COSTS + part.len())?;
        parts.push(Box::new(CelString::from(part.to_owned())));
    }
    Ok(CowVal::owned(CelList::from(parts)))
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn replace<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let (whole, from, to) = (text(&args, 0)?, text(&args, 1)?, text(&args, 2)?);
    pay(whole.len())?;
    pay(whole.matches(from).count().saturating_mul(to.len()))?;
    made(whole.replace(from, to))
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn trim<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let whole = text(&args, 0)?;
    pay(whole.len())?;
    made(whole.trim().to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn lower<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let whole = text(&args, 0)?;
    pay(whole.len())?;
    made(whole.to_ascii_lowercase())
}

#[expect(clippy::needless_pass_by_value, reason = "functions of the language take their arguments by value")]
fn upper<'b, 'v>(args: Args<'b, 'v>) -> Made<'b, 'v> {
    let whole = text(&args, 0)?;
    pay(whole.len())?;
    made(whole.to_ascii_uppercase())
}
