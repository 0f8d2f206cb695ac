//! Attempts do not mix with each other, nor with the worker that runs them.

use super::*;

#[tokio::test]
async fn the_child_sees_a_clean_environment() {
    for (level, engine) in levels() {
        let mut ask = request(&["env"]);
        ask.env.insert("MINE".into(), "1".into());
        let report = run(&engine, ask, roomy()).await;
        let mut names: Vec<&str> =
            text(&report.stdout).lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "MINE", "PATH", "TMPDIR"], "{level}");
    }
}

#[tokio::test]
async fn the_supervisor_holds_no_variable_of_the_worker() {
    for (level, engine) in levels() {
        let report = sh(&engine, "tr '\\0' '\\n' < /proc/$PPID/environ | wc -c", roomy()).await;
        // Root may read it and finds nothing; others may not read it at all.
        assert!(matches!(text(&report.stdout).trim(), "0"), "{level}: {report:?}");
    }
}

#[tokio::test]
async fn the_child_inherits_no_open_file() {
    for (level, engine) in levels() {
        let report = run(&engine, request(&["ls", "/proc/self/fd"]), roomy()).await;
        // The fourth is the folder being listed.
        assert_eq!(text(&report.stdout), "0\n1\n2\n3\n", "{level}");
    }
}

#[tokio::test]
async fn a_breach_of_one_attempt_leaves_the_other_alone() {
    for (level, engine) in levels() {
        let (bad_mark, mark) = (mark(), mark());
        let bad = format!("setsid sleep {bad_mark} & setsid sleep {bad_mark} & yes");
        let good = format!("setsid sleep {mark} & sleep 1; echo alive; pgrep -c -x -f 'sleep {mark}'");
        let limits = Limits { output_bytes: 100_000, ..roomy() };
        let (bad, good) = tokio::join!(sh(&engine, &bad, limits.clone()), sh(&engine, &good, limits));
        assert_breach(&bad, Breach::Output, level);
        assert_eq!((good.exit, good.breach), (Some(0), None), "{level}: {good:?}");
        assert!(text(&good.stdout).starts_with("alive\n1"), "{level}: {:?}", text(&good.stdout));
        assert!(good.usage.processes <= 5, "{level}: the other's processes were counted: {:?}", good.usage);
        assert_eq!((marked(&bad_mark), marked(&mark)), (vec![], vec![]), "{level}");
    }
}

#[tokio::test]
async fn many_attempts_at_once_keep_their_outputs_apart() {
    for (level, engine) in levels() {
        let runs = (0..24).map(|n| {
            let engine = &engine;
            async move {
                let report = sh(engine, &format!("(setsid sh -c 'echo {n}')& wait; exit {n}"), roomy()).await;
                (n, report)
            }
        });
        let mut set = Vec::new();
        for run in runs {
            set.push(run);
        }
        for (n, report) in futures_join(set).await {
            assert_eq!((report.exit, text(&report.stdout)), (Some(n), format!("{n}\n").as_str()), "{level}");
        }
    }
}

/// Runs all futures at once on this task.
async fn futures_join<F: std::future::Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *output = Some(value);
            }
        }
        if futures.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().map(|(_, output)| output.expect("all are ready")).collect()
}

#[tokio::test]
async fn no_cgroup_is_left_behind() {
    let Some(engine) = engine(Enforcement::Cgroup) else {
        eprintln!("this machine lets us make no cgroups: nothing to leave behind");
        return;
    };
    let report = run(&engine, request(&["cat", "/proc/self/cgroup"]), roomy()).await;
    let mine = |path: &str| path.rsplit('/').next().filter(|name| name.starts_with("nova-shell-")).map(str::to_owned);
    let name = text(&report.stdout).lines().find_map(mine).expect("it ran in a group of its own");
    let places = engine.places().clone();
    for place in [places.memory, places.processes, places.cpu].into_iter().flatten() {
        assert!(!place.parent.join(&name).exists(), "{name} in {place:?}");
    }
}
