//! Gathering what a check judges.

use std::time::{Duration, Instant};

use nova_broker::{BrokerError, Message};
use nova_provision::{Options, current_profile, desired};
use nova_wire::assets;

use super::Args;
use super::judge;
use super::report::{Item, Perf, Report, Status};
use crate::clock;
use crate::cx::Cx;
use crate::failure::Failure;

/// How long a coordinator may take to say that it is there.
const PING_WITHIN: Duration = Duration::from_secs(2);
/// The name under which coordinators offer their service.
const COORDINATOR: &str = "nova-coordinator";

/// Looks at everything that is asked for; what cannot be looked at is unknown, and the rest goes on.
pub(super) async fn all(cx: &Cx, args: &Args, report: &mut Report) {
    let is_asked = |item: Item| args.items.is_empty() || args.items.contains(&item);
    let items = [Item::Connection, Item::Provision, Item::Queue, Item::Dead, Item::Worker, Item::Coordinator];
    for item in items.into_iter().filter(|item| is_asked(*item)) {
        let looked = match item {
            Item::Connection => connection(cx, args, report).await,
            Item::Provision => provision(cx, args, report).await,
            Item::Queue => queues(cx, args, report).await,
            Item::Dead => dead(cx, args, report).await,
            Item::Worker => workers(cx, report).await,
            Item::Coordinator => coordinator(cx, report).await,
        };
        if let Err(failure) = looked {
            report.add(Status::Unknown, item, failure.lines().join(": "));
        }
    }
}

async fn connection(cx: &Cx, args: &Args, report: &mut Report) -> Result<(), Failure> {
    let broker = cx.client.broker();
    let asked = Instant::now();
    broker.flush().await?;
    let took = asked.elapsed();
    let perf = Perf {
        name: "rtt",
        skill: None,
        value: took.as_secs_f64(),
        warning: args.limits.rtt_warning.0.as_secs_f64(),
        critical: args.limits.rtt_critical.0.as_secs_f64(),
        unit: "s",
    };
    report.measure(Item::Connection, perf, || format!("a round trip takes {} ms", took.as_millis()));
    let server = broker.server();
    report.settle(Item::Connection, format!("{}, nats-server {}", server.url, server.version));
    Ok(())
}

async fn provision(cx: &Cx, args: &Args, report: &mut Report) -> Result<(), Failure> {
    let broker = &**cx.client.broker();
    let catalogue = args.skills.all()?;
    let profile = current_profile(broker).await?.unwrap_or_default();
    let rows = nova_provision::check(broker, &desired(&catalogue, Options { profile, now: clock::now() })).await?;
    judge::provision(&rows, report);
    Ok(())
}

async fn queues(cx: &Cx, args: &Args, report: &mut Report) -> Result<(), Failure> {
    let queues = match &args.skill {
        Some(skill) => vec![cx.client.queue(skill).await?],
        None => cx.client.queues().await?,
    };
    let workers = cx.client.workers().await?;
    for queue in &queues {
        judge::queue(queue, &workers, &args.limits, report);
    }
    let waiting: u64 = queues.iter().map(nova_client::QueueView::waiting).sum();
    report.settle(Item::Queue, format!("{} queues, {waiting} tasks wait", queues.len()));
    Ok(())
}

async fn dead(cx: &Cx, args: &Args, report: &mut Report) -> Result<(), Failure> {
    let stream = cx.client.broker().stream(assets::DEAD.to_owned()).await?;
    judge::dead(stream.map_or(0, |stream| stream.messages), &args.limits, report);
    Ok(())
}

async fn workers(cx: &Cx, report: &mut Report) -> Result<(), Failure> {
    judge::workers(&cx.client.workers().await?, report);
    Ok(())
}

async fn coordinator(cx: &Cx, report: &mut Report) -> Result<(), Failure> {
    let ping = Message::new(format!("$SRV.PING.{COORDINATOR}"), bytes::Bytes::new());
    match cx.client.broker().ask(ping, PING_WITHIN).await {
        Ok(_) => report.add(Status::Ok, Item::Coordinator, "present"),
        Err(BrokerError::NotFound { .. } | BrokerError::Timeout { .. }) => {
            let text = "none present: schedules, cancels of waiting tasks and trimming stand still";
            report.add(Status::Critical, Item::Coordinator, text);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
