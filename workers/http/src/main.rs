//! The `http` worker.

use nova_worker::Worker;

nova_worker::use_mimalloc!();

fn main() -> std::process::ExitCode {
    nova_worker::main(|setup| async move {
        let skill = nova_http::Http::new(setup.config()?)?;
        Ok(Worker::new().skill(skill))
    })
}
