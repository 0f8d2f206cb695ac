//! Random graphs of all kinds of steps in random worlds.

use nova_engine::run::{Rehearsed, rehearse, restart};
use nova_workflow::{Restart, Started};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::play::Play;
use crate::world::{Dice, Rough, World};

/// One step of a random workflow, before it knows its place.
#[derive(Debug, Clone)]
struct Sketch {
    kind: u8,
    /// Bits: which of the steps before it it needs.
    after: u16,
    /// Bits: small traits.
    traits: u8,
    number: u8,
}

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (0_u8..12, any::<u16>(), any::<u8>(), 0_u8..5).prop_map(|(kind, after, traits, number)| Sketch {
        kind,
        after,
        traits,
        number,
    });
    prop::collection::vec(one, 1..10)
}

fn name(step: usize) -> String {
    format!("s{step}")
}

/// The workflow that sketches stand for: sound whatever they are.
fn draw(sketches: &[Sketch], parallel: Option<u8>, leave: bool) -> Value {
    let mut steps = Map::new();
    let mut picked: Vec<usize> = Vec::new();
    for (at, sketch) in sketches.iter().enumerate() {
        // At most three, so that graphs are deep as well as wide.
        let mut after: Vec<_> = (0..at).filter(|need| sketch.after >> need & 1 == 1).take(3).map(name).collect();
        let mut step = match sketch.kind {
            0 | 1 if !after.is_empty() => join(sketch, std::mem::take(&mut after)),
            2 => map(sketch),
            3 => vote(sketch),
            4 => choice(sketch, at, sketches.len(), &mut picked),
            5 => json!({"loop": {"do": {"skill": "x", "input": "${last}"}, "until": "result == 3", "max": 4}}),
            6 => json!({"loop": {"do": {"skill": "x"}, "until": "result > 1", "max": 3, "pause": "1s"}}),
            7 => wait(sketch),
            8 => json!({"run": {"workflow": "child", "input": "${run.id}"}}),
            _ => json!({"task": {"skill": "x"}}),
        };
        let reads = after.first().filter(|_| sketch.traits & 1 == 1);
        if let Some(need) = reads {
            match step.get_mut("task") {
                Some(task) => task["input"] = json!(format!("${{steps.{need}.result}}")),
                None => step["when"] = json!(format!("steps.{need}.status != 'skipped'")),
            }
        }
        if sketch.traits & 0b1000 != 0 && sketch.number == 0 {
            step["when"] = json!("input.yes");
        }
        if sketch.traits & 0b110 == 0b110 {
            step["on_failure"] = json!("continue");
        }
        if sketch.traits & 0b10000 != 0 && !["join", "choice", "wait"].iter().any(|kind| step.get(kind).is_some()) {
            step["undo"] = json!({"skill": "u", "input": "${result}"});
        }
        step["after"] = json!(after);
        steps.insert(name(at), step);
    }
    let mut workflow = json!({"steps": steps, "deadline": "1h"});
    if let Some(parallel) = parallel {
        workflow["parallel"] = json!(parallel);
    }
    if leave {
        workflow["on_failure"] = json!("leave");
    }
    workflow
}

fn join(sketch: &Sketch, of: Vec<String>) -> Value {
    let need = match sketch.number {
        0 | 1 => json!("all"),
        2 => json!("any"),
        _ => json!(of.len().min(2)),
    };
    let failures = if sketch.traits & 0b100000 == 0 { "fail" } else { "collect" };
    let rest = if sketch.traits & 0b1000000 == 0 { "leave" } else { "cancel" };
    json!({"join": {"of": of, "need": need, "failures": failures, "rest": rest}})
}

fn map(sketch: &Sketch) -> Value {
    let over = format!("{:?}", (0..u32::from(sketch.number) * 3).collect::<Vec<_>>());
    let mut map = json!({"over": over, "do": {"skill": "x", "input": {"i": "${item}"}}});
    map["tolerate"] = [json!(0), json!(1), json!("50%"), json!("all")][usize::from(sketch.traits >> 6)].clone();
    if sketch.traits & 0b100000 != 0 {
        map["parallel"] = json!(2);
        map["do"]["input"] = json!("${12 / (item - 1)}");
    }
    if sketch.traits & 0b100 != 0 {
        map["bundle"] = json!(2 + sketch.number % 3);
    }
    json!({ "map": map })
}

fn vote(sketch: &Sketch) -> Value {
    let undecided = ["fail", "continue", "judge"][usize::from(sketch.number % 3)];
    let rule = ["majority", "plurality", "unanimous"][usize::from(sketch.traits >> 5) % 3];
    let mut vote = json!({"do": {"skill": "x"}, "rule": rule, "undecided": undecided});
    if undecided == "judge" {
        vote["judge"] = json!({"skill": "j", "input": ["${ballots}", "${tally}"]});
    }
    json!({ "vote": vote })
}

/// A choice of later steps that no other choice lists.
fn choice(sketch: &Sketch, at: usize, count: usize, picked: &mut Vec<usize>) -> Value {
    let free: Vec<_> = (at + 1..count).filter(|step| !picked.contains(step)).take(2).collect();
    picked.extend(&free);
    let names: Vec<_> = free.iter().map(|step| name(*step)).collect();
    match names.as_slice() {
        [] => json!({"task": {"skill": "x"}}),
        [only] => json!({"choice": {"cases": [{"when": "input.yes", "then": [only]}]}}),
        [one, other, ..] => {
            let when = if sketch.traits & 0b100000 == 0 { "input.yes" } else { "input.n > 1" };
            json!({"choice": {"cases": [{"when": when, "then": [one]}], "otherwise": [other]}})
        }
    }
}

