//! The broker killed and restarted under load: nothing acknowledged is lost.

use std::time::{Duration, Instant};

use nova_broker::{Expect, Message};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_wire::{Headers, assets, name};

#[tokio::test]
async fn a_killed_broker_loses_nothing_acknowledged() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w0", &[]).await;
    fleet.worker("echo", "w1", &[]).await;
    let broker = fleet.broker.clone();
    let submitting = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for n in 0..5_000 {
            let headers = Headers::new().with(name::MSG_ID, format!("r.t{n}"));
            let message = Message::new("nova.task.echo", format!("{n}")).with_headers(headers);
            // One that is not acknowledged may or may not be there: nothing is promised of it.
            if broker.publish(message, Expect::Any).await.is_ok() {
                acknowledged.push(n);
            }
        }
        acknowledged
    });
    wait_until("work to be under way", PATIENCE, || async {
        let info = fleet.broker.stream(assets::OUTCOMES.to_owned()).await.ok()??;
        (info.messages > 500).then_some(())
    })
    .await;
    fleet.server.kill9();
    fleet.server.restart();
    let back = Instant::now();
    let resumed = async {
        let before = fleet.broker.stream(assets::OUTCOMES.to_owned()).await.ok().flatten().map(|i| i.messages);
        wait_until("outcomes to grow again", PATIENCE, || async {
            let now = fleet.broker.stream(assets::OUTCOMES.to_owned()).await.ok()??.messages;
            (now > before.unwrap_or(0)).then_some(())
        })
        .await;
    };
    resumed.await;
    // Five seconds are promised; the rest is what a loaded machine may take.
    println!("work resumed {:?} after the broker was back", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(15), "workers must come back");

    let acknowledged = submitting.await.expect("the submitter ends");
    println!("{} of 5000 were acknowledged", acknowledged.len());
    fleet.drained("echo").await;
    for n in &acknowledged {
        let subject = format!("nova.outcome.echo.r.t{n}");
        wait_until(format!("the outcome of {n}"), PATIENCE, || async {
            fleet.broker.last(assets::OUTCOMES.to_owned(), subject.clone()).await.ok()?
        })
        .await;
    }
}
