//! Claims about keys: data in, data out, no broker.

use bytes::Bytes;
use nova_wire::Headers;

use super::*;

const LEASE: Duration = Duration::from_secs(10);

fn delivery(sequence: u64, key: &str, priority: &str) -> Delivery {
    Delivery {
        subject: format!("nova.task.a.{priority}.0.{key}"),
        sequence,
        deliveries: 1,
        order: sequence,
        pending: 0,
        at: UnixMillis(0),
        headers: Headers::new(),
        body: Bytes::new(),
        token: AckToken::new(sequence.to_string()),
    }
}

fn stored(sequence: u64, key: &str) -> Stored {
    let Delivery { subject, sequence, at, headers, body, .. } = delivery(sequence, key, "normal");
    Stored { subject, sequence, at, headers, body }
}

fn id(sequence: u64) -> TaskId {
    TaskId::from_sequence(sequence)
}

/// Keys that hold these tasks, numbered from 1.
fn keys(concurrency: u32, tasks: &[&str]) -> Keys {
    let mut keys = Keys::new(concurrency, LEASE, false);
    for (sequence, key) in (1..).zip(tasks) {
        assert_eq!(keys.take_in(delivery(sequence, key, "normal"), Instant::now()), None);
    }
    keys
}

fn next(keys: &mut Keys) -> Option<u64> {
    keys.next(Instant::now(), UnixMillis(0)).map(|(delivery, _)| delivery.sequence)
}

/// Starts all that can start.
fn all(keys: &mut Keys) -> Vec<u64> {
    std::iter::from_fn(|| next(keys)).collect()
}

#[tokio::test]
async fn one_of_each_key_starts_and_its_next_when_it_ends() {
    let mut keys = keys(1, &["x", "x", "y", "x"]);
    assert_eq!(all(&mut keys), [1, 3]);
    keys.finish(1);
    assert_eq!(all(&mut keys), [2]);
    keys.put_off(2);
    assert_eq!(all(&mut keys), [0_u64; 0], "what comes again keeps its place");
    keys.take_in(delivery(2, "x", "normal"), Instant::now());
    assert_eq!(all(&mut keys), [2]);
    keys.finish(2);
    assert_eq!(all(&mut keys), [4]);
    keys.finish(3);
    keys.finish(4);
    assert_eq!((keys.mine_behind(0).len(), keys.lines.len()), (0, 0));
}

#[tokio::test]
async fn keys_take_turns() {
    let mut keys = keys(2, &["x", "x", "x", "x", "y", "z"]);
    assert_eq!(all(&mut keys), [1, 5, 6, 2]);
}

#[tokio::test]
async fn a_long_line_is_parked_and_fetched_when_its_turn_comes() {
    let mut keys = Keys::new(1, LEASE, false);
    let parked: Vec<Park> =
        (1..=100).filter_map(|n| keys.take_in(delivery(n, "x", "normal"), Instant::now())).collect();
    assert_eq!(parked.len(), 91);
    assert!(parked.iter().is_sorted_by_key(|park| park.pause) && parked[0].pause >= LEASE);
    let mut done = Vec::new();
    while let Some(sequence) = next(&mut keys) {
        done.push(sequence);
        keys.finish(sequence);
        for want in keys.wants() {
            let Want::Fetch { key, from, most } = want else { panic!("{want:?}") };
            let page: Vec<Stored> = (from..=100).take(most).map(|n| stored(n, "x")).collect();
            let upto = page.last().map_or(from, |last| last.sequence);
            assert!(!keys.fetched(&key, upto, page, Instant::now()).is_empty());
        }
    }
    assert_eq!(done, (1..=100).collect::<Vec<_>>());
    assert_eq!((keys.mine_behind(0).len(), keys.held), (0, 0));
}

