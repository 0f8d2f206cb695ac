//! Which workers a fleet has, and what each process is told by its environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nova_provision::Catalogue;
use nova_types::Skill;

use super::unit::Spec;
use crate::exit::Exit;
use crate::failure::Failure;

/// More processes of one skill than any machine has a use for; a slip of the finger must not start a thousand.
const MOST: u32 = 64;
/// How long a process may take to end: what runs may finish (30 s), then it is told to stop, then it has 5 s.
const GRACE: Duration = Duration::from_secs(40);

/// How many workers of a skill are wanted, as `SKILL=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The skill.
    pub(crate) skill: Skill,
    /// How many.
    pub(crate) count: u32,
}

impl FromStr for Wanted {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("write SKILL=N, such as code-review=3, N from 0 to {MOST}");
        let (skill, count) = text.split_once('=').ok_or_else(form)?;
        let count = count.parse().ok().filter(|count| *count <= MOST).ok_or_else(form)?;
        Ok(Self { skill: Skill::new(skill).map_err(|error| error.to_string())?, count })
    }
}

/// The workers of one skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crew {
    /// The skill.
    pub(crate) skill: Skill,
    /// Its program.
    pub(crate) program: PathBuf,
    /// How many processes.
    pub(crate) count: u32,
}

/// One worker for each skill of the catalogue whose program stands in `folder`, unless told otherwise.
///
/// # Errors
/// When workers are wanted of a skill that nobody knows, or whose program is missing.
pub(crate) fn crews(catalogue: &Catalogue, wanted: &[Wanted], folder: &Path) -> Result<Vec<Crew>, Failure> {
    let counts: BTreeMap<&Skill, u32> = wanted.iter().map(|wanted| (&wanted.skill, wanted.count)).collect();
    for skill in counts.keys() {
        if catalogue.get(skill).is_none() {
            let known: Vec<&str> = catalogue.skills().map(Skill::as_str).collect();
            let message =
                format!("--workers names skill `{skill}`, which is not in the catalogue ({})", known.join(", "));
            return Err(Failure::usage(message).help("add it: nova skill add"));
        }
    }
    let mut crews = Vec::new();
    for skill in catalogue.skills() {
        let program = folder.join(format!("nova-{skill}"));
        let asked = counts.get(skill).copied();
        match (program.is_file(), asked) {
            (true, asked) => crews.push(Crew { skill: skill.clone(), program, count: asked.unwrap_or(1) }),
            (false, Some(1..)) => return Err(missing(&program)),
            (false, _) => {}
        }
    }
    crews.retain(|crew| crew.count > 0);
    Ok(crews)
}

/// The coordinator's program.
///
/// # Errors
/// When it is missing.
pub(crate) fn coordinator_in(folder: &Path) -> Result<PathBuf, Failure> {
    let program = folder.join("nova-coordinator");
    if program.is_file() { Ok(program) } else { Err(missing(&program)) }
}

fn missing(program: &Path) -> Failure {
    let message = format!("{} is missing: it belongs beside this program", program.display());
    Failure::new(Exit::NOT_FOUND, "no_program", message).help("in a checkout of Nova, this builds it: make build")
}

/// The process of one worker.
pub(crate) fn worker(crew: &Crew, number: u32, url: &str) -> Spec {
    let name = format!("{}-{number}", crew.skill);
    let mut spec = process(&name, &crew.program, crew.skill.as_str(), url);
    spec.env.push(("NOVA__WORKER__ID".into(), name.into()));
    // Whoever reaches this fleet is on this machine already, so it may do here what its user may do.
    let open = match crew.skill.as_str() {
        "shell" => Some("NOVA__SHELL__ALLOW_ALL"),
        "http" => Some("NOVA__HTTP__ALLOW_PRIVATE"),
        "list-files" => Some("NOVA__LIST_FILES__ALLOW_ALL"),
        _ => None,
    };
    spec.env.extend(open.map(|key| (key.into(), "true".into())));
    spec
}

/// The process of a coordinator; the only one has no number.
pub(crate) fn coordinator(program: &Path, number: Option<u32>, url: &str) -> Spec {
    let name = number.map_or_else(|| "coordinator".to_owned(), |number| format!("coordinator-{number}"));
    process(&name, program, "coordinator", url)
}

