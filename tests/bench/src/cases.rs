//! The cases, in the order they are measured.

mod backlog;
mod backoff;
mod bundle;
mod burn_down;
mod chain;
mod cli_start;
mod durable;
mod failover;
mod idle;
mod idle_fleet;
mod keyed;
mod latency;
mod limited;
mod noop;
mod peers;
mod priority;
mod profiles;
mod sizes;
mod skills;
mod submit;
mod takeover;
mod waiting;
mod wide;
mod workers;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::mode::Mode;
use crate::row::Row;

/// One case.
pub struct Case {
    /// Its name, as `make bench CASE=` takes it.
    pub name: &'static str,
    /// What is measured, in a sentence.
    pub about: &'static str,
    /// How to read it, for the page.
    pub note: &'static str,
    /// The smallest mode that measures it.
    pub from: Mode,
    /// Measures it.
    pub run: fn(Mode) -> LocalBoxFuture<'static, anyhow::Result<Vec<Row>>>,
}

/// A case of a module with `NAME`, `ABOUT`, `NOTE` and `run`; `full` ones are measured only with `FULL=1`, and those `by
/// mode` are told how much to measure.
macro_rules! case {
    (full $module:ident) => {
        Case { from: Mode::Full, ..case!($module) }
    };
    (by mode $module:ident) => {
        Case { run: |mode| $module::run(mode).boxed_local(), ..case!(@ $module) }
    };
    (full by mode $module:ident) => {
        Case { from: Mode::Full, ..case!(by mode $module) }
    };
    ($module:ident) => {
        Case { run: |_| $module::run().boxed_local(), ..case!(@ $module) }
    };
    (@ $module:ident) => {
        Case {
            name: $module::NAME,
            about: $module::ABOUT,
            note: $module::NOTE,
            from: Mode::Short,
            run: |_| std::future::ready(Ok(Vec::new())).boxed_local(),
        }
    };
}

/// All of them; the quiet ones first, before the machine is warm.
pub const CASES: &[Case] = &[
    case!(cli_start),
    case!(idle),
    case!(by mode idle_fleet),
    case!(noop),
    case!(by mode latency),
    case!(submit),
    case!(burn_down),
    case!(sizes),
    case!(skills),
    case!(by mode workers),
    case!(profiles),
    case!(durable),
    case!(bundle),
    case!(limited),
    case!(keyed),
    case!(priority),
    case!(backoff),
    case!(failover),
    case!(chain),
    case!(wide),
    case!(by mode takeover),
    case!(full waiting),
    case!(full backlog),
    case!(full by mode peers),
];
