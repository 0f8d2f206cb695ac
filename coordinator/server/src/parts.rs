//! What every part of a coordinator works with.

use nova_broker::BrokerRef;
use nova_runtime::{ClockRef, Health, Metrics, system_clock};
use nova_types::WorkerId;

/// The broker and the process around a part; cheap to clone.
#[derive(Clone)]
pub struct Parts {
    /// The broker.
    pub broker: BrokerRef,
    /// The time of day.
    pub clock: ClockRef,
    /// The process's metrics.
    pub metrics: Metrics,
    /// The process's health.
    pub health: Health,
    /// The coordinator's name, one for each process.
    pub name: WorkerId,
}

impl Parts {
    /// Parts on the machine's clock, with metrics and health of their own.
    #[must_use]
    pub fn new(broker: BrokerRef, name: WorkerId) -> Self {
        Self { broker, clock: system_clock(), metrics: Metrics::new(), health: Health::new(), name }
    }
}

/// A name no other coordinator has.
pub(crate) fn random_name() -> WorkerId {
    WorkerId::new(format!("coordinator-{:012x}", fastrand::u64(..) >> 16)).expect("letters, digits and a dash")
}
