//! The process of the report skill.

use std::process::ExitCode;

use nova_report::MakeReport;
use nova_worker::{Blocking, Worker};

nova_worker::use_mimalloc!();

fn main() -> ExitCode {
    // Each attempt may hold all findings of a repository in memory.
    nova_worker::main(|_setup| async { Ok(Worker::new().skill(Blocking::new(MakeReport)).slots(2)) })
}
