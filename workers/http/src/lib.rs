//! The `http` skill: calls a URL within limits and never a private address unasked.

pub mod client;
pub mod config;
mod connect;
pub mod error;
mod exchange;
pub mod input;
pub mod judge;
pub mod output;
pub mod policy;
pub mod redirect;
pub mod resolve;
mod skill;

pub use client::Client;
pub use config::HttpConfig;
pub use error::CallError;
pub use input::{Call, Input};
pub use output::HttpResult;
pub use skill::Http;
