//! Power cuts where the machine lets one cut: what `durable` and `replicated` acknowledged is there afterwards.

use std::process::Command;

use nova_chaos::power;

#[expect(clippy::print_stdout, reason = "a test that does not run says why")]
fn cuts(profile: &str) {
    if let Some(why) = power::is_impossible() {
        println!("not run: power cannot be cut here: {why}");
        return;
    }
    let args = [
        "--seed",
        "5",
        "--secs",
        "14",
        "--power",
        "--fault",
        "power-cut-all",
        "--profile",
        profile,
        "--ends-within",
        "60",
        "--slack",
        "60",
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_nova-chaos")).args(args).output().expect("the program runs");
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{told}");
}

#[test]
fn durable_loses_nothing_when_the_power_goes() {
    cuts("durable");
}

#[test]
fn replicated_loses_nothing_when_all_power_goes_at_once() {
    cuts("replicated");
}