fn process(name: &str, program: &Path, section: &str, url: &str) -> Spec {
    let mut env: Vec<(OsString, OsString)> = vec![("NOVA__NATS__URL".into(), url.into())];
    if std::env::var_os("NOVA__SERVE__LISTEN").is_none() {
        env.push(("NOVA__SERVE__LISTEN".into(), "".into()));
    }
    let hidden = std::env::vars_os().map(|(key, _)| key).filter(|key| is_hidden(&key.to_string_lossy(), section));
    Spec {
        name: name.to_owned(),
        program: program.to_path_buf(),
        args: Vec::new(),
        env,
        hidden: hidden.collect(),
        keep: None,
        grace: GRACE,
    }
}

/// Tells whether a variable of ours is kept from a process: other fleets' addresses and secrets, and settings of other
/// processes, which it would refuse.
fn is_hidden(key: &str, section: &str) -> bool {
    if key.starts_with("NATS_") || key == "NOVA_CONFIG" {
        return true;
    }
    let Some((named, _)) = key.strip_prefix("NOVA__").and_then(|rest| rest.split_once("__")) else { return false };
    let named = named.to_ascii_lowercase().replace('_', "-");
    let is_worker = section != "coordinator";
    let is_common = ["log", "process", "serve"].contains(&named.as_str()) || (named == "worker" && is_worker);
    !is_common && named != section
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crews_of(programs: &[&str], wanted: &[&str]) -> Result<Vec<(String, u32)>, String> {
        let dir = tempfile::tempdir().unwrap();
        programs.iter().for_each(|name| std::fs::write(dir.path().join(name), "").unwrap());
        let wanted: Vec<Wanted> = wanted.iter().map(|text| text.parse().unwrap()).collect();
        let crews = crews(&Catalogue::built_in(), &wanted, dir.path()).map_err(|failure| failure.code)?;
        Ok(crews.into_iter().map(|crew| (crew.skill.to_string(), crew.count)).collect())
    }

    #[test]
    fn every_skill_with_a_program_gets_a_worker() {
        let two = [("echo".to_owned(), 1), ("shell".to_owned(), 1)];
        assert_eq!(crews_of(&["nova-echo", "nova-shell", "nova-x"], &[]), Ok(two.to_vec()));
    }

    #[test]
    fn counts_are_followed_and_zero_means_none() {
        let programs = ["nova-echo", "nova-code-review"];
        assert_eq!(crews_of(&programs, &["code-review=3", "echo=0"]), Ok(vec![("code-review".to_owned(), 3)]));
        assert_eq!(crews_of(&programs, &["nobody=1"]), Err("usage".to_owned()));
        assert_eq!(crews_of(&programs, &["shell=1"]), Err("no_program".to_owned()));
        assert_eq!(crews_of(&programs, &["shell=0", "echo=0", "code-review=0"]), Ok(vec![]));
        for bad in ["echo", "echo=", "echo=65", "Echo=1", "echo=-1"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_process_sees_only_settings_meant_for_it() {
        for (key, section, hidden) in [
            ("NOVA__SHELL__ALLOW", "shell", false),
            ("NOVA__SHELL__ALLOW", "echo", true),
            ("NOVA__CODE_REVIEW__MAX_COMPLEXITY", "code-review", false),
            ("NOVA__WORKER__SLOTS", "echo", false),
            ("NOVA__WORKER__SLOTS", "coordinator", true),
            ("NOVA__NATS__PASSWORD", "echo", true),
            ("NOVA__LOG__LEVEL", "coordinator", false),
            ("NATS_URL", "echo", true),
            ("NOVA_CONFIG", "echo", true),
            ("PATH", "shell", false),
        ] {
            assert_eq!(is_hidden(key, section), hidden, "{key} for {section}");
        }
    }

    #[test]
    fn only_the_process_concerned_is_opened() {
        let crew = |skill: &str| Crew { skill: skill.parse().unwrap(), program: "/x".into(), count: 1 };
        let keys = |skill: &str| -> Vec<String> {
            worker(&crew(skill), 2, "nats://127.0.0.1:1")
                .env
                .iter()
                .map(|(key, _)| key.to_string_lossy().into())
                .collect()
        };
        assert!(keys("shell").contains(&"NOVA__SHELL__ALLOW_ALL".to_owned()));
        assert!(keys("list-files").contains(&"NOVA__LIST_FILES__ALLOW_ALL".to_owned()));
        assert!(!keys("echo").iter().any(|key| key.contains("ALLOW")));
        assert!(worker(&crew("echo"), 2, "u").env.contains(&("NOVA__WORKER__ID".into(), "echo-2".into())));
    }
}
