//! Rates of the whole fleet: over any stretch no more starts than the rate and its burst, and hardly fewer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nova_broker::memory::MemoryBroker;
use nova_types::{Rate, UnixMillis};
use nova_wire::assets;
use nova_worker::Worker;
use serde_json::Value;

use crate::bed::{Bed, Running};
use crate::skills::{Does, does};

type Starts = Arc<Mutex<Vec<UnixMillis>>>;

/// A skill `a` that notes when it starts by the broker's clock, and takes a while.
fn noting(memory: &MemoryBroker, starts: &Starts, takes: Duration) -> Does {
    let (memory, starts) = (memory.clone(), Arc::clone(starts));
    does("a", move |_, _| {
        starts.lock().expect("no holder panics").push(memory.now());
        async move {
            tokio::time::sleep(takes).await;
            Ok(Value::Null)
        }
    })
}

fn workers(bed: &Bed, starts: &Starts, count: usize, slots: usize, takes: Duration) -> Vec<Running> {
    let start = |n| bed.start(&format!("w{n}"), slots, Worker::new().skill(noting(&bed.memory, starts, takes)));
    (0..count).map(start).collect()
}

/// No stretch between two starts holds more of them than the rate allows.
#[track_caller]
fn check_bound(rate: &str, starts: &Starts) -> Vec<UnixMillis> {
    let rate: Rate = rate.parse().expect("a rate");
    let mut starts = starts.lock().expect("no holder panics").clone();
    starts.sort_unstable();
    let (count, per) = (u128::from(rate.count()), rate.per().as_millis());
    for (first, from) in starts.iter().enumerate() {
        for (nth, to) in starts[first..].iter().enumerate() {
            let stretch = to.since(*from).as_millis();
            let allowed = u128::from(rate.burst()) * per + count * stretch;
            assert!((nth as u128 + 1) * per <= allowed, "{} starts within {stretch} ms of {rate}", nth + 1);
        }
    }
    starts
}

async fn submit(bed: &Bed, count: usize) {
    for n in 0..count {
        let task = ["a", "a.high", "a.low"][n % 3];
        bed.submit(task, &format!("t{n}"), &[], "null").await;
    }
}

async fn slices(bed: &Bed) -> u64 {
    let stream = bed.broker.stream(assets::bucket_stream(assets::CONFIG_BUCKET)).await.expect("read").expect("there");
    stream.last_sequence
}

#[track_caller]
fn took(starts: &[UnixMillis]) -> Duration {
    starts[starts.len() - 1].since(starts[0])
}

