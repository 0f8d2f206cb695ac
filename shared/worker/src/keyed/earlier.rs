//! What an earlier owner of a partition may still have, read from the queue itself.

use bytes::Bytes;
use nova_broker::{BrokerError, ConsumerInfo, Scan};
use nova_types::TaskId;
use nova_wire::Task;

use crate::station::Station;

/// How many messages of one key are read at once.
const PAGE: usize = 1000;

/// What an earlier owner may have: the sequences above the first and up to the second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) floor: u64,
    pub(super) delivered: u64,
}

/// Whether something may be out that is not here: at an earlier owner, or lost on its way to this one.
pub(super) enum Gate {
    /// Nothing is.
    Open,
    /// Something is, and it is being read how far it may reach.
    Unknown,
    /// It is within this stretch.
    Closed(Stretch),
}

/// What the broker says of a partition's consumer.
pub(super) struct Place {
    /// What may be out; `None` when nothing is.
    pub(super) stretch: Option<Stretch>,
    /// The last sequence it has delivered.
    pub(super) delivered: u64,
    /// How many deliveries it has made.
    pub(super) deliveries: u64,
}

/// Looks what may be out. A broker that was killed may not know any more that it delivered up to `seen`: what was out then
/// comes again, and until it does it is as good as out.
pub(super) async fn look(station: &Station, stream: String, consumer: String, seen: u64) -> Result<Place, BrokerError> {
    let info = station.broker.consumer(stream, consumer.clone()).await?;
    let info = info.ok_or_else(|| BrokerError::NotFound { what: format!("consumer {consumer}") })?;
    let is_out = info.ack_pending > 0 || has_forgotten(&info, seen);
    let stretch = Stretch { floor: info.ack_floor, delivered: info.delivered.max(seen) };
    Ok(Place { stretch: is_out.then_some(stretch), delivered: info.delivered, deliveries: info.deliveries })
}

/// Whether a consumer is back behind what it was seen to deliver.
pub(super) fn has_forgotten(info: &ConsumerInfo, seen: u64) -> bool {
    info.delivered < seen
}

/// The tasks of one key that were delivered to an earlier owner, whether he has ended them or not.
pub(super) async fn earlier(
    station: &Station,
    stream: String,
    filter: String,
    gate: Stretch,
) -> Result<Vec<(u64, TaskId)>, BrokerError> {
    let mut all = Vec::new();
    let mut from = gate.floor + 1;
    loop {
        let page = station.broker.scan(Scan::all(&*stream, &*filter, PAGE).from(from)).await?;
        let count = page.len();
        for stored in page {
            if stored.sequence > gate.delivered {
                return Ok(all);
            }
            from = stored.sequence + 1;
            let id = match Task::parse(&stored.subject, stored.sequence, stored.headers, Bytes::new()) {
                Ok(task) => task.id,
                Err(bad) => bad.id,
            };
            all.push((stored.sequence, id));
        }
        if count < PAGE {
            return Ok(all);
        }
    }
}
