//! Runs of workflows as a user meets them: a fleet, files, and every order there is.

use serde_json::Value;

use crate::support::{Dev, Ended, Home, PATIENCE};

const ORDER: &str = "\
workflow: order
input: { id: { type: string } }
key: input.id
steps:
  charge:
    task: { skill: echo, input: { paid: '${input.id}' } }
    undo: { skill: echo, input: '${result}' }
  items:
    after: [charge]
    map: { over: '[1, 2, 3, 4, 5]', do: { skill: echo, input: '${item * 2}' } }
  ask:
    wait: { approval: { of: '${steps.items.result}', ask: Ship this? } }
  ship:
    after: [ask]
    task: { skill: echo, input: shipped }
  told:
    wait: { signal: told }
";

const FAILING: &str = "\
workflow: failing
steps:
  first:
    task: { skill: echo, input: 1 }
  second:
    after: [first]
    task: { skill: shell, input: { argv: ['false'] }, max_attempts: 1 }
";

/// A fleet with what these workflows need, and a home with their files.
struct Bed {
    home: Home,
    dev: Dev,
}

impl Bed {
    async fn start() -> Self {
        let home = Home::new();
        for (name, text) in [("order.yaml", ORDER), ("failing.yaml", FAILING)] {
            std::fs::write(home.dir.path().join(name), text).unwrap();
        }
        let dev = home.dev(&["--workers", "echo=1,shell=1,code-review=0,http=0,list-files=0,report=0"]).await;
        let bed = Self { home, dev };
        bed.ok(&["workflow", "put", "order.yaml", "failing.yaml"]).await;
        bed
    }

    async fn ends(&self, code: i32, args: &[&str]) -> Ended {
        let ended = self.home.run(args).await;
        assert_eq!(ended.code, Some(code), "{args:?}: {} {} {}", ended.stdout, ended.stderr, self.dev.log());
        ended
    }

    async fn ok(&self, args: &[&str]) -> Ended {
        self.ends(0, args).await
    }

    async fn json(&self, args: &[&str]) -> Value {
        let ended = self.ok(&[args, &["--json"]].concat()).await;
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }

    /// Shows a run until it stands as wanted.
    async fn until(&self, run: &str, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        nova_testkit::wait_until(what, PATIENCE, async || {
            let ended = self.home.run(&["run", "show", run, "--json"]).await;
            serde_json::from_str(&ended.stdout).ok().filter(&mut is_so)
        })
        .await
    }
}

#[tokio::test]
async fn a_run_waits_for_its_approval_and_its_signal_and_completes() {
    let bed = Bed::start().await;
    bed.ok(&["run", "start", "order", "--input", r#"{"id":"7"}"#, "--id", "one", "--label", "team=a"]).await;
    let shown = bed.until("one", "the approval", |run| run["approvals"]["ask"].is_object()).await;
    assert_eq!(shown["approvals"]["ask"]["of"], serde_json::json!([2, 4, 6, 8, 10]));
    let hash = shown["approvals"]["ask"]["hash"].as_str().unwrap().to_owned();
    // An answer without a person, or to something else, is none.
    let unasked = bed.ends(5, &["run", "approve", "one"]).await;
    assert!(unasked.stderr.contains("[2,4,6,8,10]") && unasked.stderr.contains(&hash), "{}", unasked.stderr);
    bed.ends(5, &["run", "approve", "one", "ask", "--hash", "0000000"]).await;
    bed.ends(5, &["run", "approve", "one", "told", "--yes"]).await;
    let approved = bed.ok(&["run", "approve", "one", "--hash", &hash[..12], "--note", "fine", "--by", "eve"]).await;
    assert!(approved.stderr.contains("step ask is approved"), "{}", approved.stderr);
    let why = bed.ok(&["why", "one"]).await;
    assert!(why.stdout.contains("step told waits for signal told"), "{}", why.stdout);
    bed.ok(&["run", "signal", "one", "told", "7"]).await;
    let ended = bed.ok(&["wait", "one"]).await;
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&result["ship"], &result["told"]), (&"shipped".into(), &7.into()));
    // Its record tells the story, holds, and can be found.
    let watched = bed.ok(&["run", "watch", "one"]).await;
    assert!(watched.stdout.contains("ask approved by eve: fine"), "{}", watched.stdout);
    assert_eq!(bed.json(&["run", "verify", "one"]).await["holds"], true);
    let listed = bed.json(&["run", "ls", "--key", "7", "--label", "team=a", "--status", "completed"]).await;
    assert_eq!(listed["run"], "one");
    let graph = bed.ok(&["run", "graph", "one"]).await;
    assert!(graph.stdout.contains("items   completed") && graph.stdout.contains("5/5"), "{}", graph.stdout);
    let step = bed.json(&["run", "show", "one", "--step", "items", "--limit", "2"]).await;
    assert_eq!((&step["tasks"][1]["input"], &step["tasks"][1]["result"]), (&4.into(), &4.into()));
    assert_eq!(step["tasks_in_all"], 5);
    bed.ends(5, &["run", "cancel", "one"]).await;
}

