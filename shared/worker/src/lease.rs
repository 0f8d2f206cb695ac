//! Keeps a delivery's lease, and notices when it was lost.

use std::time::Duration;

use nova_broker::{AckToken, BrokerRef, Settle};
use tokio::time::Instant;

use crate::rarely::rarely;

/// Extends the lease at a third of its length, for as long as this is polled; returns when the lease is lost.
///
/// Lost means: more than a lease has passed since the last extension that could have reached the broker. A process that
/// was stopped (SIGSTOP, a frozen machine) finds out here; one that is cut off from the broker, too.
///
/// # Cancel safety
/// Safe: dropping it ends the extensions.
pub(crate) async fn keep(broker: &BrokerRef, token: &AckToken, lease: Duration, taken: Instant) {
    let connection = broker.connection();
    let mut extended = taken;
    let mut timer = tokio::time::interval_at(taken + lease / 3, lease / 3);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        if extended.elapsed() >= lease {
            return;
        }
        let asked = Instant::now();
        let is_up = connection.borrow().is_up;
        // A full buffer of a connection that is gone must not keep this from noticing.
        if !is_up {
            continue;
        }
        let extension = rarely(tokio::time::timeout(lease / 3, broker.settle(token, Settle::Extend)));
        if matches!(extension.await, Ok(Ok(()))) {
            extended = asked;
        }
    }
}
