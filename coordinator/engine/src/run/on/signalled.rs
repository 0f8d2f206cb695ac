//! Someone sent a signal.

use nova_workflow::Datum;

use crate::run::state::Signal;
use crate::run::step::wait;
use crate::run::turn::Turn;

/// The most signals kept for steps that do not wait yet.
const KEPT: usize = 1000;

pub(super) fn fold(turn: &mut Turn<'_>, name: &str, data: &Datum) {
    if turn.run.ending.is_some() {
        turn.ignore(format!("signal `{name}` came when the run was ending"));
    } else if wait::signalled(turn, name, data) {
    } else if wait::waits_for(turn, name).next().is_none() {
        turn.ignore(format!("no step waits for signal `{name}`, now or later"));
    } else if turn.run.signals.len() >= KEPT {
        turn.ignore(format!("signal `{name}` found {KEPT} kept before it"));
    } else {
        turn.run.signals.to_mut().push(Signal { name: name.to_owned(), data: data.clone() });
    }
}
