//! Cancels, and the deaths of worker and supervisor: nothing of the tree is ever left.

use std::process::{Command, Stdio};

use nova_shell::cgroup::{Group, Places, group_name};

use super::*;

/// Three sleepers: the command, a child, and a detached grandchild in a session of its own.
fn three_sleepers(mark: &str) -> String {
    format!("trap '' HUP; sleep {mark} & setsid sh -c 'setsid sleep {mark} & exit' ; exec sleep {mark}")
}

async fn cancelled_after(engine: &Engine, script: &str, mark: &str, grace: Duration) -> Report {
    let (spec, _) = admit(&settings(), request(&["sh", "-c", script])).expect("everything is allowed");
    let patience = Patience { grace, ..Patience::default() };
    let cancel = until("the command runs", || !marked(mark).is_empty());
    let run = engine.run(spec, roomy(), patience, cancel);
    tokio::time::timeout(HANG, run).await.expect("no hang").expect("a report")
}

#[tokio::test]
async fn a_cancelled_command_may_clean_up_in_its_grace() {
    for (level, engine) in levels() {
        let mark = mark();
        let script = format!("trap 'echo cleaned; exit 7' TERM; sleep {mark} & wait");
        let report = cancelled_after(&engine, &script, &mark, HANG).await;
        assert_eq!((report.exit, report.cancelled, report.breach), (Some(7), true, None), "{level}: {report:?}");
        assert_eq!(text(&report.stdout), "cleaned\n", "{level}");
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

#[tokio::test]
async fn a_command_that_ignores_the_cancel_is_killed_after_the_grace() {
    for (level, engine) in levels() {
        let mark = mark();
        let script = format!("trap '' TERM; setsid sleep {mark} & while :; do sleep 0.01; done");
        let report = cancelled_after(&engine, &script, &mark, Duration::from_millis(200)).await;
        assert_eq!((report.signal, report.cancelled, report.breach), (Some(9), true, None), "{level}: {report:?}");
        assert!(report.usage.wall_ms >= 200, "{level}: {:?}", report.usage);
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

#[tokio::test]
async fn a_dropped_attempt_leaves_nothing() {
    for (level, engine) in levels() {
        let mark = mark();
        let script = three_sleepers(&mark);
        tokio::select! {
            report = sh(&engine, &script, roomy()) => panic!("{level}: it ended: {report:?}"),
            () = until("three sleepers", || marked(&mark).len() == 3) => {}
        }
        until("the tree is dead", || marked(&mark).is_empty()).await;
    }
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_tree_along() {
    for (level, engine) in levels() {
        let mark = mark();
        let script = three_sleepers(&mark);
        let kill = async {
            until("three sleepers", || marked(&mark).len() == 3).await;
            // The supervisor has seen all three once it has looked again; the direct child's parent is the supervisor.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let all = tree::scan();
            let mine = std::process::id() as i32;
            let supervisor = all
                .iter()
                .find(|p| {
                    p.parent == mine && tree::descendants(&all, &[p.pid]).iter().any(|d| marked(&mark).contains(&d.pid))
                })
                .expect("the supervisor is our child");
            tree::kill(supervisor.pid);
        };
        let (result, ()) = tokio::join!(try_run(&engine, request(&["sh", "-c", &script]), roomy()), kill);
        assert!(matches!(result, Err(RunError::Lost { .. })), "{level}: {result:?}");
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

const HOST: &str = "SHELL_TEST_HOST";

/// Not a claim of its own: the worker process that the next test kills.
#[tokio::test]
async fn host_of_an_attempt() {
    let Ok(role) = std::env::var(HOST) else { return };
    let (level, mark) = role.split_once(' ').expect("two words");
    let (_, engine) = levels().into_iter().find(|(name, _)| *name == level).expect("a level of this machine");
    sh(&engine, &three_sleepers(mark), roomy()).await;
}

#[tokio::test]
async fn a_killed_worker_takes_its_trees_along() {
    for (level, engine) in levels() {
        let mark = mark();
        let mut host = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "lost::host_of_an_attempt"])
            .env(HOST, format!("{level} {mark}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this binary starts");
        until("three sleepers", || marked(&mark).len() == 3).await;
        let dead = tree::read(host.id() as i32).expect("the host lives");
        host.kill().expect("SIGKILL");
        host.wait().expect("it is ours");
        until("the tree is dead", || marked(&mark).is_empty()).await;
        // The supervisor outlives the worker for a moment and removes the group itself.
        let group = group_name(&dead, 0);
        let places = engine.places();
        for place in [&places.memory, &places.processes, &places.cpu].into_iter().flatten() {
            until("the group is gone", || !place.parent.join(&group).exists()).await;
        }
    }
}

#[tokio::test]
async fn groups_of_dead_workers_are_cleared_and_those_of_living_ones_stay() {
    let Some(engine) = engine(Enforcement::Cgroup) else {
        eprintln!("this machine lets us make no cgroups: nothing to clear");
        return;
    };
    // In a folder of its own: every engine started by another test clears the usual one.
    let mut place = engine.places().cpu.clone().expect("all are there");
    place.parent = place.parent.join(format!("nova-test-{}", mark()));
    std::fs::create_dir(&place.parent).expect("a group for this test");
    let places = Places { cpu: Some(place.clone()), ..Places::default() };
    let me = tree::read(std::process::id() as i32).expect("this process lives");
    let dead = tree::Process { started: me.started + 1, ..me.clone() };
    let (living, stale) = (group_name(&me, 0), group_name(&dead, 0));
    for name in [&living, &stale] {
        Group::create(&places, name, &roomy()).expect("a group");
    }
    let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep starts");
    std::fs::write(place.parent.join(&stale).join("cgroup.procs"), sleeper.id().to_string()).expect("it joins");

    assert_eq!(places.remove_stale(), 1);
    let status = sleeper.wait().expect("it is ours");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(!place.parent.join(&stale).exists() && place.parent.join(&living).exists());
    assert!(Group::open(&places, &living).remove(Duration::from_secs(1)));
    std::fs::remove_dir(&place.parent).expect("it is empty");
}
