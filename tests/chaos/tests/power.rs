//! Power cuts and full disks, where the machine lets servers have disks: what was acknowledged is there afterwards.

use std::process::Command;

use nova_chaos::power;

#[expect(clippy::print_stdout, reason = "a test that does not run says why")]
fn passes(fault: &str, profile: &str) {
    if let Some(why) = power::is_impossible() {
        println!("not run: there can be no disks of servers here: {why}");
        return;
    }
    let args = [
        "--seed",
        "5",
        "--secs",
        "14",
        "--power",
        "--fault",
        fault,
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
    passes("power-cut-all", "durable");
}

#[test]
fn replicated_loses_nothing_when_all_power_goes_at_once() {
    passes("power-cut-all", "replicated");
}

#[test]
fn one_server_loses_nothing_when_its_disk_is_full() {
    passes("disk-full", "fast");
}

#[test]
fn one_of_three_servers_loses_nothing_when_its_disk_is_full() {
    passes("disk-full", "replicated");
}
