//! Runs the `code-review` skill as a worker.

use std::process::ExitCode;

use nova_code_review::CodeReview;
use nova_worker::Worker;

nova_worker::use_mimalloc!();

fn main() -> ExitCode {
    nova_worker::main(|setup| async move { Ok(Worker::new().skill(CodeReview::new(setup.config()?)?)) })
}
