//! How every process starts, reports and stops: config, secrets, logs, metrics, health, drain, failpoints.
//!
//! A `main` is a few lines:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use clap::Parser;
//! use nova_runtime::{CommonArgs, Next, ProcessOptions, VERSION, run_main, start};
//!
//! #[derive(Parser)]
//! #[command(name = "nova-echo", version = VERSION)]
//! struct Args {
//!     #[command(flatten)]
//!     common: CommonArgs,
//! }
//!
//! fn main() -> ExitCode {
//!     let args = Args::parse();
//!     run_main(async move {
//!         let options = ProcessOptions { name: "nova-echo".to_owned(), version: VERSION.to_owned() };
//!         let started = start(options, &args.common).await?;
//!         // Ask for every section here, as in `started.settings.section::<EchoConfig>("echo")?`.
//!         if started.settle()? == Next::Run {
//!             started.shutdown.token().cancelled().await;
//!         }
//!         Ok(ExitCode::SUCCESS)
//!     })
//! }
//! ```

pub mod clock;
pub mod config;
pub mod drain;
pub mod failpoint;
pub mod health;
pub mod http;
pub mod logs;
pub mod memory;
pub mod metrics;
pub mod nats;
pub mod process;
pub mod run;
pub mod secret;
pub mod version;

pub use clock::{Clock, ClockRef, ManualClock, SystemClock, system_clock};
pub use config::{ConfigError, Settings, Sources};
pub use drain::Shutdown;
pub use health::{Health, State};
pub use http::HttpServer;
pub use logs::{LogConfig, LogFormat};
pub use metrics::{Counter, Gauge, Histogram, Metric, Metrics, Side};
pub use nats::{ConnectError, NatsConfig};
pub use process::{CommonArgs, Next, ProcessOptions, StartError, Started, start};
pub use run::{block_on, report, run_main};
pub use secret::{SecretError, SecretRef};
pub use version::VERSION;
