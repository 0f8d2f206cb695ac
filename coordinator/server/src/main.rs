//! The coordinator's process.

nova_runtime::use_mimalloc!();

fn main() -> std::process::ExitCode {
    nova_coordinator::main()
}