#[tokio::test]
async fn what_was_deleted_while_parked_is_passed() {
    let mut keys = Keys::new(1, LEASE, false);
    (1..=20).for_each(|n| drop(keys.take_in(delivery(n, "x", "normal"), Instant::now())));
    for sequence in 1..=6 {
        assert_eq!(next(&mut keys), Some(sequence));
        keys.finish(sequence);
    }
    let wants = keys.wants();
    let [Want::Fetch { key, from, .. }] = wants.as_slice() else { panic!("{wants:?}") };
    assert_eq!(*from, 10);
    keys.fetched(key, u64::MAX, vec![stored(20, "x")], Instant::now());
    assert_eq!((7..=9).chain([20]).collect::<Vec<_>>(), {
        let mut done = Vec::new();
        while let Some(sequence) = next(&mut keys) {
            done.push(sequence);
            keys.finish(sequence);
        }
        done
    });
}

#[tokio::test]
async fn parking_is_no_attempt() {
    let mut keys = keys(1, &["x"; 9]);
    let park = keys.take_in(delivery(10, "x", "normal"), Instant::now());
    assert!(park.is_some());
    // It comes again from its parking place, and by now there is room.
    keys.finish(1);
    let again = Delivery { deliveries: 2, ..delivery(10, "x", "normal") };
    assert_eq!(keys.take_in(again, Instant::now()), None);
    (2..=9).for_each(|n| keys.finish(n));
    assert_eq!(keys.next(Instant::now(), UnixMillis(0)).map(|(delivery, _)| delivery.deliveries), Some(1));
}

#[tokio::test]
async fn a_key_waits_for_what_an_earlier_owner_has() {
    let mut keys = Keys::new(1, LEASE, true);
    keys.take_in(delivery(5, "x", "normal"), Instant::now());
    keys.take_in(delivery(6, "y", "normal"), Instant::now());
    assert_eq!(all(&mut keys), [0_u64; 0], "nothing is known of the earlier owner");
    let wants = keys.wants();
    assert_eq!(wants.len(), 2);
    let (x, y): (Arc<str>, Arc<str>) = ("x".into(), "y".into());
    keys.clear(&y, Vec::new());
    assert_eq!(all(&mut keys), [6]);
    keys.clear(&x, vec![(3, id(3)), (4, id(4))]);
    assert_eq!((all(&mut keys), keys.mine_behind(0).len()), (vec![], 2));
    assert_eq!(keys.awaited(), [(3, id(3)), (4, id(4))]);
    // The one is ended by its old owner, the other comes here.
    keys.finish(3);
    keys.take_in(Delivery { deliveries: 2, ..delivery(4, "x", "normal") }, Instant::now());
    assert_eq!(all(&mut keys), [4]);
    keys.finish(4);
    assert_eq!(all(&mut keys), [5]);
}

#[tokio::test]
async fn when_nothing_is_elsewhere_all_keys_go_on() {
    let mut keys = Keys::new(1, LEASE, true);
    keys.take_in(delivery(5, "x", "normal"), Instant::now());
    keys.clear(&"x".into(), vec![(3, id(3))]);
    keys.take_in(delivery(6, "y", "normal"), Instant::now());
    assert_eq!(all(&mut keys), [0_u64; 0]);
    keys.open();
    assert_eq!(all(&mut keys), [5, 6]);
    keys.take_in(delivery(7, "z", "normal"), Instant::now());
    assert_eq!(all(&mut keys), [7]);
}

#[tokio::test]
async fn everything_not_begun_is_handed_back_in_order() {
    let mut keys = Keys::new(1, LEASE, false);
    for sequence in (1..=30).rev() {
        keys.take_in(delivery(sequence, if sequence % 2 == 0 { "x" } else { "y" }, "normal"), Instant::now());
    }
    let begun = [next(&mut keys), next(&mut keys)];
    let back: Vec<u64> =
        keys.hand_back().into_iter().map(|token| format!("{token:?}")).map(|text| number(&text)).collect();
    let left: Vec<u64> = (1..=30).filter(|sequence| !begun.contains(&Some(*sequence))).collect();
    assert_eq!(back, left);
}

fn number(text: &str) -> u64 {
    text.chars().filter(char::is_ascii_digit).collect::<String>().parse().expect("a token is a number here")
}

#[tokio::test]
async fn only_leases_of_what_is_at_hand_are_extended() {
    let mut keys = keys(1, &["x"; 9]);
    keys.take_in(delivery(10, "x", "normal"), Instant::now());
    next(&mut keys);
    let now = Instant::now();
    assert_eq!(keys.leases(now, now).len(), 8);
    assert_eq!(keys.leases(now - LEASE, now).len(), 0, "they have begun since");
}

