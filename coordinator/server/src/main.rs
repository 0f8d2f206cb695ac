//! The coordinator's process.

fn main() -> std::process::ExitCode {
    nova_coordinator::main()
}
