//! Goes through seeds, one world each, and says which of them broke a promise.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use nova_simulation::scenario::Scenario;
use nova_simulation::world::{self, Report};

/// Plays worlds made of seeds: workers, coordinators and a client over a broker with faults, on virtual time
#[derive(Parser)]
#[command(name = "nova-simulation")]
struct Args {
    /// The first seed; a new one each time otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Shows the scenario of the first seed
    #[arg(long)]
    show: bool,
    /// Plays each seed twice, and says where that comes to something else
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => nova_runtime::report(&error),
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let first = args.seed.unwrap_or_else(|| fastrand::u64(..u64::MAX / 2));
    if args.show {
        say(&format!("{:#?}", Scenario::of_seed(first)))?;
    }
    let began = Instant::now();
    let (next, broken) = (AtomicU64::new(0), Mutex::new(Vec::<(u64, Report)>::new()));
    let faults = Mutex::new(BTreeMap::<&str, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = first + next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + args.seeds {
                        return;
                    }
                    let scenario = Scenario::of_seed(seed);
                    let mut report = world::play(&scenario);
                    if args.twice && world::play(&scenario) != report {
                        report.broken.push("it comes to something else the second time".to_owned());
                    }
                    for (fault, count) in &report.faults {
                        *faults.lock().expect("nobody panics with it").entry(fault).or_default() += count;
                    }
                    if !report.broken.is_empty() {
                        let told = report.broken.join("\n  ");
                        let _ = say(&format!("seed {seed} breaks:\n  {told}"));
                        broken.lock().expect("nobody panics with it").push((seed, report));
                    }
                }
            });
        }
    });
    let rate = args.seeds as f64 / began.elapsed().as_secs_f64();
    say(&format!("seeds {first} to {}, {rate:.0} worlds a second", first + args.seeds - 1))?;
    for (fault, count) in faults.into_inner().expect("nobody panicked") {
        say(&format!("  {count:>9} {fault}"))?;
    }
    let broken = broken.into_inner().expect("nobody panicked");
    say(&format!("{} of {} worlds broke a promise", broken.len(), args.seeds))?;
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}
