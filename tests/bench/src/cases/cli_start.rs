//! How long the command line takes to say anything.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::ensure;

use crate::bed::program;
use crate::row::{Bound, Row};
use crate::sample::Times;

pub const NAME: &str = "cli-start";
pub const ABOUT: &str = "`nova --help` from start to end";
pub const NOTE: &str = "50 starts after 3 that warm the file cache.";

const WARM: usize = 3;
const RUNS: usize = 50;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let nova = program("nova")?;
    let mut times = Times::new();
    for start in 0..WARM + RUNS {
        let mut command = Command::new(&nova);
        command.arg("--help").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        let status = command.status()?;
        if start >= WARM {
            times.record(began.elapsed());
        }
        ensure!(status.success(), "`nova --help` ended with {status}");
    }
    Ok(vec![
        Row::once(NAME, "nova --help", times.quantile_ms(0.5), "ms").within(Bound::Below(50.0)),
        Row::once(NAME, "nova --help, slowest", times.max_ms(), "ms"),
    ])
}
