//! Measures how far a limit is overshot at each level, and what an attempt costs; prints the README's tables.
#![allow(clippy::print_stdout, reason = "printing is what this example is for")]

use std::future::pending;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nova_shell::config::{Config, Enforcement, Settings};
use nova_shell::job::{Patience, Report};
use nova_shell::limits::Limits;
use nova_shell::request::{Request, admit};
use nova_shell::run::Engine;

const ROUNDS: u32 = 10;

fn main() -> ExitCode {
    if let Some(code) = nova_shell::supervisor::entry() {
        return code;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for enforcement in [Enforcement::Cgroup, Enforcement::Sampling] {
        match Engine::new(enforcement, None) {
            Ok(engine) => runtime.block_on(measure(&engine, enforcement)),
            Err(error) => println!("{enforcement:?}: {error}"),
        }
    }
    ExitCode::SUCCESS
}

async fn measure(engine: &Engine, enforcement: Enforcement) {
    let settings = Config { allow_all: true, ..Config::default() }.check().expect("a good configuration");
    let limits = Limits::default();
    let run = |script: &'static str, limits: Limits| attempt(engine, &settings, script, limits);
    println!("{enforcement:?}:");
    let mut costs = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        run("true", limits.clone()).await;
        costs.push(begun.elapsed());
    }
    costs.sort_unstable();
    println!("  `true`: median {:?}, 99th {:?}", costs[50], costs[98]);

    let mut worst = [0u64; 4];
    for _ in 0..ROUNDS {
        let wall = run("sleep 9", Limits { wall: Duration::from_millis(500), ..limits.clone() }).await;
        worst[0] = worst[0].max(wall.usage.wall_ms - 500);
        let burn = "import os\nos.fork(); os.fork()\nwhile True: pass";
        let cpu = run(burn, Limits { cpu: Duration::from_millis(500), ..limits.clone() }).await;
        worst[1] = worst[1].max(cpu.usage.cpu_ms.saturating_sub(500));
        let hog = "import os\nos.fork()\nkeep = []\nwhile True: keep.append(bytearray(8 << 20))";
        let memory = run(hog, Limits { memory_bytes: 128 << 20, ..limits.clone() }).await;
        worst[2] = worst[2].max(memory.usage.max_rss_bytes.saturating_sub(128 << 20) >> 20);
        let bomb = "import os, time\nfor _ in range(10): os.fork()\ntime.sleep(9)";
        let many = Limits { processes: 16, memory_bytes: 16 << 30, ..limits.clone() };
        let processes = run(bomb, many).await;
        worst[3] = worst[3].max(u64::from(processes.usage.processes.saturating_sub(16)));
    }
    println!(
        "  worst of {ROUNDS}: wall +{} ms, cpu +{} ms, memory +{} MiB, processes +{}",
        worst[0], worst[1], worst[2], worst[3]
    );
}

async fn attempt(engine: &Engine, settings: &Settings, script: &str, limits: Limits) -> Report {
    let argv: &[&str] = match script {
        "true" => &["true"],
        "sleep 9" => &["sleep", "9"],
        python => &["python3", "-c", python],
    };
    let request = Request { argv: argv.iter().map(|a| (*a).to_owned()).collect(), ..Request::default() };
    let (spec, _) = admit(settings, request).expect("everything is allowed");
    engine.run(spec, limits, Patience::default(), pending()).await.expect("a report")
}
