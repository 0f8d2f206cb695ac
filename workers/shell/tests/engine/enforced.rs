//! Each limit is enforced on the whole tree.

use super::*;

/// A Python prelude: a child in a session of its own whose parent is gone, running the function it is given.
const DETACH: &str = "
import os, sys, time
def detach(work):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            work()
            os._exit(0)
        os._exit(0)
    os.wait()
";

#[tokio::test]
async fn a_command_that_sleeps_for_ever_ends_at_its_wall_limit() {
    for (level, engine) in levels() {
        let mark = mark();
        let limits = Limits { wall: Duration::from_millis(300), ..roomy() };
        let report = run(&engine, request(&["sleep", &mark]), limits).await;
        assert_breach(&report, Breach::Wall, level);
        assert!((300..5_000).contains(&report.usage.wall_ms), "{level}: {:?}", report.usage);
        assert_eq!(report.signal, Some(9));
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

#[tokio::test]
async fn processor_time_is_counted_over_detached_children() {
    for (level, engine) in levels() {
        let script = format!("{DETACH}\nfor _ in range(2): detach(lambda: [0 for _ in iter(int, 1)])\ntime.sleep(60)");
        let limits = Limits { cpu: Duration::from_millis(400), memory_bytes: 4 << 30, ..roomy() };
        let report = python(&engine, &script, limits).await;
        assert_breach(&report, Breach::Cpu, level);
        assert!((400..2_000).contains(&report.usage.cpu_ms), "{level}: {:?}", report.usage);
    }
}

#[tokio::test]
async fn processor_time_of_many_short_children_adds_up() {
    for (level, engine) in levels() {
        let script = "while :; do sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'; done";
        let report = sh(&engine, script, Limits { cpu: Duration::from_millis(500), ..roomy() }).await;
        assert_breach(&report, Breach::Cpu, level);
    }
}

#[tokio::test]
async fn memory_of_one_process_is_limited() {
    for (level, engine) in levels() {
        let script = "import time\nkeep = []\nwhile True: keep.append(bytearray(4 << 20)); time.sleep(0.002)";
        let report = python(&engine, script, Limits { memory_bytes: 96 << 20, ..roomy() }).await;
        assert_breach(&report, Breach::Memory, level);
        assert!(report.usage.max_rss_bytes > 80 << 20, "{level}: {:?}", report.usage);
    }
}

#[tokio::test]
async fn memory_split_over_many_detached_children_is_summed() {
    for (level, engine) in levels() {
        let script = format!(
            "{DETACH}\ndef work():\n  keep = bytearray(16 << 20)\n  time.sleep(60)\nfor _ in range(12):\n  detach(work)\ntime.sleep(60)"
        );
        let report = python(&engine, &script, Limits { memory_bytes: 128 << 20, ..roomy() }).await;
        assert_breach(&report, Breach::Memory, level);
    }
}

#[tokio::test]
async fn a_killed_child_counts_though_the_command_itself_goes_on() {
    for (level, engine) in levels() {
        let script = "python3 -c 'import time\nkeep = bytearray(256 << 20)\ntime.sleep(60)'; echo survived; exit 0";
        let report = sh(&engine, script, Limits { memory_bytes: 96 << 20, ..roomy() }).await;
        assert_breach(&report, Breach::Memory, level);
    }
}

#[tokio::test]
async fn pages_shared_by_children_are_counted_once() {
    for (level, engine) in levels() {
        let script = "
import os, time
keep = bytearray(48 << 20)
for _ in range(8):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(8): os.wait()";
        let report = python(&engine, script, Limits { memory_bytes: 192 << 20, ..roomy() }).await;
        assert_eq!((report.exit, report.breach), (Some(0), None), "{level}: {report:?}");
    }
}

#[tokio::test]
async fn a_fork_bomb_is_stopped_and_nothing_of_it_is_left() {
    for (level, engine) in levels() {
        let mark = mark();
        // Bounded whatever happens: five generations of two are 63 sleepers, and each dies after a while by itself.
        let script = format!(
            "{DETACH}\ndef bomb(n):\n  if n:\n    detach(lambda: bomb(n - 1)); detach(lambda: bomb(n - 1))\n  os.execvp('sleep', ['sleep', '{mark}'])\nbomb(5)"
        );
        let report = python(&engine, &script, Limits { processes: 16, ..roomy() }).await;
        assert_breach(&report, Breach::Processes, level);
        assert!(report.usage.processes >= 16, "{level}: {:?}", report.usage);
        assert!(marked(&mark).is_empty(), "{level}");
    }
}

#[tokio::test]
async fn as_many_processes_as_the_limit_says_are_fine() {
    for (level, engine) in levels() {
        // The last of them begins when all others are there, however slowly they came.
        let script =
            "i=0; while [ $i -lt 6 ]; do sleep 60 & p=\"$p $!\"; i=$((i+1)); done; sleep 0.3; kill $p; wait; true";
        let report = sh(&engine, script, Limits { processes: 8, ..roomy() }).await;
        assert_eq!((report.exit, report.breach), (Some(0), None), "{level}: {report:?}");
        assert_eq!(report.usage.processes, 8, "{level}");
    }
}

#[tokio::test]
async fn a_flood_of_output_ends_at_the_limit_and_keeps_what_fits() {
    for (level, engine) in levels() {
        for (script, stderr) in [("yes", false), ("yes >&2", true)] {
            let report = sh(&engine, script, Limits { output_bytes: 10_000, ..roomy() }).await;
            assert_breach(&report, Breach::Output, level);
            let (flooded, quiet) =
                if stderr { (&report.stderr, &report.stdout) } else { (&report.stdout, &report.stderr) };
            assert_eq!((flooded.len(), quiet.len()), (10_000, 0), "{level}");
        }
        let exact = sh(&engine, "head -c 10000 /dev/zero", Limits { output_bytes: 10_000, ..roomy() }).await;
        assert_eq!((exact.exit, exact.breach, exact.stdout.len()), (Some(0), None, 10_000), "{level}");
        let short = sh(&engine, "head -c 10001 /dev/zero", Limits { output_bytes: 10_000, ..roomy() }).await;
        assert_breach(&short, Breach::Output, level);
    }
}

#[tokio::test]
async fn the_report_says_who_enforced_what() {
    for (level, engine) in levels() {
        let report = run(&engine, request(&["true"]), roomy()).await;
        let by = &report.enforced_by;
        assert_eq!((by.wall.as_str(), by.output.as_str()), ("supervisor", "supervisor"));
        for name in [&by.cpu, &by.memory, &by.processes] {
            assert!(name.starts_with(level), "{level}: {by:?}");
        }
    }
}
