//! How fast the pure engine decides: transitions of chains, and items of a wide map, with the JSON of each record.
#![expect(clippy::print_stdout, reason = "a measurement is told on stdout")]

use std::time::Instant;

use nova_engine::run::{Effect, Loaded, Memo, Run, step};
use nova_types::{OutcomeKind, RunId, UnixMillis};
use nova_workflow::{Datum, End, Event, Items, Part, Plan, Segment, Started};
use serde_json::{Value, json};

fn plan(steps: Value) -> Plan {
    let workflow = serde_json::from_value(json!({"workflow": "bench", "steps": steps})).expect("a definition");
    Plan::new(workflow).expect("a sound one")
}

fn started(plan: &Plan, input: Value) -> Event {
    Event::Started(Box::new(Started::new("_.r1".parse().expect("an id"), plan, input.into())))
}

/// Plays a run to its end; `answer` makes events of the tasks that start. Says how many transitions it took.
fn play(plan: &Plan, input: Value, answer: impl Fn(Vec<Part>) -> Vec<Event>) -> u64 {
    let (mut run, mut memo, data) = (Run::new(RunId::new("r1").expect("a run")), Memo::default(), Loaded::default());
    let mut pending = std::collections::VecDeque::from([started(plan, input)]);
    while let Some(event) = pending.pop_front() {
        let moved = step(&run, plan, vec![event], UnixMillis(0), &data, &mut memo).expect("nothing is large");
        std::hint::black_box(serde_json::to_vec(&moved.transition).expect("it writes"));
        run = moved.run;
        let parts = moved.effects.into_iter().filter_map(|effect| match effect {
            Effect::Task(order) => Some(order.part),
            _ => None,
        });
        pending.extend(answer(parts.collect()));
    }
    assert!(run.end().is_some(), "the run ends");
    run.n()
}

fn one_by_one(parts: Vec<Part>) -> Vec<Event> {
    let end = |part| End {
        part,
        kind: OutcomeKind::Completed,
        attempt: 1,
        result: Datum::Inline(json!({"n": 1})),
        error: None,
    };
    parts.into_iter().map(|part| Event::Ended(vec![end(part)])).collect()
}

/// Folds of up to a hundred items, as a coordinator under load makes them.
fn folded(parts: Vec<Part>) -> Vec<Event> {
    let fold = |parts: &[Part]| {
        let results = Datum::Inline(vec![json!({"n": 1}); parts.len()].into());
        let done = Segment { items: parts.iter().map(|part| part.index).collect(), results };
        Event::Items(Items { step: parts[0].step.clone(), done, failed: vec![] })
    };
    parts.chunks(100).map(fold).collect()
}

fn main() {
    let chain = plan(json!({
        "a": {"task": {"skill": "x", "input": "${input.n}"}},
        "b": {"task": {"skill": "x", "input": {"n": "${steps.a.result.n + 1}"}}},
        "c": {"task": {"skill": "x", "input": {"n": "${steps.b.result.n + 1}"}}},
    }));
    let (begin, mut transitions, runs) = (Instant::now(), 0, 5_000);
    for _ in 0..runs {
        transitions += play(&chain, json!({"n": 1}), one_by_one);
    }
    let took = begin.elapsed().as_secs_f64();
    println!("chains of 3: {:.0} runs/s, {:.0} transitions/s", f64::from(runs) / took, transitions as f64 / took);

    let items = 10_000;
    let wide = plan(json!({"m": {"map": {"over": "input.list", "do": {"skill": "x", "input": {"i": "${item}"}}}}}));
    let input = json!({"list": (0..items).collect::<Vec<_>>()});
    for (how, answer) in [("one by one", one_by_one as fn(Vec<Part>) -> Vec<Event>), ("in folds of 100", folded)] {
        let begin = Instant::now();
        let transitions = play(&wide, input.clone(), answer);
        let took = begin.elapsed().as_secs_f64();
        println!("map of {items} {how}: {:.0} items/s in {transitions} transitions", f64::from(items) / took);
    }
}
