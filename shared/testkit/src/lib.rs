//! For tests only: a real nats-server per test, manual clock, fault proxy, the port conformance suite.

pub mod conformance;
pub mod process;
pub mod proxy;
pub mod server;
pub mod spawn;
pub mod wait;

pub use process::Process;
pub use proxy::{Direction, Mode, Proxy};
pub use server::{Edge, NatsCluster, NatsServer, Profile};
pub use wait::{wait_until, wait_until_blocking};
