//! The worker process of the shell skill, and the supervisor of its attempts.

fn main() -> std::process::ExitCode {
    if let Some(code) = nova_shell::supervisor::entry() {
        return code;
    }
    std::process::ExitCode::FAILURE
}
