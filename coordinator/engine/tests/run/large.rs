//! Large values and wide maps: what is loaded on demand, and what a record costs.

use std::sync::Arc;

use nova_engine::run::{Effect, MOST_AT_ONCE, part_of};
use nova_workflow::{Datum, End, Event, Items, Lost, Part, Segment};
use serde_json::{Value, json};

use crate::play::{Play, blob, check, id};

#[test]
fn a_large_result_is_asked_for_and_nothing_moves_until_it_is_there() {
    let mut play =
        Play::of(json!({"a": {"task": {"skill": "x"}}, "b": {"task": {"skill": "x", "input": "${steps.a.result}"}}}));
    play.line("start");
    let before = play.run.clone();
    assert_eq!(play.line("a@big"), "wants big");
    assert_eq!(play.run, before);
    play.data.0.insert(blob("big"), Arc::new(json!([1, 2, 3])));
    assert_eq!(play.line("a@big"), "done a; start b");
    assert_eq!(play.input_of("b", nova_workflow::Role::Work, 0), json!([1, 2, 3]));
    assert_eq!(play.line("b@end"), "wants end");
    play.data.0.insert(blob("end"), Arc::new(json!(7)));
    assert_eq!(play.line("b@end"), "done b; end completed");
    assert_eq!(play.end().1, json!({"b": 7}));
    play.prove();
}

#[test]
fn results_nobody_reads_are_never_loaded() {
    check(
        json!({"steps": {"a": {"task": {"skill": "x"}}, "b": {"after": ["a"], "task": {"skill": "x"}}}, "result": 1}),
        &[("start", "start a; running"), ("a@big", "done a; start b"), ("b@end", "done b; end completed")],
    );
}

#[test]
fn items_told_again_in_another_fold_count_once() {
    let mut play = Play::of(json!({"m": {"map": {"over": "[0, 1, 2]", "do": {"skill": "x"}, "tolerate": 1}}}));
    play.line("start");
    let items = |items: &[u32], results: Datum, failed: &[u32]| {
        let failure = nova_workflow::Failure { code: "bad".into(), message: "why".into() };
        Event::Items(Items {
            step: id("m"),
            done: Segment { items: items.to_vec(), results },
            failed: failed.iter().map(|item| Lost { item: *item, attempts: 3, error: failure.clone() }).collect(),
        })
    };
    play.data.0.insert(blob("fold"), Arc::new(json!(["zero?", "two"])));
    play.tell(vec![items(&[0], Datum::Inline(json!(["zero"])), &[])]).expect("it moves");
    play.tell(vec![items(&[0, 2], Datum::Blob(blob("fold")), &[0])]).expect("it moves");
    play.tell(vec![items(&[], Datum::Inline(json!([])), &[1, 1, 2])]).expect("it moves");
    assert_eq!(play.end().1, json!({"m": ["zero", null, "two"]}));
    play.prove();
}

#[test]
fn a_map_tells_how_often_its_first_failure_was_tried() {
    let mut play = Play::of(json!({"m": {"map": {"over": "[0, 1]", "do": {"skill": "x"}}}}));
    play.line("start");
    let error = nova_workflow::Failure { code: "bad".into(), message: "why".into() };
    let done = Segment { items: vec![], results: Datum::Inline(json!([])) };
    let failed = vec![Lost { item: 1, attempts: 5, error: error.clone() }, Lost { item: 0, attempts: 1, error }];
    play.tell(vec![Event::Items(Items { step: id("m"), done, failed })]).expect("it moves");
    let end = play.end().0;
    assert_eq!((end.attempts, end.failure.expect("why").code.as_str()), (5, "bad"));
    play.prove();
}

#[test]
fn more_results_than_anyone_holds_at_once_fail_who_asks_for_them() {
    let mut play = Play::of(json!({
        "m": {"map": {"over": "[0, 1]", "do": {"skill": "x"}}},
        "one": {"task": {"skill": "x", "input": "${size(steps.m.result)}"}, "on_failure": "continue"},
        "other": {"task": {"skill": "x", "input": "${steps.m.count} ${steps.m.status} ${steps.m.failed} ${has(steps.m.error)}"}},
    }));
    play.line("start");
    for item in [0, 1] {
        let results =
            Datum::Blob(nova_workflow::BlobName { size: MOST_AT_ONCE / 2 + 1, ..blob(&format!("half{item}")) });
        let done = Segment { items: vec![item], results };
        play.tell(vec![Event::Items(Items { step: id("m"), done, failed: vec![] })]).expect("it moves");
    }
    // Nothing was loaded for it, and what does not ask for the results goes on.
    assert_eq!(play.input_of("other", nova_workflow::Role::Work, 0), json!("2 completed 0 false"));
    assert_eq!(play.line("other=1"), "done other; end completed");
    assert_eq!(play.end().1, json!({"one": null, "other": 1}));
    let view = play.run.view(&play.plan);
    let failed = view.steps.values().find_map(|step| step.error.clone()).expect("it failed");
    assert_eq!(failed.code.as_str(), "too_large");
    play.prove();
}