fn wait(sketch: &Sketch) -> Value {
    match sketch.number {
        0 => json!({"wait": {"for": "1m"}}),
        1 => json!({"wait": {"until": "1000500"}}),
        2 => json!({"wait": {"signal": "go"}}),
        3 => json!({"wait": {"signal": "go", "timeout": "1m"}}),
        _ => json!({"wait": {"approval": {"of": {"n": "${input.n}"}}, "timeout": "1m"}}),
    }
}

fn world(workflow: Value, seed: u64, rough: Rough) -> World {
    let mut play = Play::of(workflow);
    let mut dice = Dice::new(seed ^ 0x5555);
    play.input = json!({"yes": dice.once_in(2), "n": dice.below(4)});
    World::new(play, seed, rough)
}

fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// Each part counted once, needs before starts, caps kept, undo backwards, the same on replay, recovery exact.
    #[test]
    fn any_graph_ends_in_any_world(
        sketches in sketches(), seed: u64, parallel in prop::option::of(1_u8..4), leave: bool, fails in 2_usize..30, cancels: bool,
    ) {
        let leave = leave && seed % 4 == 0;
        let cancels = if cancels { 40 } else { Rough::CALM.cancels };
        let rough = Rough { fails, repeats: 3, cancels, pauses: 12, is_large: seed % 3 == 0, ..Rough::CALM };
        let mut workflow = draw(&sketches, parallel, leave);
        if leave {
            // Then nothing is undone, whatever has an undo.
            for (_, step) in workflow["steps"].as_object_mut().expect("a map") {
                step.as_object_mut().expect("a map").remove("undo");
            }
        }
        let mut world = world(workflow, seed, rough);
        world.live();
        world.play.prove();
    }

    /// A rehearsal of the same version comes to the same, whatever happened; what is kept of a run is not done again.
    #[test]
    fn any_run_can_be_rehearsed_and_restarted(sketches in sketches(), seed: u64, fails in 2_usize..30, from: u16) {
        let rough = Rough { fails, repeats: 4, cancels: 60, pauses: 20, ..Rough::CALM };
        let workflow = draw(&sketches, None, false);
        let mut old = world(workflow.clone(), seed, rough);
        old.live();
        let (play, plan) = (&old.play, &old.play.plan);
        let same = rehearse(plan, plan, &play.history, &play.data).expect("it plays");
        prop_assert_eq!(&same.was, &same.end);
        prop_assert!(same.steps.values().all(|one| one.comes_to == Rehearsed::Same), "{:?}", same.steps);

        let from: Vec<_> = plan.order().iter().enumerate().filter(|(at, _)| from >> at & 3 == 3).map(|(_, id)| id.clone()).collect();
        let request = Restart { run: play.run.id().clone(), from, same_input: true };
        let kept = restart(&play.run, plan, &request).expect("known steps");
        prop_assert!(request.from.iter().all(|step| !kept.contains_key(step)));
        let mut new = world(workflow, seed, rough);
        new.play.input = play.input.clone();
        let started = Started { kept, ..new.play.started() };
        new.live_from(started);
        new.play.prove();
    }

    /// Where nothing fails and nobody interferes, a run ends well or says which step of its own failed it.
    #[test]
    fn a_calm_world_brings_every_run_to_its_end(sketches in sketches(), seed: u64) {
        let mut world = world(draw(&sketches, None, false), seed, Rough::CALM);
        world.live();
        let (end, _) = world.play.end();
        let code = end.failure.as_ref().map_or("none", |failure| failure.code.as_str());
        let own = ["none", "bad_expression", "join", "undecided", "exhausted", "timeout", "expired"];
        prop_assert!(own.contains(&code), "{end:?}");
    }
}

/// A workflow with every kind of step, most of them undone when it fails.
fn everything() -> Value {
    let work = json!({"skill": "x"});
    let undo = json!({"skill": "u", "input": "${result}"});
    json!({
        "first": {"task": work, "undo": undo},
        "which": {"choice": {"cases": [{"when": "input.yes", "then": ["left"]}], "otherwise": ["right"]}, "after": ["first"]},
        "left": {"task": work, "undo": undo},
        "right": {"run": {"workflow": "child"}, "undo": undo},
        "each": {"after": ["first"], "map": {"over": "[1, 2, 3, 4, 5]", "do": work, "parallel": 2}, "undo": undo},
        "packed": {"after": ["first"], "map": {"over": "[1, 2, 3, 4, 5]", "do": work, "bundle": 2}, "undo": undo},
        "either": {"join": {"of": ["left", "right"], "need": "any"}},
        "ask": {"vote": {"do": work, "undecided": "judge", "judge": work}, "after": ["either"], "undo": undo},
        "again": {"loop": {"do": work, "until": "index == 2", "max": 5, "pause": "1s"}, "after": ["each"], "undo": undo},
        "yes": {"wait": {"approval": {"of": "${steps.again.result}"}}},
        "go": {"wait": {"signal": "go", "timeout": "1h"}},
        "end": {"join": {"of": ["ask", "yes", "go"], "failures": "collect"}},
        "last": {"after": ["end"], "task": work},
    })
}

#[test]
fn every_task_told_twice_and_failed_at_every_point_ends_right() {
    let mut points = 0;
    for at in 0.. {
        let rough = Rough { repeats: 1, fails_at: Some(at), ..Rough::CALM };
        let mut world = world(everything(), at as u64, rough);
        world.live();
        world.play.prove();
        if world.ends <= at {
            let (end, _) = world.play.end();
            assert_eq!(end.status, nova_types::RunStatus::Completed, "nothing failed: {end:?}");
            break;
        }
        points = at + 1;
    }
    assert!(points >= 14, "only {points} points to fail at");
}
