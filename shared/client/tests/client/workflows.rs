//! Definitions: kept by hash, moved by name.

use nova_client::{PutError, QueryError};
use nova_types::WorkflowName;
use nova_workflow::Plan;

use crate::support::{Fleet, on_both};

fn name(text: &str) -> WorkflowName {
    text.parse().expect("a name")
}

/// A workflow of one step whose input is `n`.
fn plan(workflow: &str, skill: &str, n: u32) -> Plan {
    let text = format!("workflow: {workflow}\nsteps:\n  a:\n    task: {{ skill: {skill}, input: {n} }}\n");
    let (workflow, _) = nova_workflow::parse(&text).expect("well formed");
    Plan::new(workflow).expect("sound")
}

async fn putting_again_changes_nothing_and_older_versions_stay(fleet: Fleet) {
    let client = &fleet.client;
    let (one, two) = (plan("w", "echo", 1), plan("w", "echo", 2));
    let first = client.put_workflow(&one).await.expect("stored");
    assert_eq!((first.is_changed(), first.before), (true, None));
    assert!(!client.put_workflow(&one).await.expect("stored").is_changed());
    let second = client.put_workflow(&two).await.expect("stored");
    assert_eq!(second.before.as_deref(), Some(one.hash()));
    let entry = client.workflow_versions(&name("w")).await.expect("it is there");
    let versions: Vec<&str> = entry.versions.iter().map(|version| version.hash.as_str()).collect();
    assert_eq!((entry.present.hash.as_str(), versions), (two.hash(), vec![one.hash(), two.hash()]));
    assert_eq!(client.workflow(&name("w"), None).await.expect("the present one").hash(), two.hash());
    assert_eq!(client.workflow(&name("w"), Some(one.hash())).await.expect("by hash").hash(), one.hash());
    assert_eq!(
        client.workflow(&name("w"), Some(&one.hash()[..12])).await.expect("by its beginning").hash(),
        one.hash()
    );
    let ambiguous = client.workflow(&name("w"), Some("")).await.expect_err("both begin with nothing");
    assert!(matches!(ambiguous, QueryError::AmbiguousVersion { .. }), "{ambiguous}");
}

async fn puts_at_the_same_time_lose_no_version(fleet: Fleet) {
    let plans: Vec<Plan> = (0..12).map(|n| plan("w", "echo", n)).collect();
    let puts = plans.iter().map(|plan| fleet.client.put_workflow(plan));
    for put in futures_util::future::join_all(puts).await {
        put.expect("stored");
    }
    let entry = fleet.client.workflow_versions(&name("w")).await.expect("it is there");
    assert_eq!(entry.versions.len(), plans.len());
    assert_eq!(entry.versions.last().map(|last| &last.hash), Some(&entry.present.hash));
    for plan in &plans {
        fleet.client.workflow(&name("w"), Some(plan.hash())).await.expect("each is kept");
    }
}

async fn a_workflow_of_an_unknown_skill_is_not_stored(fleet: Fleet) {
    let refused = fleet.client.put_workflow(&plan("w", "ehco", 1)).await.expect_err("nobody has that skill");
    let PutError::Unknown { problems, .. } = &refused else { panic!("{refused}") };
    assert_eq!(problems[0].path, "/steps/a/task/skill");
    assert!(problems[0].message.contains("did you mean `echo`"), "{}", problems[0].message);
    assert_eq!(fleet.client.workflows().await.expect("read"), []);
}

async fn a_child_must_be_there_first_but_may_be_itself(fleet: Fleet) {
    let text = "workflow: w\nsteps:\n  a: { run: { workflow: w } }\n  b: { run: { workflow: child } }\n";
    let (workflow, _) = nova_workflow::parse(text).expect("well formed");
    let parent = Plan::new(workflow).expect("sound");
    let refused = fleet.client.put_workflow(&parent).await.expect_err("the child is not there");
    let PutError::Unknown { problems, .. } = refused else { panic!("{refused}") };
    let places: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(places, ["/steps/b/run/workflow"]);
    fleet.client.put_workflow(&plan("child", "echo", 1)).await.expect("stored");
    fleet.client.put_workflow(&parent).await.expect("stored");
    let names: Vec<String> =
        fleet.client.workflows().await.expect("read").iter().map(|entry| entry.workflow.to_string()).collect();
    assert_eq!(names, ["child", "w"]);
}

async fn what_is_not_there_is_said_to_be_unknown(fleet: Fleet) {
    let unknown = fleet.client.workflow(&name("w"), None).await.expect_err("nothing is there");
    assert!(unknown.is_not_found() && unknown.code() == "unknown_workflow", "{unknown}");
    fleet.client.put_workflow(&plan("w", "echo", 1)).await.expect("stored");
    let unknown = fleet.client.workflow(&name("w"), Some(&"0".repeat(64))).await.expect_err("no such version");
    assert!(unknown.is_not_found(), "{unknown}");
    let other = plan("v", "echo", 1);
    fleet.client.put_workflow(&other).await.expect("stored");
    let unknown = fleet.client.workflow(&name("w"), Some(other.hash())).await.expect_err("of another workflow");
    assert!(unknown.is_not_found(), "{unknown}");
}

on_both!(
    putting_again_changes_nothing_and_older_versions_stay,
    puts_at_the_same_time_lose_no_version,
    a_workflow_of_an_unknown_skill_is_not_stored,
    a_child_must_be_there_first_but_may_be_itself,
    what_is_not_there_is_said_to_be_unknown,
);