#[tokio::test(start_paused = true)]
async fn a_fleet_starts_no_more_than_its_rate_and_hardly_less() {
    for (rate, tasks, fleet) in
        [("100/s", 1000, 5), ("100/s burst 10", 500, 20), ("30/m", 60, 5), ("7/s burst 3", 100, 3)]
    {
        let bed = Bed::new(&format!("a = {{ rate = \"{rate}\" }}")).await;
        submit(&bed, tasks).await;
        let starts = Starts::default();
        let fleet = workers(&bed, &starts, fleet, 16, Duration::from_millis(3));
        bed.drained("a").await;
        let starts = check_bound(rate, &starts);
        assert_eq!(starts.len(), tasks, "{rate}: each once");
        let rate: Rate = rate.parse().expect("a rate");
        let ideal = rate.per() * u32::try_from(tasks).expect("few") / rate.count();
        assert!(took(&starts) < ideal.mul_f64(1.25), "{rate}: {:?} for {ideal:?}", took(&starts));
        for worker in fleet {
            worker.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_without_a_burst_spaces_its_starts() {
    let bed = Bed::new("a = { rate = \"20/h\" }").await;
    submit(&bed, 12).await;
    let starts = Starts::default();
    let fleet = workers(&bed, &starts, 6, 4, Duration::from_secs(5));
    bed.drained("a").await;
    let starts = check_bound("20/h", &starts);
    assert!(starts.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(180)), "{starts:?}");
    assert!(took(&starts) < Duration::from_secs(180 * 11).mul_f64(1.1), "{:?}", took(&starts));
    // Nothing was taken before it might start: no lease was held for an hour.
    for n in 0..12 {
        let (outcome, _) = bed.outcome("a", &format!("t{n}")).await;
        assert_eq!(outcome.attempt, 1);
    }
    for worker in fleet {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_wait_in_the_queue_until_they_may_start() {
    let bed = Bed::new("a = { rate = \"1/m\" }").await;
    submit(&bed, 30).await;
    let starts = Starts::default();
    let fleet = workers(&bed, &starts, 10, 16, Duration::ZERO);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(17)).await;
        let mut out = 0;
        for info in bed.broker.consumers("NOVA_TASKS_a".into()).await.expect("readable") {
            out += info.ack_pending;
        }
        assert!(out <= 1, "{out} tasks are out");
    }
    // Ten workers with nothing to do for a minute at a time leave the broker alone.
    let before = slices(&bed).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let after = slices(&bed).await;
    assert!((8..=14).contains(&(after - before)), "{} slices in ten minutes", after - before);
    for worker in fleet {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_fleet_starts_at_once_and_takes_few_slices() {
    let bed = Bed::new("a = { rate = \"1000000/s\" }").await;
    let starts = Starts::default();
    let fleet = workers(&bed, &starts, 2, 16, Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = bed.memory.now();
    bed.submit("a", "one", &[], "null").await;
    let (outcome, _) = bed.outcome("a", "one").await;
    assert!(outcome.started.expect("it ran").since(asked) < Duration::from_millis(10));
    let before = slices(&bed).await;
    submit(&bed, 3000).await;
    bed.drained("a").await;
    let used = slices(&bed).await - before;
    assert!(used < 100, "{used} slices for 3,000 tasks");
    for worker in fleet {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_takes_no_more_than_its_slice() {
    let bed = Bed::new("a = { rate = \"100/s\", lease = \"1s\" }").await;
    submit(&bed, 600).await;
    let starts = Starts::default();
    let mut fleet = workers(&bed, &starts, 3, 16, Duration::from_millis(3));
    for n in 0..10 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let dies = fleet.remove(0);
        dies.worker.abort();
        fleet.push(bed.start(
            &format!("x{n}"),
            16,
            Worker::new().skill(noting(&bed.memory, &starts, Duration::from_millis(3))),
        ));
    }
    bed.drained("a").await;
    let starts = check_bound("100/s", &starts);
    assert!(starts.len() >= 600 && took(&starts) < Duration::from_secs(12), "{} in {:?}", starts.len(), took(&starts));
    for worker in fleet {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_changes_no_rate() {
    let bed = Bed::new("a = { rate = \"50/s\" }").await;
    submit(&bed, 200).await;
    let starts = Starts::default();
    let fleet: Vec<Running> = [0, 3600, 30 * 3600]
        .map(|ahead| {
            let worker = Worker::new().skill(noting(&bed.memory, &starts, Duration::ZERO));
            bed.start_ahead(&format!("w{ahead}"), 16, worker, Duration::from_secs(ahead))
        })
        .into();
    bed.drained("a").await;
    assert_eq!(check_bound("50/s", &starts).len(), 200);
    for worker in fleet {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_skill_of_the_worker_goes_on_while_one_waits_for_its_rate() {
    let bed = Bed::new("a = { rate = \"1/h\" }\nb = {}").await;
    let starts = Starts::default();
    let free = does("b", |input, _| async move { Ok(input) });
    let worker = bed.start("w", 1, Worker::new().skill(noting(&bed.memory, &starts, Duration::ZERO)).skill(free));
    submit(&bed, 5).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = bed.memory.now();
    bed.submit("b", "x", &[], "1").await;
    let (outcome, _) = bed.outcome("b", "x").await;
    assert!(outcome.finished.since(asked) < Duration::from_secs(1));
    assert_eq!(starts.lock().expect("no holder panics").len(), 1);
    worker.stop().await;
}