#[test]
fn results_that_fit_one_by_one_do_not_fit_together() {
    let mut play = Play::of(json!({
        "a": {"task": {"skill": "x"}},
        "b": {"task": {"skill": "x"}},
        "both": {"task": {"skill": "x", "input": ["${steps.a.result}", "${steps.b.result}"]}, "on_failure": "continue"},
    }));
    play.line("start");
    for step in ["a", "b"] {
        let result = Datum::Blob(nova_workflow::BlobName { size: MOST_AT_ONCE / 2 + 1, ..blob(step) });
        let (part, kind) = (Part::work(id(step), 0), nova_types::OutcomeKind::Completed);
        play.tell(vec![Event::Ended(vec![End { part, kind, attempt: 1, result, error: None }])]).expect("it moves");
    }
    let failed = play.run.view(&play.plan).steps[&id("both")].error.clone().expect("it failed");
    assert_eq!(failed.code.as_str(), "too_large");
    play.prove();
}

/// Plays a map of so many items in folds of a hundred; the bytes recorded, and those of the largest state on the way.
fn wide(count: u32) -> (usize, usize) {
    let mut play = Play::of(json!({"m": {"map": {"over": "input.list", "do": {"skill": "x", "input": "${item}"}}}}));
    play.input = json!({"list": (0..count).collect::<Vec<_>>()});
    play.line("start");
    let (mut open, mut state) = (tasks(&play), 0);
    while !open.is_empty() {
        // Every third first, so that the ranges have gaps.
        let fold: Vec<u32> =
            open.iter().copied().filter(|item| item % 3 == 0).chain(open.iter().copied()).take(100).collect();
        let mut fold: Vec<u32> = fold.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        fold.reverse();
        open.retain(|item| !fold.contains(item));
        let results: Value = fold.iter().map(|item| json!({"of": item})).collect();
        let done = Segment { items: fold, results: Datum::Inline(results) };
        play.tell(vec![Event::Items(Items { step: id("m"), done, failed: vec![] })]).expect("it moves");
        open.extend(tasks(&play));
        state = state.max(serde_json::to_string(&play.run).expect("it writes").len());
    }
    let (_, result) = play.end();
    assert_eq!(result["m"].as_array().map(Vec::len), Some(count as usize));
    assert_eq!(result["m"][count as usize - 1], json!({"of": count - 1}));
    // Without the start, which holds the input.
    let recorded = play.history[1..].iter().map(|one| serde_json::to_string(one).expect("it writes").len()).sum();
    (recorded, state)
}

/// The items that started last.
fn tasks(play: &Play) -> Vec<u32> {
    let started = play.effects.last().expect("it moved").iter();
    started.filter_map(|effect| if let Effect::Task(order) = effect { Some(order.part.index) } else { None }).collect()
}

#[test]
fn a_wide_map_costs_in_proportion_to_its_items() {
    let (small, small_state) = wide(2_000);
    let (large, large_state) = wide(10_000);
    assert!(large <= small * 11 / 2, "recorded {small} bytes for 2,000 items, {large} for 10,000");
    assert!(large_state <= small_state * 11 / 2, "held {small_state} bytes for 2,000 items, {large_state} for 10,000");
    assert!(large / 10_000 <= 50, "{} bytes recorded per item", large / 10_000);
}

#[test]
fn a_task_under_way_is_found_by_its_name() {
    let mut play = Play::of(json!({
        "a": {"task": {"skill": "x"}, "undo": {"skill": "u"}}, "m": {"after": ["a"], "map": {"over": "[0, 1, 2]", "do": {"skill": "x"}}},
    }));
    play.line("start");
    let name = |play: &Play, step: &str, index| Part::work(id(step), index).name(play.run.id());
    assert_eq!(part_of(&play.run, &name(&play, "a", 0)), Some(Part::work(id("a"), 0)));
    assert_eq!(part_of(&play.run, &name(&play, "m", 2)), None);
    play.line("a=1");
    assert_eq!(part_of(&play.run, &name(&play, "a", 0)), None);
    assert_eq!(part_of(&play.run, &name(&play, "m", 2)), Some(Part::work(id("m"), 2)));
    play.line("m.2=1, m.1!bad");
    assert_eq!(part_of(&play.run, &name(&play, "m", 0)), Some(Part::work(id("m"), 0)));
    play.line("m.0~");
    let undo = Part { step: id("a"), role: nova_workflow::Role::Undo, index: 0 };
    assert_eq!(part_of(&play.run, &undo.name(play.run.id())), Some(undo));
    assert_eq!(part_of(&play.run, &"other_0123456789abcdef".parse().expect("a name")), None);
}
