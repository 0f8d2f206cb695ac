//! Deployments start only programs that are built here.

use crate::{Finding, Tree};

/// Programs that are no workers.
const PROGRAMS: &[&str] = &["nova", "nova-coordinator"];

/// Refuses units and services that start a program which does not exist.
pub fn law(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("deploy/")) {
        for (index, line) in file.text.lines().enumerate() {
            let Some(program) = started(line).filter(|program| !is_built(tree, program)) else { continue };
            let advice =
                format!("starts `{program}`, which is not built here; name nova, nova-coordinator or nova-<skill>");
            found.push(Finding::at(&file.path, index + 1, advice));
        }
    }
    found
}

fn is_built(tree: &Tree, program: &str) -> bool {
    let skill = program.strip_prefix("nova-");
    PROGRAMS.contains(&program) || skill.is_some_and(|skill| tree.has(&format!("workers/{skill}")))
}

/// The program of ours that a systemd unit (`ExecStart=`) or a compose service (`command: [...]`) starts.
fn started(line: &str) -> Option<&str> {
    let line = line.trim();
    let command = line.strip_prefix("ExecStart=").or_else(|| line.strip_prefix("command: ["))?;
    let first = command.split([' ', ',', ']']).next()?;
    let program = first.rsplit('/').next()?.trim_matches('"');
    // `%i` is the instance of a template: any worker.
    (program.starts_with("nova") && !program.contains('%')).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;

    #[test]
    fn programs_of_the_fleet_pass() {
        let compose = "command: [nova, dev]\n  command: [nova-echo]\n  command: [--jetstream]\n";
        let unit = "ExecStart=/usr/local/bin/nova-%i\nExecStart=/usr/local/bin/nova-coordinator --x\n";
        check(
            law,
            &[("deploy/compose.yaml", compose), ("deploy/a.service", unit), ("workers/echo/Cargo.toml", "")],
            &[],
        );
    }

    #[test]
    fn programs_nobody_builds_are_refused() {
        let files = [
            ("deploy/compose.yaml", "x:\n  command: [nova-gone, a]\n"),
            ("deploy/a.service", "ExecStart=/bin/novad\n"),
        ];
        check(law, &files, &["deploy/compose.yaml:2", "deploy/a.service:1"]);
    }
}