#[tokio::test]
async fn a_failed_run_is_restarted_with_a_version_that_was_rehearsed() {
    let bed = Bed::start().await;
    let failed = bed.ends(3, &["run", "start", "failing", "--id", "one", "--follow"]).await;
    assert!(failed.stderr.contains("second failed") && failed.stderr.contains("at step second"), "{}", failed.stderr);
    let shown = bed.until("one", "its end", |run| run["status"] == "failed").await;
    assert_eq!((&shown["failed"], &shown["end"]["step"]), (&"second".into(), &"second".into()));
    std::fs::write(
        bed.home.dir.path().join("fixed.yaml"),
        FAILING.replace("shell, input: { argv: ['false'] }", "echo"),
    )
    .unwrap();
    let rehearsed = bed.json(&["run", "rehearse", "one", "--file", "fixed.yaml"]).await;
    let steps = &rehearsed["rehearsal"]["steps"];
    assert_eq!(steps["first"]["comes_to"], "same", "{steps}");
    assert_ne!(steps["second"]["comes_to"], "same", "{steps}");
    bed.ends(2, &["run", "restart", "one", "--from", "nope"]).await;
    // The version it is pinned to fails again; the new one does only what is missing.
    bed.ends(3, &["run", "restart", "one", "--wait=30s"]).await;
    bed.ok(&["workflow", "put", "fixed.yaml"]).await;
    bed.ok(&["run", "restart", "one", "--version", "latest", "--id", "two", "--wait=30s"]).await;
    let shown = bed.until("two", "its end", |run| run["status"] == "completed").await;
    assert_eq!(shown["restart_of"], "one");
    assert_eq!((&shown["steps"]["first"]["kept"], &shown["steps"]["second"]["done"]), (&true.into(), &1.into()));
    let verified = bed.ok(&["run", "verify", "--all", "--json"]).await;
    assert!(verified.stdout.lines().count() == 3 && !verified.stdout.contains("false"), "{}", verified.stdout);
    let lost = bed.home.run(&["submit", "nova-run", r#"{"workflow":"nope"}"#, "--id", "bad", "--wait=30s"]).await;
    assert_eq!(lost.code, Some(3));
    assert!(bed.ends(4, &["run", "show", "bad"]).await.stderr.contains("unknown_workflow"));
}

#[tokio::test]
async fn a_filter_pauses_resumes_and_cancels_the_runs_it_finds() {
    let bed = Bed::start().await;
    for id in ["a", "b", "c"] {
        let input = format!(r#"{{"id":"{id}"}}"#);
        bed.ok(&["run", "start", "order", "--input", &input, "--id", id]).await;
        bed.until(id, "the approval", |run| run["approvals"]["ask"].is_object()).await;
    }
    let refused = bed.ends(5, &["run", "pause", "--workflow", "order"]).await;
    assert!(refused.stderr.contains("Pause 3 runs?"), "{}", refused.stderr);
    let paused = bed.ok(&["run", "pause", "--workflow", "order", "--yes"]).await;
    assert_eq!(paused.stdout.lines().count(), 3, "{}", paused.stderr);
    bed.ends(5, &["run", "pause", "a"]).await;
    bed.ok(&["run", "resume", "a"]).await;
    let left = bed.ok(&["run", "ls", "--status", "paused"]).await;
    assert_eq!(left.stdout.lines().count(), 2, "{}", left.stdout);
    bed.ok(&["run", "cancel", "--all", "--yes", "--wait=30s"]).await;
    let cancelled = bed.ok(&["run", "ls", "--status", "cancelled"]).await;
    assert_eq!(cancelled.stdout.lines().count(), 3, "{}", cancelled.stdout);
    let shown = bed.json(&["run", "show", "b"]).await;
    assert_eq!(shown["steps"]["charge"]["undone"], true, "{shown}");
}
