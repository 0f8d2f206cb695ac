//! Maps whose items are bundled: one task for many of them, and every item counted by itself.

use nova_engine::run::{Effect, Rehearsed, items_of, part_of, rehearse, restart};
use nova_types::RunStatus;
use nova_workflow::{Datum, Event, Failure, Items, Kept, Lost, Part, Restart, Segment, Started};
use serde_json::{Value, json};

use crate::play::{Play, id, plan, short};

fn over(count: usize, more: Value) -> Value {
    let mut map = json!({"over": "input.list", "do": {"skill": "x", "input": "${item}"}});
    map.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({"steps": {"m": {"map": map}}, "input": {"list": {"type": "list", "default": vec![json!("x"); count]}}})
}

fn play(count: usize, more: Value) -> Play {
    let mut play = Play::of(over(count, more));
    play.input = json!({"list": (0..count).collect::<Vec<_>>()});
    play
}

/// The end of items: those with a result, the number times ten, and those that failed.
fn items(done: &[u32], failed: &[u32]) -> Event {
    let failure = Failure { code: "bad".into(), message: "why".into() };
    let results: Value = done.iter().map(|item| json!(item * 10)).collect();
    Event::Items(Items {
        step: id("m"),
        done: Segment { items: done.to_vec(), results: Datum::Inline(results) },
        failed: failed.iter().map(|item| Lost { item: *item, attempts: 2, error: failure.clone() }).collect(),
    })
}

fn tell(play: &mut Play, event: Event) -> String {
    short(&play.tell(vec![event]).expect("it moves").decisions)
}

/// The bundles that have started, by their items.
fn started(play: &Play) -> Vec<Vec<u32>> {
    let orders = play.effects.iter().flatten();
    orders
        .filter_map(|effect| if let Effect::Task(order) = effect { Some(order.items.clone()) } else { None })
        .collect()
}

