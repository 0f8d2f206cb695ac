//! The process of the echo skill.

use std::process::ExitCode;

use nova_echo::Echo;
use nova_worker::Worker;

nova_worker::use_mimalloc!();

fn main() -> ExitCode {
    nova_worker::main(|_setup| async { Ok(Worker::new().skill(Echo).slots(64)) })
}
