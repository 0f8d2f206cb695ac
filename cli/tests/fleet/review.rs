//! `nova review`: findings, counts, SARIF, exit codes.

use serde_json::Value;

use crate::repo::Repo;
use crate::support::{Ended, Home};

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn five_languages() -> Repo {
    let repo = Repo::new();
    repo.write("src/a.rs", "pub fn f() -> u8 {\n    g().unwrap()\n}\n");
    repo.write("b.py", "def f():\n    try:\n        g()\n    except:\n        pass\n");
    repo.write("web/c.ts", "export function f() { debugger; }\n");
    repo.write("d.js", "function f() { console.log(1); }\n");
    repo.write("e.go", "package e\n\nfunc f() { panic(1) }\n");
    repo.write("tool", "#!/usr/bin/env python3\neval(input())\n");
    repo.write("README.md", "# TODO\n");
    repo.add();
    repo.write("untracked.rs", "fn f() { x.unwrap() }\n");
    repo
}

#[tokio::test]
async fn every_language_is_reviewed_and_every_task_has_one_outcome() {
    let (home, repo) = (Home::new(), five_languages());
    let _dev = home.reviewers().await;
    let ended = home.run(&["review", repo.path(), "--json", "--sarif", "out/r.sarif"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lines = lines(&ended);
    let places: Vec<(&str, &str)> = of_type(&lines, "finding")
        .iter()
        .map(|found| (found["path"].as_str().unwrap(), found["rule"].as_str().unwrap()))
        .collect();
    for expect in [
        ("src/a.rs", "rust/unwrap"),
        ("b.py", "python/bare-except"),
        ("web/c.ts", "javascript/debugger"),
        ("d.js", "javascript/console"),
        ("e.go", "go/panic"),
        ("tool", "python/eval"),
    ] {
        assert!(places.contains(&expect), "no {expect:?} in {places:?}");
    }
    let summary = lines.last().unwrap();
    assert_eq!((&summary["tasks"], &summary["attempts"]), (&6.into(), &6.into()), "{summary}");
    assert_eq!(summary["exactly_one_outcome_each"], true);
    assert_eq!((&summary["redelivered"], &summary["fenced"]), (&0.into(), &0.into()));
    assert_eq!(summary["skipped"], serde_json::json!({"unsupported_language": 1}));
    check_sarif(&std::fs::read(home.dir.path().join("out/r.sarif")).unwrap(), places.len());
    // Its tasks can be found by their run, and the run itself like any other.
    let run = summary["run"].as_str().unwrap();
    let listed = home.run(&["task", "ls", "--json"]).await;
    assert!(listed.stdout.contains(run), "{}", listed.stdout);
    let listed = home.run(&["run", "ls", "--workflow", "review", "--status", "completed", "--json"]).await;
    assert!(listed.stdout.contains(run), "{} {}", listed.stdout, listed.stderr);
    let verified = home.run(&["run", "verify", run]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
}

fn check_sarif(bytes: &[u8], findings: usize) {
    let log: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), findings);
    assert!(rules.len() > 30, "all rules in force are listed, not only those that found something");
    for result in results {
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let region = &result["locations"][0]["physicalLocation"]["region"];
        let number = |key: &str| region[key].as_u64().unwrap();
        assert!((number("startLine"), number("startColumn")) < (number("endLine"), number("endColumn")), "{region}");
        assert!(result["partialFingerprints"]["novaFingerprint/v1"].is_string());
    }
}

#[tokio::test]
async fn the_exit_code_follows_fail_on_and_pipes_get_plain_text() {
    let (home, repo) = (Home::new(), five_languages());
    let _dev = home.reviewers().await;
    for (fail_on, code) in [("error", 0), ("warning", 1), ("never", 0)] {
        let ended = home.run(&["review", repo.path(), "--fail-on", fail_on]).await;
        assert_eq!(ended.code, Some(code), "{fail_on}: {}", ended.stderr);
        assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'));
        assert!(ended.stdout.contains("src/a.rs:2:5"), "{}", ended.stdout);
        assert!(ended.stdout.contains("exactly one for each of the 6 tasks"), "{}", ended.stdout);
    }
    // A folder of the repository is reviewed alone, under the same names.
    let part = home.run(&["review", repo.at("src").to_str().unwrap()]).await;
    assert!(part.stdout.contains("src/a.rs:2:5") && part.stdout.contains("1 in 1 attempts"), "{}", part.stdout);
}

#[tokio::test]
async fn rules_of_ones_own_are_applied_and_wrong_ones_are_told() {
    let (home, repo) = (Home::new(), five_languages());
    let _dev = home.reviewers().await;
    let rules = repo.at("rules");
    std::fs::create_dir(&rules).unwrap();
    let rule = "id: mine/g\nlanguage: Rust\nseverity: error\nmessage: Never call g\nrule: { pattern: g() }\n";
    std::fs::write(rules.join("g.yml"), rule).unwrap();
    let args = ["review", repo.path(), "--rules", rules.to_str().unwrap()];
    let ended = home.run(&args).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("src/a.rs:2:5  Never call g [mine/g]"), "{}", ended.stdout);
    std::fs::write(rules.join("g.yml"), "id: [").unwrap();
    let ended = home.run(&args).await;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stdout.contains("NOT REVIEWED 6") && ended.stdout.contains("bad_rules"), "{}", ended.stdout);
    assert!(ended.stdout.contains("exactly one for each of the 6 tasks"), "{}", ended.stdout);
}

#[tokio::test]
async fn another_urgency_leaves_the_workflow_of_others_alone() {
    let (home, repo) = (Home::new(), five_languages());
    let _dev = home.reviewers().await;
    for priority in ["normal", "low", "normal"] {
        let ended = home.run(&["review", repo.path(), "--priority", priority]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains("exactly one for each of the 6 tasks"), "{}", ended.stdout);
    }
    let listed = home.run(&["workflow", "ls", "--json"]).await;
    let names: Vec<Value> = lines(&listed).iter().map(|line| line["workflow"].clone()).collect();
    assert_eq!(names, ["review", "review-low"], "{} {}", listed.stdout, listed.stderr);
}

#[tokio::test]
async fn without_workers_it_says_so_and_gives_up_in_time() {
    let (home, repo) = (Home::new(), five_languages());
    let _dev = home.dev(&["--workers", "code-review=0,echo=1,shell=0,http=0"]).await;
    let ended = home.run(&["review", repo.path(), "--timeout", "1s"]).await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no worker offers code-review") && ended.stderr.contains("stalled"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn without_a_fleet_it_says_how_to_start_one() {
    let (home, repo) = (Home::new(), five_languages());
    let ended = home.run(&["--server", "nats://127.0.0.1:9", "review", repo.path()]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("nova dev"), "{}", ended.stderr);
}
