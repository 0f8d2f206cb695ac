//! The process of the `nova` command.

fn main() -> std::process::ExitCode {
    nova_cli::main()
}
