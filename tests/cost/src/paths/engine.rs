//! What a coordinator decides, without the broker.

use std::collections::VecDeque;
use std::hint::black_box;

use nova_engine::run::{Effect, Loaded, Memo, Run, step};
use nova_types::{OutcomeKind, RunId, UnixMillis};
use nova_workflow::{Datum, End, Event, Plan, Started};
use serde_json::json;

/// Plays runs of three steps to their ends.
pub fn chain(times: u64) {
    let workflow = json!({"workflow": "cost", "steps": {
        "a": {"task": {"skill": "x", "input": "${input.n}"}},
        "b": {"task": {"skill": "x", "input": {"n": "${steps.a.result.n + 1}"}}},
        "c": {"task": {"skill": "x", "input": {"n": "${steps.b.result.n + 1}"}}},
    }});
    let plan = Plan::new(serde_json::from_value(workflow).expect("a definition")).expect("a sound one");
    for _ in 0..times {
        play(&plan);
    }
}

fn play(plan: &Plan) {
    let (mut run, mut memo, data) = (Run::new(RunId::new("r1").expect("a run")), Memo::default(), Loaded::default());
    let started = Started::new("_.r1".parse().expect("an id"), plan, json!({"n": 1}).into());
    let mut pending = VecDeque::from([Event::Started(Box::new(started))]);
    while let Some(event) = pending.pop_front() {
        let moved = step(&run, plan, vec![event], UnixMillis(0), &data, &mut memo).expect("nothing is large");
        black_box(serde_json::to_vec(&moved.transition).expect("it writes"));
        run = moved.run;
        for effect in moved.effects {
            if let Effect::Task(order) = effect {
                pending.push_back(Event::Ended(vec![End {
                    part: order.part,
                    kind: OutcomeKind::Completed,
                    attempt: 1,
                    result: Datum::Inline(json!({"n": 1})),
                    error: None,
                }]));
            }
        }
    }
    assert!(run.end().is_some(), "the run ends");
}
