//! Restart, verify and rehearsal.

use std::collections::BTreeMap;

use nova_engine::run::{Rehearsed, Unverified, rehearse, restart, verify};
use nova_types::StepId;
use nova_workflow::{Decision, Event, Kept, Restart, Started};
use serde_json::{Value, json};

use crate::play::{Play, check, id, plan, short};

fn request(from: &[&str]) -> Restart {
    let run = nova_types::RunId::new("r1").expect("a run");
    Restart { run, from: from.iter().map(|step| id(step)).collect(), same_input: false }
}

/// What is kept, in short: `a=` completed, `a~` skipped, `a.2` two items.
fn told(kept: &BTreeMap<StepId, Kept>) -> String {
    let one = |(step, kept): (&StepId, &Kept)| match kept {
        Kept::Completed(_) => format!("{step}="),
        Kept::Skipped => format!("{step}~"),
        Kept::Items { done, .. } => format!("{step}.{}", done.iter().map(|segment| segment.items.len()).sum::<usize>()),
    };
    kept.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn again(old: &Play, from: &[&str]) -> (Play, String) {
    let kept = restart(&old.run, &old.plan, &request(from)).expect("known steps");
    let told = told(&kept);
    let mut play = Play::with(crate::play::plan(&serde_json::to_value(old.plan.workflow()).expect("it writes")));
    let started = Started { kept, ..play.started() };
    let begun = short(&play.tell(vec![Event::Started(Box::new(started))]).expect("it moves").decisions.clone());
    (play, format!("{told}: {begun}"))
}

fn chain() -> Value {
    let task = |after: &[&str]| json!({"after": after, "task": {"skill": "x"}});
    json!({"steps": {"a": task(&[]), "b": task(&["a"]), "c": task(&["b"]), "s": {"when": "false", "task": {"skill": "x"}}}, "on_failure": "leave"})
}

#[test]
fn what_completed_is_kept_and_what_failed_is_done_again() {
    let old = check(
        chain(),
        &[("start", "start a; skip s; running"), ("a=1", "done a; start b"), ("b!bad", "fail b bad; end failed")],
    );
    let (mut new, begun) = again(&old, &[]);
    assert_eq!(begun, "a= s~: start b; running");
    assert_eq!(new.line("b=1"), "done b; start c");
    assert_eq!(new.line("c=1"), "done c; end completed");
    new.prove();
}

#[test]
fn a_named_step_and_all_behind_it_are_done_again() {
    let old = check(
        chain(),
        &[
            ("start", "start a; skip s; running"),
            ("a=1", "done a; start b"),
            ("b=1", "done b; start c"),
            ("c=1", "done c; end completed"),
        ],
    );
    assert_eq!(again(&old, &["b"]).1, "a= s~: start b; running");
    assert_eq!(again(&old, &["a"]).1, "s~: start a; running");
    assert_eq!(again(&old, &["s"]).1, "a= b= c=: skip s; end completed");
    assert_eq!(again(&old, &[]).1, "a= b= c= s~: end completed");
    let refused = restart(&old.run, &old.plan, &request(&["zz"])).expect_err("an unknown step");
    assert_eq!(refused.code.as_str(), "bad_input");
}

#[test]
fn a_map_does_only_the_items_again_that_did_not_complete() {
    let steps = json!({"steps": {"m": {"map": {"over": "[0, 1, 2, 3]", "do": {"skill": "x"}}}}, "on_failure": "leave"});
    let old = check(
        steps,
        &[
            ("start", "start m 0..4; running"),
            ("m.1=1", ""),
            ("m.2!bad", "fail m bad; cancel m.0; cancel m.3; undoing"),
            ("m.0~, m.3~", "end failed"),
        ],
    );
    let (mut new, begun) = again(&old, &[]);
    assert_eq!(begun, "m.1: start m [0, 2, 3]; running");
    assert_eq!(new.line("m.0=0, m.3=3, m.2=2"), "done m; end completed");
    assert_eq!(new.end().1, json!({"m": [0, 1, 2, 3]}));
    new.prove();
    assert_eq!(again(&old, &["m"]).1, ": start m 0..4; running");
}

#[test]
fn what_was_undone_is_not_kept() {
    let steps = json!({
        "a": {"task": {"skill": "x"}, "undo": {"skill": "u"}}, "b": {"task": {"skill": "x"}}, "c": {"after": ["a", "b"], "task": {"skill": "x"}},
    });
    let old = check(
        steps,
        &[
            ("start", "start a; start b; running"),
            ("a=1, b=1", "done a; done b; start c"),
            ("c!bad", "fail c bad; start undo a; undoing"),
            ("undo a=1", "end failed"),
        ],
    );
    let (mut new, begun) = again(&old, &[]);
    assert_eq!(begun, "b=: start a; running");
    new.line("a=1");
    assert_eq!(new.line("c!bad"), "fail c bad; start undo a; undoing");
}

#[test]
fn what_an_earlier_run_did_is_not_undone_by_a_later_one() {
    let steps =
        json!({"a": {"task": {"skill": "x"}, "undo": {"skill": "u"}}, "c": {"after": ["a"], "task": {"skill": "x"}}});
    let old =
        check(steps, &[("start", "start a; running"), ("a=1", "done a; start c"), ("c=1", "done c; end completed")]);
    let (mut new, begun) = again(&old, &["c"]);
    assert_eq!(begun, "a=: start c; running");
    assert_eq!(new.line("c!bad"), "fail c bad; end failed");
}

#[test]
fn joins_and_choices_come_to_the_same_from_what_is_kept() {
    let task = json!({"task": {"skill": "x"}});
    let steps = json!({
        "a": task, "w": {"choice": {"cases": [{"when": "steps.a.result == 1", "then": ["b"]}], "otherwise": ["c"]}}, "b": task, "c": task,
        "j": {"join": {"of": ["b", "c"]}}, "d": {"after": ["j"], "task": {"skill": "x"}},
    });
    let old = check(
        steps,
        &[
            ("start", "start a; running"),
            ("a=1", "done a; done w; start b; skip c"),
            ("b=1", "done b; done j; start d"),
            ("d=1", "done d; end completed"),
        ],
    );
    assert_eq!(again(&old, &["d"]).1, "a= b= c~ w=: done j; start d; running");
    assert_eq!(again(&old, &["w"]).1, "a=: done w; start b; skip c; running");
}

#[test]
fn a_step_of_another_kind_is_not_kept() {
    let old = check(
        chain(),
        &[("start", "start a; skip s; running"), ("a=1", "done a; start b"), ("b=1", "done b; start c")],
    );
    let mut other = json!({"workflow": "test", "steps": chain()["steps"]});
    other["steps"]["b"] = json!({"after": ["a"], "wait": {"for": "1s"}});
    other["steps"].as_object_mut().expect("a map").remove("s");
    let kept = restart(&old.run, &plan(&other), &request(&[])).expect("known steps");
    assert_eq!(told(&kept), "a=");
}

#[test]
fn verify_names_the_first_difference() {
    let play = check(chain(), &[("start", "start a; skip s; running"), ("a=1", "done a; start b")]);
    let mut history = play.history.clone();
    history[1].decisions.push(Decision::Skip { step: id("c") });
    let Err(Unverified::Diverged(divergence)) = verify(&play.plan, &history, &play.data) else { panic!("it holds") };
    assert_eq!(
        (divergence.n, short(&divergence.expected), short(&divergence.found)),
        (2, "done a; start b; skip c".into(), "done a; start b".into())
    );
    history = play.history.clone();
    history[1].v = 2;
    assert!(matches!(verify(&play.plan, &history, &play.data), Err(Unverified::Stuck(_))));
    history.remove(0);
    assert!(matches!(verify(&play.plan, &history, &play.data), Err(Unverified::Stuck(_))));
}

#[test]
fn a_rehearsal_says_what_another_version_would_have_done() {
    let task = |after: &[&str], input: &str| json!({"after": after, "task": {"skill": "x", "input": input}});
    let old = check(
        json!({"a": task(&[], "1"), "b": task(&["a"], "${steps.a.result}"), "c": task(&["b"], "3"), "d": task(&["a"], "4"),
               "w": {"wait": {"signal": "go"}}}),
        &[
            ("start", "start a; wait w; running"),
            ("a=1", "done a; start b; start d"),
            ("signal go=1", "done w"),
            ("b=1, d=1", "done b; done d; start c"),
            ("c=1", "done c; end completed"),
        ],
    );
    let new = plan(&json!({"workflow": "test", "steps": {
        "a": task(&[], "1"), "b": task(&["a"], "${steps.a.result + 1}"), "d": {"after": ["a"], "when": "false", "task": {"skill": "x"}},
        "e": task(&["b"], "5"), "w": {"wait": {"signal": "go"}},
    }}));
    let found = rehearse(&old.plan, &new, &old.history, &old.data).expect("it plays");
    let comes_to: Vec<_> = found.steps.iter().map(|(step, one)| (step.as_str(), one.comes_to)).collect();
    assert_eq!(
        comes_to,
        [
            ("a", Rehearsed::Same),
            ("b", Rehearsed::DifferentInput),
            ("c", Rehearsed::NotStarted),
            ("d", Rehearsed::NotStarted),
            ("e", Rehearsed::NoRecord),
            ("w", Rehearsed::Same),
        ]
    );
    assert!(found.was.is_some() && found.end.is_none());
    let same = rehearse(&old.plan, &old.plan, &old.history, &old.data).expect("it plays");
    assert!(same.steps.values().all(|one| one.comes_to == Rehearsed::Same), "{same:?}");
    assert_eq!(same.was, same.end);
}
