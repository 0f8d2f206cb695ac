//! Coordinators that are killed at the worst moments: another one finishes, and nothing is decided twice.

use std::process::{Command, Stdio};

use nova_testkit::Process;
use nova_types::OutcomeKind;
use serde_json::json;

use super::support::{chain, echo_worker, ended, history, put, start, until};
use crate::support::{DEADLINE, Fleet};

pub fn program(url: &str, failpoint: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nova-coordinator"));
    command.env("NATS_URL", url).env("NOVA_FAILPOINT", failpoint).args(["--set", "serve.listen=127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Lets a coordinator die at `failpoint`, then another one go on.
async fn check(failpoint: &str) {
    let mut fleet = Fleet::real().await;
    let worker = echo_worker(&fleet).await;
    put(&fleet, chain()).await;
    put(
        &fleet,
        json!({"workflow": "wide", "runs": 2, "steps": {
            "each": {"map": {"over": "input", "do": {"skill": "echo", "input": "${item}"}}},
            "nap": {"wait": {"for": "200ms"}},
            "sum": {"after": ["nap"], "task": {"skill": "echo", "input": "${size(steps.each.result)}"}}
        }, "result": "${steps.sum.result}"}),
    )
    .await;
    let mut child = Process::spawn("nova-coordinator", program(&fleet.server().url(), failpoint));
    start(&fleet, "cli.chain", json!({"workflow": "chain", "input": 1})).await;
    for n in 0..3 {
        start(&fleet, &format!("cli.wide{n}"), json!({"workflow": "wide", "input": [1, 2, 3, 4, 5, 6, 7]})).await;
    }
    let died = child.wait_exit(DEADLINE).await;
    assert!(!died.success(), "{failpoint}: it was never reached");
    fleet.start("c2").await;
    let (outcome, result) = ended(&fleet, "cli.chain").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"b": {"a": 1}})), "{failpoint}");
    history(&fleet, "cli-chain").await;
    for n in 0..3 {
        let (outcome, result) = ended(&fleet, &format!("cli.wide{n}")).await;
        assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!(7)), "{failpoint}");
        history(&fleet, &format!("cli-wide{n}")).await;
    }
    worker.abort();
    fleet.stop().await;
}

macro_rules! killed {
    ($($name:ident $failpoint:literal)*) => {
        $(#[tokio::test]
        async fn $name() {
            check($failpoint).await;
        })*
    };
}

killed! {
    killed_after_its_first_append "run-appended=kill@1"
    killed_after_a_later_append "run-appended=kill@6"
    killed_between_effects "run-effect=kill@3"
    killed_amid_a_map "run-effect=kill@11"
    killed_when_all_is_carried_out "run-carried-out=kill@4"
    killed_before_the_ack "run-before-ack=kill@5"
    killed_behind_an_outcome "run-outcome=kill@1"
    killed_when_room_is_taken "run-claimed=kill@2"
    killed_when_room_is_handed_on "run-admitted=kill@1"
}

/// Freezes a coordinator at `failpoint` until another one has finished, then lets it go on.
async fn check_frozen(failpoint: &str) {
    let mut fleet = Fleet::real().await;
    let worker = echo_worker(&fleet).await;
    put(&fleet, chain()).await;
    let mut child = Process::spawn("nova-coordinator", program(&fleet.server().url(), failpoint));
    start(&fleet, "cli.first", json!({"workflow": "chain", "input": 1})).await;
    let before = until(&fleet, "cli-first", "begun", |_| true).await;
    fleet.start("c2").await;
    let (outcome, result) = ended(&fleet, "cli.first").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"b": {"a": 1}})), "{failpoint}");
    child.cont();
    // It works as ever, on the same runs and on new ones.
    for n in 0..20 {
        start(&fleet, &format!("cli.n{n}"), json!({"workflow": "chain", "input": n})).await;
    }
    for n in 0..20 {
        ended(&fleet, &format!("cli.n{n}")).await;
        history(&fleet, &format!("cli-n{n}")).await;
    }
    let transitions = history(&fleet, "cli-first").await;
    assert!(transitions.len() as u64 > before.n);
    worker.abort();
    fleet.stop().await;
    child.term();
    assert!(child.wait_exit(DEADLINE).await.success(), "{failpoint}");
}

#[tokio::test]
async fn frozen_before_it_carried_anything_out() {
    check_frozen("run-appended=stop@1").await;
}

#[tokio::test]
async fn frozen_before_its_ack() {
    check_frozen("run-before-ack=stop@2").await;
}
