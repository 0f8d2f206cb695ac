//! The process of the list-files skill.

use std::process::ExitCode;

use nova_list_files::{Config, ListFiles};
use nova_worker::{Blocking, Worker};

nova_worker::use_mimalloc!();

fn main() -> ExitCode {
    // Each attempt may hold a whole repository in memory.
    nova_worker::main(|setup| async move {
        Ok(Worker::new().skill(Blocking::new(ListFiles::new(setup.config::<Config>()?)?)).slots(2))
    })
}
