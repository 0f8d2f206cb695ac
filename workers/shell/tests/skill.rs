//! The skill as a task sees it: input in, result or verdict out.

use std::path::PathBuf;
use std::time::Duration;

use nova_shell::config::{Config, Enforcement};
use nova_shell::run::Engine;
use nova_shell::skill::Shell;
use nova_worker::Verdict;
use nova_worker::test::{Trial, run};
use serde_json::{Value, json};

fn shell(config: Config) -> Shell {
    let engine = Engine::new(Enforcement::Auto, None).expect("auto works everywhere");
    let engine = engine.with_supervisor(PathBuf::from(env!("CARGO_BIN_EXE_nova-shell")));
    Shell::new(config).expect("a good configuration").with_engine(engine)
}

fn open() -> Shell {
    shell(Config { allow_all: true, ..Config::default() })
}

/// The kind of verdict, its code and its details.
fn refused(result: Result<Value, Verdict>) -> (&'static str, String, Value) {
    match result.expect_err("it is refused") {
        Verdict::Retry { error, .. } => ("retry", error.code.to_string(), error.details),
        Verdict::Reject { error } => ("reject", error.code.to_string(), error.details),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_result_holds_everything_promised() {
    let input = json!({"argv": ["sh", "-c", "cat; echo $X; pwd"], "stdin": "hi\n", "env": {"X": "y"}, "cwd": "/"});
    let result = run(&open(), input).await.expect("it succeeds");
    assert_eq!((&result["exit"], &result["signal"]), (&json!(0), &Value::Null));
    assert_eq!((&result["stdout"], &result["stdout_encoding"]), (&json!("hi\ny\n/\n"), &json!("utf8")));
    for key in ["wall_ms", "cpu_ms", "max_rss_bytes", "processes", "stdout_bytes", "stderr_bytes"] {
        assert!(result["usage"][key].is_u64(), "{key}: {result}");
    }
    let limits = [("wall_secs", 60.0), ("cpu_secs", 60.0), ("memory_bytes", 536_870_912.0), ("processes", 64.0)];
    for (key, limit) in limits.into_iter().chain([("output_bytes", 1_048_576.0)]) {
        assert_eq!(result["limits"][key]["limit"].as_f64(), Some(limit), "{key}: {result}");
        assert!(result["limits"][key]["enforced_by"].is_string(), "{key}: {result}");
    }
}

#[tokio::test]
async fn bytes_go_in_and_out_as_base64() {
    let input = json!({"argv": ["cat"], "stdin": "/wD+", "stdin_encoding": "base64"});
    let result = run(&open(), input).await.expect("it succeeds");
    assert_eq!((&result["stdout"], &result["stdout_encoding"]), (&json!("/wD+"), &json!("base64")));
}

#[tokio::test]
async fn a_failed_command_is_tried_again_and_a_breach_is_not() {
    let (kind, code, details) = refused(run(&open(), json!({"argv": ["sh", "-c", "echo why >&2; exit 3"]})).await);
    assert_eq!((kind, code.as_str()), ("retry", "exit"));
    assert_eq!((&details["exit"], &details["stderr"]), (&json!(3), &json!("why\n")));
    let (kind, code, _) = refused(run(&open(), json!({"argv": ["sh", "-c", "kill -9 $$"]})).await);
    assert_eq!((kind, code.as_str()), ("retry", "signal"));
    let slow = json!({"argv": ["sh", "-c", "echo begun; sleep 1000"], "limits": {"wall_secs": 0.3}});
    let (kind, code, details) = refused(run(&open(), slow).await);
    assert_eq!((kind, code.as_str(), &details["stdout"]), ("reject", "limit_wall", &json!("begun\n")));
    let loud = json!({"argv": ["yes"], "limits": {"output_bytes": 1000}});
    let (kind, code, details) = refused(run(&open(), loud).await);
    assert_eq!((kind, code.as_str(), &details["stdout_truncated"]), ("reject", "limit_output", &json!(true)));
}

#[tokio::test]
async fn what_cannot_be_run_is_rejected() {
    let code = |config: Config, input: Value| async move {
        let (kind, code, _) = refused(run(&shell(config), input).await);
        assert_eq!(kind, "reject");
        code
    };
    let all = || Config { allow_all: true, ..Config::default() };
    assert_eq!(code(Config::default(), json!({"argv": ["true"]})).await, "not_allowed");
    assert_eq!(code(all(), json!({"argv": ["no-such-command"]})).await, "not_found");
    for input in [json!({"argv": []}), json!({"argv": [""]}), json!({"argv": ["true"], "limits": {"wall_secs": 0}})] {
        assert_eq!(code(all(), input).await, "bad_input");
    }
    for input in [json!(null), json!([]), json!({}), json!({"argv": "true"}), json!({"argv": ["true"], "typo": 1})] {
        code(all(), input).await;
    }
}

#[tokio::test]
async fn a_cancelled_attempt_stops_its_command() {
    let trial = Trial::default();
    let cancel = trial.cancel.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let begun = folder.path().join("begun");
    let script = format!("trap 'exit 0' TERM; touch {}; while :; do sleep 0.01; done", begun.display());
    let skill = open();
    let run = trial.run(&skill, json!({"argv": ["sh", "-c", script]}));
    let stop = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(run, stop) };
    let (result, ()) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("it stops");
    let (kind, code, _) = refused(result);
    assert_eq!((kind, code.as_str()), ("retry", "interrupted"));
}
