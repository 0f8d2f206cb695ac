//! The task's input, and the policy that turns it into a command to run or refuses it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::config::Settings;
use crate::job::Spec;
use crate::limits::{Limits, LimitsSpec};

/// The input of a shell task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The command and its arguments. No shell reads it: for one, say `["sh", "-c", "..."]`.
    pub argv: Vec<String>,
    /// Standard input; without it the command reads nothing.
    #[serde(default)]
    pub stdin: Option<String>,
    /// How `stdin` is written.
    #[serde(default)]
    pub stdin_encoding: Encoding,
    /// Variables besides the clean environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The working directory.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Limits lower than the deployment's; higher ones are lowered to its maximum.
    #[serde(default)]
    pub limits: Option<LimitsSpec>,
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As they are.
    #[default]
    Utf8,
    /// In base64, for what is not UTF-8.
    Base64,
}

/// Why a task is not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The command, the folder or a variable is not one the deployment allows.
    #[error("{what} is not allowed by this deployment")]
    NotAllowed {
        /// What was asked for.
        what: String,
    },
    /// There is no such program.
    #[error("command `{command}` was not found")]
    NotFound {
        /// As asked for.
        command: String,
    },
    /// The input makes no sense.
    #[error("{0}")]
    Bad(String),
}

impl Refusal {
    /// The error code of the outcome.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotFound { .. } => "not_found",
            Self::Bad(_) => "bad_input",
        }
    }
}

/// Turns a task into a command, or refuses it.
///
/// # Errors
/// [`Refusal`]; asking again gives the same answer.
pub fn admit(settings: &Settings, request: Request) -> Result<(Spec, Limits), Refusal> {
    let bad = |text: &str| Refusal::Bad(text.to_owned());
    let command = request.argv.first().filter(|c| !c.is_empty()).ok_or_else(|| bad("argv names no command"))?;
    if request.argv.iter().any(|a| a.contains('\0')) {
        return Err(bad("an argument holds a NUL byte"));
    }
    let asked = request.limits.unwrap_or_default().over(&settings.limits);
    let limits = asked.map_err(|error| Refusal::Bad(error.to_string()))?.at_most(&settings.maximum);
    // Whether the command is allowed comes before anything that would tell what this machine holds.
    let found = find(command, &settings.config.path);
    let listed = |entry: &str| settings.config.allowed.iter().any(|allowed| allowed == entry);
    let by_path = || found.as_deref().and_then(Path::to_str).is_some_and(listed);
    if !settings.config.allow_all && !listed(command) && !by_path() {
        return Err(Refusal::NotAllowed { what: format!("command `{command}`") });
    }
    let cwd = folder(settings, request.cwd.as_deref())?;
    let found = found.or_else(|| relative(command, &cwd));
    let program = found.ok_or_else(|| Refusal::NotFound { command: command.clone() })?;
    let env = environment(settings, request.env, |name| std::env::var(name).ok())?;
    let stdin = match (request.stdin, request.stdin_encoding) {
        (None, _) => None,
        (Some(text), Encoding::Utf8) => Some(text.into_bytes()),
        (Some(text), Encoding::Base64) => Some(STANDARD.decode(text).map_err(|_| bad("stdin is not base64"))?),
    };
    Ok((Spec { argv: request.argv, program, env, cwd, stdin }, limits))
}

/// Finds a plain name in the fixed path, or an absolute path itself.
fn find(command: &str, path: &str) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|file| file.is_absolute() && runs(file));
    }
    path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| Path::new(dir).join(command)).find(|file| runs(file))
}

/// A relative path is only ever allowed where everything is.
fn relative(command: &str, cwd: &Path) -> Option<PathBuf> {
    command.contains('/').then(|| cwd.join(command)).filter(|file| runs(file))
}

