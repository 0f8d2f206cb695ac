//! The worker process of the shell skill, and the supervisor of its attempts.

use std::process::ExitCode;

use nova_shell::config::Config;
use nova_shell::skill::Shell;
use nova_worker::Worker;

nova_worker::use_mimalloc!();

fn main() -> ExitCode {
    // Each attempt's supervisor is this binary, started again.
    nova_shell::supervisor::entry().unwrap_or_else(|| {
        nova_worker::main(|setup| async move { Ok(Worker::new().skill(Shell::new(setup.config::<Config>()?)?)) })
    })
}
