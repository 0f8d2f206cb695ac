//! Walking a stream in pages.

use std::ops::ControlFlow;

use nova_broker::{Broker, BrokerError, Scan, Stored};

/// The most messages the broker gives at a time.
pub(crate) const PAGE: usize = 1000;

/// Shows every message of `subject` from `from` to `to`, oldest first, until `visit` breaks.
pub(crate) async fn walk(
    broker: &dyn Broker,
    stream: &str,
    subject: &str,
    from: u64,
    to: u64,
    mut visit: impl FnMut(Stored) -> ControlFlow<()>,
) -> Result<(), BrokerError> {
    let mut next = from.max(1);
    while next <= to {
        let page = broker.scan(Scan::all(stream, subject, PAGE).from(next)).await?;
        let Some(last) = page.last() else { return Ok(()) };
        next = last.sequence + 1;
        for stored in page {
            if stored.sequence > to || visit(stored).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Shows the messages of `subject` newest first, until `visit` breaks or `depth` sequences are behind.
pub(crate) async fn walk_back(
    broker: &dyn Broker,
    stream: &str,
    subject: &str,
    last: u64,
    depth: u64,
    mut visit: impl FnMut(Stored) -> ControlFlow<()>,
) -> Result<(), BrokerError> {
    let bottom = last.saturating_sub(depth) + 1;
    let mut top = last;
    while top >= bottom && top > 0 {
        let low = bottom.max(top.saturating_sub(PAGE as u64 - 1)).max(1);
        let mut window = Vec::new();
        walk(broker, stream, subject, low, top, |stored| {
            window.push(stored);
            ControlFlow::Continue(())
        })
        .await?;
        for stored in window.into_iter().rev() {
            if visit(stored).is_break() {
                return Ok(());
            }
        }
        top = low - 1;
    }
    Ok(())
}