fn runs(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn folder(settings: &Settings, asked: Option<&Path>) -> Result<PathBuf, Refusal> {
    let roots = &settings.config.cwd_roots;
    let Some(asked) = asked else {
        return Ok(roots.first().cloned().unwrap_or_else(std::env::temp_dir));
    };
    let refused = || Refusal::NotAllowed { what: format!("working directory {asked:?}") };
    if !settings.config.allow_all && (!asked.is_absolute() || roots.is_empty()) {
        return Err(refused());
    }
    // Links are followed first: where they lead is what counts.
    match asked.canonicalize() {
        Ok(real) if !settings.config.allow_all && !roots.iter().any(|root| real.starts_with(root)) => Err(refused()),
        Ok(real) if real.is_dir() => Ok(real),
        _ if !settings.config.allow_all && !roots.iter().any(|root| asked.starts_with(root)) => Err(refused()),
        _ => Err(Refusal::Bad(format!("working directory {asked:?} is no folder here"))),
    }
}

fn environment(
    settings: &Settings,
    task: BTreeMap<String, String>,
    worker: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let default = |name: &str, otherwise: &str| (name.to_owned(), worker(name).unwrap_or_else(|| otherwise.to_owned()));
    let mut env = BTreeMap::from([
        ("PATH".to_owned(), settings.config.path.clone()),
        default("HOME", "/"),
        default("LANG", "C.UTF-8"),
        default("TMPDIR", "/tmp"),
    ]);
    env.extend(settings.config.pass_env.iter().filter_map(|name| Some((name.clone(), worker(name)?))));
    for (name, value) in task {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Refusal::Bad(format!("`{name}` cannot be an environment variable")));
        }
        // With these any allowed program can be made to run code of the task's choice.
        if name.starts_with("LD_") && !settings.config.allow_all {
            return Err(Refusal::NotAllowed { what: format!("environment variable `{name}`") });
        }
        env.insert(name, value);
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn settings(change: impl FnOnce(&mut Config)) -> Settings {
        let mut config = Config::default();
        change(&mut config);
        config.check().expect("a good configuration")
    }

    fn asks(argv: &[&str]) -> Request {
        Request { argv: argv.iter().map(|a| (*a).to_owned()).collect(), ..Request::default() }
    }

    fn code(settings: &Settings, request: Request) -> &'static str {
        admit(settings, request).map_or_else(|refusal| refusal.code(), |_| "admitted")
    }

    #[test]
    fn only_listed_commands_are_admitted() {
        let none = settings(|_| ());
        assert_eq!(code(&none, asks(&["true"])), "not_allowed");
        let by_name = settings(|c| c.allowed = vec!["sh".into(), "no-such-thing".into()]);
        assert_eq!(code(&by_name, asks(&["sh"])), "admitted");
        assert_eq!(code(&by_name, asks(&["cat"])), "not_allowed");
        assert_eq!(code(&by_name, asks(&["/tmp/sh"])), "not_allowed", "a name is no licence for a path");
        assert_eq!(code(&by_name, asks(&["./sh"])), "not_allowed");
        assert_eq!(code(&by_name, asks(&["no-such-thing"])), "not_found");
        let path = find("sh", &by_name.config.path).expect("a shell");
        let by_path = settings(|c| c.allowed = vec![path.to_str().expect("text").into()]);
        assert_eq!(code(&by_path, asks(&["sh"])), "admitted", "the name leads to the listed path");
        let all = settings(|c| c.allow_all = true);
        assert_eq!(code(&all, asks(&["sh"])), "admitted");
        assert_eq!(code(&all, asks(&["no-such-thing"])), "not_found");
        assert_eq!(code(&all, asks(&["/etc/passwd"])), "not_found", "not a program");
    }

    #[test]
    fn senseless_input_is_refused() {
        let all = settings(|c| c.allow_all = true);
        assert_eq!(code(&all, asks(&[])), "bad_input");
        assert_eq!(code(&all, asks(&[""])), "bad_input");
        assert_eq!(code(&all, asks(&["sh", "a\0b"])), "bad_input");
        let mut odd = asks(&["sh"]);
        odd.env.insert("A=B".into(), "c".into());
        assert_eq!(code(&all, odd), "bad_input");
        let base64 = Request { stdin: Some("?".into()), stdin_encoding: Encoding::Base64, ..asks(&["sh"]) };
        assert_eq!(code(&all, base64), "bad_input");
        let limits = LimitsSpec { wall_secs: Some(-1.0), ..LimitsSpec::default() };
        assert_eq!(code(&all, Request { limits: Some(limits), ..asks(&["sh"]) }), "bad_input");
        let nowhere = Request { cwd: Some("/no/such".into()), ..asks(&["sh"]) };
        assert_eq!(code(&all, nowhere), "bad_input");
    }

    #[test]
    fn the_working_directory_stays_below_its_roots() {
        let root = tempfile::tempdir().expect("a folder");
        let real = root.path().canonicalize().expect("it is there");
        std::fs::create_dir(real.join("in")).expect("a folder");
        std::os::unix::fs::symlink("/", real.join("out")).expect("a link");
        let set = settings(|c| {
            c.allowed = vec!["sh".into()];
            c.cwd_roots = vec![root.path().into()];
        });
        let at = |cwd: PathBuf| code(&set, Request { cwd: Some(cwd), ..asks(&["sh"]) });
        assert_eq!(at(real.join("in")), "admitted");
        assert_eq!(at(real.join("out")), "not_allowed");
        assert_eq!(at(real.join("in/../../..")), "not_allowed");
        assert_eq!(at("/".into()), "not_allowed");
        assert_eq!(at("in".into()), "not_allowed");
        assert_eq!(at(real.join("missing")), "bad_input");
        assert_eq!(admit(&set, asks(&["sh"])).expect("admitted").0.cwd, real);
    }

    #[test]
    fn the_environment_is_clean() {
        let set = settings(|c| {
            c.allowed = vec!["sh".into()];
            c.pass_env = vec!["PROXY".into(), "UNSET".into()];
        });
        let worker = |name: &str| match name {
            "HOME" => Some("/home/w".to_owned()),
            "PROXY" => Some("p".to_owned()),
            "UNSET" => None,
            "LANG" | "TMPDIR" => None,
            other => panic!("`{other}` was looked up"),
        };
        let task = BTreeMap::from([("MINE".to_owned(), "1".to_owned())]);
        let env = environment(&set, task, worker).expect("admitted");
        let names: Vec<&str> = env.keys().map(String::as_str).collect();
        assert_eq!(names, ["HOME", "LANG", "MINE", "PATH", "PROXY", "TMPDIR"]);
        let preload = BTreeMap::from([("LD_PRELOAD".to_owned(), "x".to_owned())]);
        assert_eq!(environment(&set, preload, worker).expect_err("refused").code(), "not_allowed");
    }

    #[test]
    fn limits_above_the_maximum_become_the_maximum() {
        let set = settings(|c| c.allow_all = true);
        let asked = LimitsSpec { processes: Some(1_000_000), memory_bytes: Some(1 << 20), ..LimitsSpec::default() };
        let (_, limits) = admit(&set, Request { limits: Some(asked), ..asks(&["sh"]) }).expect("admitted");
        assert_eq!((limits.processes, limits.memory_bytes), (64, 1 << 20));
    }
}
