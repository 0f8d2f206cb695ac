//! The http skill's engine against servers that help, hinder and attack.

#![allow(clippy::unwrap_used, reason = "the lint knows tests by their attribute and not their helpers")]

mod calls;
mod hostile;
mod redirects;
mod server;
mod skill;
mod tls;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nova_http::resolve::{Looking, Resolver};
use nova_http::{CallError, Client, HttpConfig, HttpResult, Input};
use serde_json::Value;

/// Lets loopback be called and nothing else that is not public.
fn open() -> HttpConfig {
    HttpConfig { allow_private: true, ..HttpConfig::default() }
}

/// Lets exactly one address be called, so that its neighbours stand for what is private.
fn only_localhost() -> HttpConfig {
    HttpConfig { allow_networks: vec!["127.0.0.1".into()], ..HttpConfig::default() }
}

/// Answers look-ups from a script: each one takes the next answer, the last one stays.
struct Scripted {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Scripted {
    fn new(answers: &[&[[u8; 4]]]) -> Arc<Self> {
        let one = |answer: &&[[u8; 4]]| answer.iter().map(|ip| Ipv4Addr::from(*ip).into()).collect();
        Arc::new(Self { answers: answers.iter().map(one).collect(), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolver for Scripted {
    fn resolve<'a>(&'a self, _host: &'a str) -> Looking<'a> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        Box::pin(async move { Ok(self.answers[turn].clone()) })
    }
}

async fn call(config: &HttpConfig, input: Value) -> Result<HttpResult, CallError> {
    call_with(config, Scripted::new(&[&[[127, 0, 0, 1]]]), input).await
}

async fn call_with(config: &HttpConfig, resolver: Arc<Scripted>, input: Value) -> Result<HttpResult, CallError> {
    let client = Client::with_resolver(config, resolver).unwrap();
    let input: Input = serde_json::from_value(input).unwrap();
    client.call(input.check(config, "_.task-1")?).await
}
