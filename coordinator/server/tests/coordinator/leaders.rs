//! Leadership.

use std::time::Duration;

use nova_coordinator::Parts;
use nova_testkit::wait_until;

use crate::support::{DEADLINE, Fleet, shows};

fn leads(parts: &Parts) -> bool {
    shows(parts, "nova_leader 1")
}

async fn one_leads(mut fleet: Fleet) {
    let first = fleet.start("c1").await;
    wait_until("the first to lead", DEADLINE, async || leads(&first).then_some(())).await;
    let mut all = vec![first];
    all.push(fleet.start("c2").await);
    wait_until("the second to look around", DEADLINE, async || shows(&all[1], "nova_leader 0").then_some(())).await;
    assert!(leads(&all[0]) && !leads(&all[1]));
    fleet.stop().await;
    // A leader that stops leaves an empty seat behind.
    let third = fleet.start("c3").await;
    wait_until("the third to lead", DEADLINE, async || leads(&third).then_some(())).await;
    fleet.stop().await;
}

#[tokio::test]
async fn one_of_two_leads_and_leaves_its_seat() {
    one_leads(Fleet::real().await).await;
}

#[tokio::test]
async fn one_of_two_leads_and_leaves_its_seat_in_memory() {
    one_leads(Fleet::memory().await).await;
}

/// Nobody renews the claim of this leader.
async fn a_dead_leaders_seat_is_taken(ttl: Option<Duration>) {
    let mut fleet = Fleet::real().await;
    let bucket = nova_broker::Bucket::new(fleet.broker.clone(), nova_wire::assets::CONFIG_BUCKET);
    bucket.put("leader", "gone", ttl, nova_broker::Expect::NOTHING).await.expect("claimed");
    let parts = fleet.start("c1").await;
    wait_until("the dead leader's seat", DEADLINE, async || leads(&parts).then_some(())).await;
    assert_eq!(&bucket.get("leader").await.expect("readable").expect("claimed").value[..], b"c1");
    fleet.stop().await;
}

#[tokio::test]
async fn the_seat_of_a_leader_that_died_is_taken() {
    a_dead_leaders_seat_is_taken(Some(Duration::from_secs(2))).await;
}

#[tokio::test]
async fn the_seat_of_a_leader_that_died_is_taken_though_the_broker_keeps_it() {
    a_dead_leaders_seat_is_taken(None).await;
}