#[test]
fn items_are_packed_in_their_order_and_counted_one_by_one() {
    let mut play = play(7, json!({"bundle": 3, "tolerate": 1}));
    assert_eq!(play.line("start"), "start m 0..7; running");
    assert_eq!(started(&play), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert_eq!(play.input_of("m", nova_workflow::Role::Work, 3), json!([3, 4, 5]));
    let second = Part::work(id("m"), 3);
    assert_eq!(part_of(&play.run, &second.name(play.run.id())), Some(second.clone()));
    assert_eq!((items_of(&play.run, &second), play.run.under_way()), (Some(vec![3, 4, 5]), 3));
    assert_eq!(tell(&mut play, items(&[3, 5], &[4])), "");
    assert_eq!((items_of(&play.run, &second), play.run.under_way()), (None, 2));
    let view = play.run.view(&play.plan).steps[&id("m")].clone();
    assert_eq!((view.total, view.done, view.failed, view.running), (7, 2, 1, 4));
    // Told again, and in pieces: nothing is counted twice.
    assert_eq!(tell(&mut play, items(&[3, 5, 6], &[4])), "");
    assert_eq!(tell(&mut play, items(&[0, 2], &[])), "");
    assert_eq!(play.run.under_way(), 1, "one of its items has not ended");
    assert_eq!(tell(&mut play, items(&[0, 1], &[])), "done m; end completed");
    assert_eq!(play.end().1, json!({"m": [0, 10, 20, 30, null, 50, 60]}));
    crate::play::round_trip(&play.run);
}

#[test]
fn a_bundle_is_proved_like_any_task() {
    let mut play = play(5, json!({"bundle": 2, "parallel": 2, "tolerate": "all"}));
    assert_eq!(play.line("start"), "start m 0..4; running");
    assert_eq!(tell(&mut play, items(&[2], &[3])), "start m 4..5");
    assert_eq!(tell(&mut play, items(&[0, 1], &[])), "");
    assert_eq!(tell(&mut play, items(&[], &[4])), "done m; end completed");
    play.prove();
}

#[test]
fn an_item_whose_input_cannot_be_made_fails_alone() {
    let mut play = play(6, json!({"bundle": 2, "tolerate": 2, "do": {"skill": "x", "input": "${12 / (item - 1)}"}}));
    assert_eq!(play.line("start"), "start m [0, 2, 3, 4, 5]; running");
    assert_eq!(started(&play), [vec![0, 2], vec![3, 4], vec![5]]);
    for event in [items(&[0, 2], &[]), items(&[3, 4], &[]), items(&[5], &[])] {
        tell(&mut play, event);
    }
    assert_eq!(play.end().1["m"][1], json!(null));
    play.prove();
}

#[test]
fn too_many_failed_items_fail_the_map_and_cancel_its_bundles() {
    let mut play = play(6, json!({"bundle": 2, "tolerate": 1}));
    play.line("start");
    assert_eq!(tell(&mut play, items(&[], &[0, 1])), "fail m bad; cancel m.2; cancel m.4; undoing");
    assert_eq!(tell(&mut play, items(&[2, 3], &[])), "");
    assert_eq!(tell(&mut play, items(&[], &[4, 5])), "end failed");
    let (end, _) = play.end();
    assert!(end.failure.expect("why").message.starts_with("2 of 6 items failed: item 0: bad"));
    play.prove();
}

#[test]
fn what_starts_at_once_is_bounded() {
    let mut play = play(60_000, json!({"bundle": 1000}));
    assert_eq!(play.line("start"), "start m 0..50000; running");
    assert_eq!(play.run.under_way(), 50);
    let first: Vec<u32> = (0..1000).collect();
    assert_eq!(tell(&mut play, items(&first, &[])), "start m 50000..60000");
    assert_eq!(play.run.under_way(), 59);
}

#[test]
fn a_restart_packs_what_is_left() {
    let mut old = play(9, json!({"bundle": 3}));
    old.line("start");
    tell(&mut old, items(&[3, 4, 5], &[]));
    tell(&mut old, items(&[0, 2, 6, 8], &[1, 7]));
    assert_eq!(old.run.status(), RunStatus::Failed);
    old.prove();
    let request = Restart { run: old.run.id().clone(), from: Vec::new(), same_input: true };
    let kept = restart(&old.run, &old.plan, &request).expect("known steps");
    assert!(matches!(&kept[&id("m")], Kept::Items { count: 9, .. }));
    let mut new = play(9, json!({"bundle": 3}));
    let begun = Started { kept, ..new.started() };
    let decisions = short(&new.tell(vec![Event::Started(Box::new(begun))]).expect("it moves").decisions);
    assert_eq!((started(&new), decisions.as_str()), (vec![vec![1, 7]], "start m [1, 7]; running"));
    assert_eq!(tell(&mut new, items(&[1, 7], &[])), "done m; end completed");
    assert_eq!(new.end().1["m"][7], json!(70));
    new.prove();
}

#[test]
fn other_bundles_of_the_same_items_are_the_same_work() {
    let mut old = play(5, json!({"bundle": 2, "tolerate": 1}));
    old.line("start");
    for event in [items(&[0, 1], &[]), items(&[2], &[3]), items(&[4], &[])] {
        tell(&mut old, event);
    }
    let same = |more: Value| {
        let workflow = over(5, more);
        let mut whole = json!({"workflow": "test"});
        whole.as_object_mut().expect("a map").extend(workflow.as_object().expect("a map").clone());
        let new = plan(&whole);
        let rehearsal = rehearse(&old.plan, &new, &old.history, &old.data).expect("it plays");
        assert_eq!(rehearsal.was, rehearsal.end);
        assert_eq!(rehearsal.steps[&id("m")].comes_to, Rehearsed::Same);
    };
    same(json!({"bundle": 2, "tolerate": 1}));
    same(json!({"bundle": 3, "tolerate": 1}));
    same(json!({"tolerate": 1}));
}
