//! The root's help: commands in groups, and what the exit codes mean.

use std::fmt::Write as _;

use clap::Command;

/// The groups in the order of the help; a command that is in none is listed under "More".
const GROUPS: &[(&str, &[&str])] = &[
    ("Start here", &["dev", "demo", "review"]),
    ("Tasks", &["submit", "wait", "show", "watch", "why", "cancel", "task"]),
    ("Workflows", &["workflow", "run"]),
    ("Fleet", &["queue", "dead", "schedule", "worker", "check", "bench"]),
    ("Set up", &["skill", "provision", "backup", "restore", "completion"]),
];

/// What the process's exit code says.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  ok                          4  not found
    1  failure                     5  refused (by the broker, or for want of --yes)
    2  usage                       6  timed out
    3  the task is dead or was cancelled
  130  interrupted
  `nova check` instead: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN

Where the fleet is: --server, --context, NATS_URL, NATS_CONTEXT, the nats CLI's selected context, a
running `nova dev`, and last nats://127.0.0.1:4222. Secrets come from a context or from NATS_USER,
NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT and NATS_KEY, never from
arguments.

Examples:
  nova submit echo '{\"hello\": \"world\"}' --wait
  nova task ls --state dead --since 1h
  nova why ID";

/// Adds the grouped list of commands to the root's help.
pub(crate) fn grouped(root: Command) -> Command {
    let mut template = String::from("{about}\n\n{usage-heading} {usage}\n");
    let about = |name: &str| {
        let command = root.get_subcommands().find(|command| command.get_name() == name)?;
        (!command.is_hide_set()).then(|| command.get_about().map(ToString::to_string).unwrap_or_default())
    };
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let rest: Vec<&str> = root.get_subcommands().map(Command::get_name).filter(|name| !is_grouped(name)).collect();
    for (title, names) in GROUPS.iter().map(|(title, names)| (*title, names.to_vec())).chain([("More", rest)]) {
        let lines: Vec<(&str, String)> = names.into_iter().filter_map(|name| Some((name, about(name)?))).collect();
        if lines.is_empty() {
            continue;
        }
        write!(template, "\n{title}:\n").expect("writing to a String cannot fail");
        for (name, about) in lines {
            writeln!(template, "  {name:<11} {about}").expect("writing to a String cannot fail");
        }
    }
    template.push_str("\n{options}\n{after-help}");
    root.help_template(template)
}