#[test]
fn any_story_keeps_order_and_concurrency() {
    proptest::proptest!(|(concurrency in 1..4_u32, tasks in proptest::collection::vec(0..4_u8, 1..60), moves in proptest::collection::vec((0..5_u8, 0..64_usize), 0..400))| {
        let now = Instant::now();
        let mut keys = Keys::new(concurrency, LEASE, false);
        let name = |sequence: u64| format!("k{}", tasks[usize::try_from(sequence - 1).unwrap()]);
        let (mut fresh, mut running, mut away) = (1..=tasks.len() as u64, Vec::<u64>::new(), Vec::<u64>::new());
        let mut unfinished: BTreeSet<u64> = BTreeSet::new();
        let fetch = |keys: &mut Keys| for want in keys.wants() {
            let Want::Fetch { key, from, most } = want else { panic!("{want:?}") };
            let page: Vec<Stored> = (from..=tasks.len() as u64).filter(|n| name(*n) == *key).take(most).map(|n| stored(n, &key)).collect();
            let upto = page.last().map_or(u64::MAX, |last| last.sequence);
            keys.fetched(&key, upto, page, now);
        };
        let start = |keys: &mut Keys, running: &mut Vec<u64>, unfinished: &BTreeSet<u64>| {
            let Some(sequence) = keys.next(Instant::now(), UnixMillis(0)).map(|(delivery, _)| delivery.sequence) else { return false };
            let before = unfinished.range(..sequence).filter(|n| name(**n) == name(sequence)).count();
            assert!(before < concurrency as usize, "{sequence} passed {before} of its key");
            running.push(sequence);
            true
        };
        let take = |keys: &mut Keys, sequence: u64| drop(keys.take_in(delivery(sequence, &name(sequence), "normal"), now));
        for (what, which) in moves {
            match what {
                0 | 1 => if let Some(sequence) = fresh.next() { unfinished.insert(sequence); take(&mut keys, sequence) },
                2 => { start(&mut keys, &mut running, &unfinished); }
                3 if !running.is_empty() => {
                    let sequence = running.swap_remove(which % running.len());
                    if which % 3 == 0 { keys.put_off(sequence); away.push(sequence) } else { keys.finish(sequence); unfinished.remove(&sequence); }
                }
                4 if !away.is_empty() => take(&mut keys, away.swap_remove(which % away.len())),
                _ => {}
            }
            fetch(&mut keys);
        }
        // In the end all is done.
        for sequence in fresh { unfinished.insert(sequence); take(&mut keys, sequence) }
        for sequence in away { take(&mut keys, sequence) }
        loop {
            fetch(&mut keys);
            for sequence in running.drain(..) { keys.finish(sequence); unfinished.remove(&sequence); }
            fetch(&mut keys);
            if !start(&mut keys, &mut running, &unfinished) { break }
        }
        proptest::prop_assert!(unfinished.is_empty() && keys.mine_behind(0).is_empty() && keys.held == 0, "{unfinished:?} {keys:?}");
    });
}

#[tokio::test(start_paused = true)]
async fn a_key_that_starts_too_often_waits_and_others_do_not() {
    let rate = "1/s".parse().expect("a rate");
    let mut keys = keys(2, &["x", "x", "y"]).with_rate(Some(KeyLimits::new(rate, UnixMillis(0))));
    let at = |keys: &mut Keys, millis: i64| {
        let clock = UnixMillis(millis);
        keys.wake(Instant::now());
        let started = std::iter::from_fn(|| keys.next(Instant::now(), clock).map(|(delivery, _)| delivery.sequence));
        started.collect::<Vec<_>>()
    };
    // What an owner before used is not known: nothing is saved up.
    assert_eq!(at(&mut keys, 0), [0_u64; 0]);
    let wakes = keys.wakes().expect("both wait");
    tokio::time::sleep_until(wakes).await;
    assert_eq!(at(&mut keys, 1000), [1, 3]);
    tokio::time::sleep_until(keys.wakes().expect("the second waits")).await;
    assert_eq!(at(&mut keys, 2000), [2]);
    assert_eq!(keys.wakes(), None);
}
