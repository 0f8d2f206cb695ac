//! Bounds what an evaluation may cost, and gives the loops over maps an order.
//!
//! The compiler puts calls of these functions around what can grow: the ranges of loops, what loops and `+` produce, and
//! what comparisons walk through. Their names cannot be written in an expression.

use std::cell::Cell;

use cel::common::ast::operators;
use cel::common::types::{CelList, CelMap, CelMapKey, CelString, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

/// Around the range of a loop: pays for its rounds and sorts the keys of a map.
pub(super) const EACH: &str = "@each";
/// In place of `+`: pays before it adds.
pub(super) const ADD: &str = "@add";
/// Around a value that was made: pays for its size.
pub(super) const WEIGH: &str = "@weigh";
/// Around a value that is walked through: pays a part of its size.
pub(super) const SCAN: &str = "@scan";

/// What one evaluation may use up: bytes made, 64 for each value and round. A million rounds, or 64 MiB of text.
const EFFORT: usize = 64 << 20;
/// What a round or a value counts beside its text.
const EACH_COSTS: usize = 64;
/// What is walked through or copied for a moment costs this part of what is made and kept.
const SCAN_PART: usize = 16;

thread_local! {
    /// What is left. Functions of the language carry no state of their own, and an evaluation never leaves its thread.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Grants a new evaluation its effort.
pub(super) fn grant() {
    LEFT.set(EFFORT);
}

/// Uses up some of the effort.
pub(super) fn pay(cost: usize) -> Result<(), ExecutionError> {
    match LEFT.get().checked_sub(cost) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            LEFT.set(0);
            Err(ExecutionError::function_error("effort", TOO_MUCH))
        }
    }
}

/// What is said when the effort is used up.
const TOO_MUCH: &str = "it takes too many rounds or makes too large a value";

/// Declares the functions of this module.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(ADD, "add", vec![DYN_TYPE.to_owned(), DYN_TYPE.to_owned()], add)?;
    env.add_overload(EACH, "each", vec![DYN_TYPE.to_owned()], each)?;
    env.add_overload(SCAN, "scan", vec![DYN_TYPE.to_owned()], scan)?;
    env.add_overload(WEIGH, "weigh", vec![DYN_TYPE.to_owned()], weigh)
}

fn each<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let range = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    if let Some(list) = range.downcast_ref::<CelList<'_>>() {
        pay(list.inner().len() * EACH_COSTS)?;
        for item in list.inner() {
            // Each round gets a copy of its item.
            pay(weight(item.as_ref()) / SCAN_PART)?;
        }
    } else if let Some(map) = range.downcast_ref::<CelMap<'_>>() {
        pay(map.inner().len() * EACH_COSTS)?;
        let mut keys: Vec<&CelMapKey<'_>> = map.inner().keys().collect();
        keys.sort();
        let keys = keys.into_iter().map(|key| key.inner().clone_as_boxed()).collect::<Vec<Box<dyn Val + 'v>>>();
        return Ok(CowVal::owned(CelList::from(keys)));
    }
    Ok(range)
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = args.as_slice() else { return Err(ExecutionError::missing_argument_or_target()) };
    pay(weight(left.as_ref()) + weight(right.as_ref()))?;
    let refused = || {
        let types = [left, right].map(|value| value.get_type().name().to_owned());
        ExecutionError::no_such_overload(operators::ADD, types.to_vec())
    };
    let sum = left.as_adder().ok_or_else(refused)?.add(right.as_ref());
    match sum {
        Ok(sum) => Ok(CowVal::Owned(sum.into_owned())),
        Err(error @ ExecutionError::Overflow(..)) => Err(error),
        Err(_) => Err(refused()),
    }
}

fn weigh<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    pay(weight(value.as_ref()))?;
    Ok(value)
}

fn scan<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
    pay(weight(value.as_ref()) / SCAN_PART)?;
    Ok(value)
}

/// What a value weighs, with all that it holds.
pub(super) fn weight(value: &dyn Val) -> usize {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        text.inner().len()
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        list.inner().iter().map(|item| EACH_COSTS + weight(item.as_ref())).sum()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        map.inner().values().map(|value| EACH_COSTS + weight(value.as_ref())).sum()
    } else {
        0
    }
}
