//! The ports to the broker and their two adapters, JetStream and memory.
//!
//! A [`Broker`] is what Nova asks of NATS JetStream and no more: streams with compare-and-set, durable pull consumers
//! with leases, core messages, administration. What Nova keeps in them (blobs, presence) is written once, over the ports.
//! The only crate that knows async-nats.

mod admin;
mod blobs;
mod bucket;
mod error;
pub mod jetstream;
mod log;
pub mod memory;
mod message;
mod port;
mod queue;

/// Log targets of the client library behind the JetStream adapter: chatty below WARN.
pub const LIBRARY_LOG_TARGETS: &[&str] = &["async_nats"];

pub use admin::{
    ConsumerInfo, ConsumerSpec, Discard, PauseState, Purge, ServerInfo, Start, StreamInfo, StreamSpec, Transform,
};
pub use blobs::{BlobError, Blobs};
pub use bucket::{Bucket, BucketEntry, BucketSlot};
pub use error::{BrokerError, PublishError};
pub use log::{Expect, Inspected, Receipt, Scan, Stored};
pub use message::{Listener, Message, Service};
pub use port::{Broker, BrokerRef, Connection, Ready};
pub use queue::{AckToken, Delivery, Pull, PullItem, PullRequest, Settle};
