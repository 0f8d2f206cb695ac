//! Runs of workflows live within the permission templates: who puts, starts, signals and approves.

use nova_broker::Message;
use nova_client::StartRun;
use nova_e2e::{Fleet, PATIENCE};
use nova_types::{OutcomeKind, TaskId, WorkflowName};
use nova_wire::subject;
use nova_workflow::{Plan, Workflow};
use serde_json::json;

fn plan(workflow: serde_json::Value) -> Plan {
    let workflow: Workflow = serde_json::from_value(workflow).expect("a workflow");
    Plan::new(workflow).expect("a sound one")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submitter_runs_what_an_operator_put() {
    let mut fleet = Fleet::with_users().await;
    fleet.spawn_as("nova-echo", "w1", &[]);
    fleet.present("w1").await;
    fleet.spawn_as("nova-coordinator", "c1", &[]);
    fleet.coordinates().await;
    let (operator, submitter) = (fleet.login("boss").await, fleet.login("cli7").await);
    let (boss, client) = (operator.client("ops"), submitter.client("cli7"));

    // A cap, a large result, a timer, a child and a signal: every place that a run writes to.
    boss.put_workflow(&plan(json!({"workflow": "kid", "steps": {"a": {"task": {"skill": "echo", "input": 1}}}})))
        .await
        .expect("an operator puts");
    boss.put_workflow(&plan(json!({
        "workflow": "main", "runs": 1,
        "steps": {
            "s": {"wait": {"signal": "go"}},
            "w": {"wait": {"for": "200ms"}},
            "big": {"task": {"skill": "echo", "input": {"pad": "x".repeat(300_000)}}},
            "kid": {"after": ["s", "w"], "run": {"workflow": "kid"}}
        },
        "result": {"kid": "${steps.kid.result}", "s": "${steps.s.result}", "pad": "${steps.big.result.pad.size()}"}
    })))
    .await
    .expect("an operator puts");

    let id: TaskId = "cli7.one".parse().expect("an id");
    let main = WorkflowName::new("main").expect("a name");
    let start = StartRun::new(main, &json!(null)).expect("encodes").with_id(id.clone());
    client.start_run(start).await.expect("a submitter starts");
    client.signal(&id, "go", json!(7), None).await.expect("a submitter signals its own runs");
    let ended = client.wait_run(&id, PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Completed);
    let result: Option<serde_json::Value> = ended.result().expect("JSON");
    assert_eq!(result, Some(json!({"kid": {"a": 1}, "s": 7, "pad": 300_000})));

    // What is denied is denied by the server; nobody need trust the client.
    let other: TaskId = "ops.one".parse().expect("an id");
    for (verb, task) in [("approve", &id), ("reject", &id), ("signal", &other)] {
        submitter.publish_is_denied(Message::new(subject::order(verb, task), "{}")).await;
    }
    submitter.publish_is_denied(Message::new("$KV.nova-workflows.name.main", "{}")).await;
    submitter.publish_is_denied(Message::new("nova.run.0.cli7-one", "{}")).await;
    submitter.publish_is_denied(Message::new("nova.outcome.nova-run.cli7.two", "{}")).await;
    assert_eq!(fleet.violations(), [""; 0]);
    assert_eq!(operator.complaints(), [""; 0]);
}
