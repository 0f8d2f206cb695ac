//! A short run over every fault, and two broken builds: the verdict must be a pass, and a failure.

use std::process::{Command, Output};

/// How long all may take to end once it is healed, and to go on after a fault: times are judged by `make chaos`, on a machine with nothing else to do.
const PATIENT: [&str; 4] = ["--ends-within", "60", "--slack", "60"];

/// Runs the program; its last line says what it came to.
fn chaos(args: &[&str]) -> (Output, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_nova-chaos")).args(args).args(PATIENT).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default().to_owned();
    (output, last)
}

fn passes(args: &[&str]) {
    let (output, last) = chaos(args);
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}\n{said}\n{told}");
    assert!(last.starts_with("chaos: pass"), "{last}");
}

/// The verdict is a failure, and names the invariant.
fn is_caught(args: &[&str], invariant: &str) {
    let (output, last) = chaos(args);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{said}");
    assert!(last.starts_with("chaos: FAIL"), "{last}");
    assert!(said.contains(invariant), "{said}");
}

#[test]
fn one_server_and_every_fault_lose_nothing() {
    passes(&["--seed", "1", "--secs", "60"]);
}

#[test]
fn three_servers_and_every_fault_lose_nothing() {
    passes(&["--seed", "2", "--secs", "45", "--profile", "replicated"]);
}

#[test]
fn a_build_without_the_fence_is_caught() {
    let faults = "worker-pause,silence";
    is_caught(&["--seed", "3", "--secs", "15", "--fault", faults, "--broken", "no-fence"], "I4 one outcome");
}

#[test]
fn a_build_that_acks_before_the_outcome_is_caught() {
    is_caught(&["--seed", "4", "--secs", "10", "--fault", "worker-kill", "--broken", "ack-first"], "I1 nothing lost");
}

#[test]
fn a_fault_nobody_knows_is_refused() {
    let (output, _) = chaos(&["--fault", "meteor"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("no fault `meteor`: there are worker-kill"), "{told}");
}
