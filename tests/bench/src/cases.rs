//! The cases, in the order they are measured.

mod backoff;
mod bundle;
mod chain;
mod cli_start;
mod failover;
mod idle;
mod keyed;
mod limited;
mod noop;
mod priority;
mod submit;
mod takeover;
mod waiting;
mod wide;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::row::Row;

/// One case.
pub struct Case {
    /// Its name, as `make bench CASE=` takes it.
    pub name: &'static str,
    /// What is measured, in a sentence.
    pub about: &'static str,
    /// How to read it, for the page.
    pub note: &'static str,
    /// Measures it.
    pub run: fn() -> LocalBoxFuture<'static, anyhow::Result<Vec<Row>>>,
}

/// All of them; the quiet ones first, before the machine is warm.
pub const CASES: &[Case] = &[
    Case {
        name: cli_start::NAME,
        about: cli_start::ABOUT,
        note: cli_start::NOTE,
        run: || cli_start::run().boxed_local(),
    },
    Case { name: idle::NAME, about: idle::ABOUT, note: idle::NOTE, run: || idle::run().boxed_local() },
    Case { name: noop::NAME, about: noop::ABOUT, note: noop::NOTE, run: || noop::run().boxed_local() },
    Case { name: bundle::NAME, about: bundle::ABOUT, note: bundle::NOTE, run: || bundle::run().boxed_local() },
    Case { name: limited::NAME, about: limited::ABOUT, note: limited::NOTE, run: || limited::run().boxed_local() },
    Case { name: keyed::NAME, about: keyed::ABOUT, note: keyed::NOTE, run: || keyed::run().boxed_local() },
    Case { name: submit::NAME, about: submit::ABOUT, note: submit::NOTE, run: || submit::run().boxed_local() },
    Case { name: priority::NAME, about: priority::ABOUT, note: priority::NOTE, run: || priority::run().boxed_local() },
    Case { name: backoff::NAME, about: backoff::ABOUT, note: backoff::NOTE, run: || backoff::run().boxed_local() },
    Case { name: failover::NAME, about: failover::ABOUT, note: failover::NOTE, run: || failover::run().boxed_local() },
    Case { name: chain::NAME, about: chain::ABOUT, note: chain::NOTE, run: || chain::run().boxed_local() },
    Case { name: wide::NAME, about: wide::ABOUT, note: wide::NOTE, run: || wide::run().boxed_local() },
    Case { name: takeover::NAME, about: takeover::ABOUT, note: takeover::NOTE, run: || takeover::run().boxed_local() },
    Case { name: waiting::NAME, about: waiting::ABOUT, note: waiting::NOTE, run: || waiting::run().boxed_local() },
];
