//! How commands end, and what goes in and comes out.

use nova_shell::job::StartFailure;

use super::*;

#[tokio::test]
async fn exit_status_signal_and_output_come_back() {
    for (level, engine) in levels() {
        let done = sh(&engine, "echo out; echo err >&2; exit 3", roomy()).await;
        assert_eq!((done.exit, done.signal, done.breach), (Some(3), None, None), "{level}");
        assert_eq!((text(&done.stdout), text(&done.stderr)), ("out\n", "err\n"), "{level}");
        assert_eq!((done.usage.stdout_bytes, done.usage.stderr_bytes), (4, 4), "{level}");
        let killed = sh(&engine, "kill -SEGV $$", roomy()).await;
        assert_eq!((killed.exit, killed.signal, killed.breach), (None, Some(11), None), "{level}");
    }
}

#[tokio::test]
async fn stdout_kept_open_by_a_grandchild_does_not_hang_the_attempt() {
    for (level, engine) in levels() {
        for detach in ["", "setsid "] {
            let mark = mark();
            let begun = Instant::now();
            let report = sh(&engine, &format!("{detach}sleep {mark} & echo done"), roomy()).await;
            assert_eq!((report.exit, report.breach, text(&report.stdout)), (Some(0), None, "done\n"), "{level}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{level}: {:?}", begun.elapsed());
            assert!(marked(&mark).is_empty(), "{level}");
        }
    }
}

#[tokio::test]
async fn a_grandchild_that_closed_its_output_is_killed_too() {
    for (level, engine) in levels() {
        let mark = mark();
        let script = format!("setsid sleep {mark} </dev/null >/dev/null 2>&1 & echo done");
        let report = sh(&engine, &script, roomy()).await;
        assert_eq!(report.exit, Some(0), "{level}");
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

#[tokio::test]
async fn what_a_grandchild_still_writes_in_the_drain_is_kept() {
    for (level, engine) in levels() {
        let report = sh(&engine, "(sleep 0.05; echo late) & echo early", roomy()).await;
        assert_eq!(text(&report.stdout), "early\nlate\n", "{level}");
    }
}

#[tokio::test]
async fn big_input_goes_through_and_an_unread_one_does_not_deadlock() {
    let big = "0123456789abcdef".repeat(256 << 10);
    for (level, engine) in levels() {
        let stdin = |argv: &[&str]| Request { stdin: Some(big.clone()), ..request(argv) };
        let counted = run(&engine, stdin(&["wc", "-c"]), roomy()).await;
        assert_eq!(text(&counted.stdout).trim(), big.len().to_string(), "{level}");
        let ignored = run(&engine, stdin(&["true"]), roomy()).await;
        assert_eq!(ignored.exit, Some(0), "{level}");
        // The child fills both its outputs before it reads at all.
        let script = "head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2; wc -c >&2";
        let both = run(&engine, stdin(&["sh", "-c", script]), roomy()).await;
        assert_eq!((both.exit, both.stdout.len()), (Some(0), 500_000), "{level}");
        let limits = Limits { wall: Duration::from_millis(300), ..roomy() };
        let asleep = run(&engine, stdin(&["sleep", "1000"]), limits).await;
        assert_breach(&asleep, Breach::Wall, level);
    }
}

#[tokio::test]
async fn without_input_the_command_reads_nothing() {
    for (level, engine) in levels() {
        let report = run(&engine, request(&["cat"]), roomy()).await;
        assert_eq!((report.exit, report.stdout.len()), (Some(0), 0), "{level}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_unchanged() {
    for (level, engine) in levels() {
        let report = run(&engine, request(&["printf", r"\377\000\376"]), roomy()).await;
        assert_eq!(report.stdout, [0xff, 0, 0xfe], "{level}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_run_is_told_apart_from_a_busy_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, body: &str| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, body).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("its owner");
        path.to_str().expect("text").to_owned()
    };
    let no_interpreter = write("a", "#!/no/such/interpreter\n");
    // One argument is at most 128 KiB on Linux.
    let long = "x".repeat(200 << 10);
    for (level, engine) in levels() {
        let failure = |argv: &[&str]| {
            let request = request(argv);
            let engine = &engine;
            async move { try_run(engine, request, roomy()).await.expect_err("it cannot run") }
        };
        let error = failure(&[&no_interpreter]).await;
        assert!(matches!(error, RunError::Start(StartFailure::NotFound(_))), "{level}: {error:?}");
        let error = failure(&["true", &long]).await;
        assert!(matches!(error, RunError::Start(StartFailure::Unusable(_))), "{level}: {error:?}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn usage_tells_what_was_used() {
    for (level, engine) in levels() {
        let script = "keep = bytearray(40 << 20)\nimport time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass";
        let report = python(&engine, script, roomy()).await;
        let usage = &report.usage;
        assert_eq!(report.exit, Some(0), "{level}");
        assert!((280..1_500).contains(&usage.cpu_ms), "{level}: {usage:?}");
        assert!((40 << 20..120 << 20).contains(&usage.max_rss_bytes), "{level}: {usage:?}");
        assert!(usage.wall_ms >= 250 && usage.processes >= 1, "{level}: {usage:?}");
    }
}
