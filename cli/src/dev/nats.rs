//! Finds the nats-server of this machine and describes how a fleet runs it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nova_broker::jetstream::OLDEST_SERVER;
use nova_provision::Profile;

use super::store::Store;
use crate::exit::Exit;
use crate::failure::Failure;

/// What streams may reserve in sum: far above what the catalogue asks for, because it bounds promises, not use.
const RESERVABLE: &str = "64GiB";

/// A server program that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its version, such as `2.15.1`.
    pub(crate) version: String,
}

/// Where to look, in this order.
struct Places {
    named: Option<PathBuf>,
    others: Vec<PathBuf>,
}

impl Places {
    fn of_process() -> Self {
        let named = std::env::var_os("NOVA_NATS_SERVER").filter(|name| !name.is_empty()).map(PathBuf::from);
        let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("../../.venv/bin")));
        Self { named, others: others(std::env::var_os("PATH"), beside) }
    }
}

fn others(path: Option<OsString>, beside: Option<PathBuf>) -> Vec<PathBuf> {
    let on_path: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
    let folders = on_path.into_iter().chain(beside).chain([PathBuf::from(".venv/bin")]);
    folders.map(|folder| folder.join("nats-server")).collect()
}

/// Finds a server: `NOVA_NATS_SERVER` alone when it is set, else `PATH`, then the `.venv` that `make setup` fills.
///
/// # Errors
/// When there is none, or none that is new enough; the failure says what to do.
pub(crate) fn find() -> Result<Program, Failure> {
    choose(&Places::of_process(), version_of)
}

fn choose(places: &Places, version_of: impl Fn(&Path) -> Option<String>) -> Result<Program, Failure> {
    if let Some(path) = &places.named {
        let Some(version) = version_of(path) else {
            let message = format!("NOVA_NATS_SERVER names {}, which is no nats-server that runs here", path.display());
            return Err(Failure::new(Exit::USAGE, "no_server", message).help("correct the variable, or unset it"));
        };
        return if is_new_enough(&version) {
            Ok(Program { path: path.clone(), version })
        } else {
            Err(old(path, &version))
        };
    }
    let found = places.others.iter().filter(|path| path.is_file()).filter_map(|path| Some((path, version_of(path)?)));
    let mut too_old = None;
    for (path, version) in found {
        if is_new_enough(&version) {
            return Ok(Program { path: path.clone(), version });
        }
        too_old.get_or_insert((path, version));
    }
    Err(match too_old {
        Some((path, version)) => old(path, &version),
        None => Failure::new(Exit::NOT_FOUND, "no_server", "no nats-server on PATH or in .venv/bin")
            .help("in a checkout of Nova, this installs one: make setup")
            .help(format!("or install nats-server {OLDEST_SERVER} or later, or name one: NOVA_NATS_SERVER=FILE")),
    })
}

fn old(path: &Path, version: &str) -> Failure {
    let message = format!("{} is nats-server {version}; Nova needs {OLDEST_SERVER} or later", path.display());
    Failure::new(Exit::FAILURE, "old_server", message)
        .help("in a checkout of Nova, this installs one: make setup")
        .help("or name a newer one: NOVA_NATS_SERVER=FILE")
}

fn version_of(path: &Path) -> Option<String> {
    let told = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix('v')).map(str::to_owned)?;
    numbers(&version).map(|_| version)
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    // What follows a dash names a preview of the version before it.
    let mut parts = version.split(['-', '+']).next()?.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

fn is_new_enough(version: &str) -> bool {
    numbers(version) >= numbers(OLDEST_SERVER)
}

/// Refuses a port that something else listens on, before a server tries it.
///
/// # Errors
/// When the port is taken.
pub(crate) fn check_port(port: u16) -> Result<(), Failure> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(source) => Err(port_taken(port, &source.to_string())),
    }
}

/// The failure of a port that cannot be listened on.
pub(crate) fn port_taken(port: u16, why: &str) -> Failure {
    Failure::new(Exit::REFUSED, "port_taken", format!("could not listen on port {port} of this machine: {why}"))
        .help("take any free one: --port 0")
        .help("or use what runs there: nova --server nats://127.0.0.1:4222 ...".replace("4222", &port.to_string()))
}

/// The server's configuration; port -1 lets it choose one.
pub(crate) fn configuration(store: &Store, profile: Profile, port: Option<u16>) -> String {
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let mut text = String::from("# Written by `nova dev` at each start.\n");
    let mut say = |line: &str| writeln!(text, "{line}").expect("writing to a String cannot fail");
    say(&format!("server_name: nova-dev\nlisten: \"127.0.0.1:{port}\""));
    say(&format!("ports_file_dir: {}", quoted(&store.ports())));
    say("max_payload: 1MiB\nwrite_deadline: 10s");
    say(&format!("jetstream {{\n  store_dir: {}", quoted(&store.streams())));
    say(&format!("  max_file_store: {RESERVABLE}\n  max_memory_store: 64MiB"));
    if profile != Profile::Fast {
        say("  sync_interval: always");
    }
    say("}");
    text
}

fn quoted(path: &Path) -> String {
    // The server's format knows the escapes of JSON.
    serde_json::to_string(&path.to_string_lossy()).expect("a text always encodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose_among(named: Option<&str>, versions: &[(&str, &str)]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        versions.iter().for_each(|(name, _)| std::fs::write(file(name), "").unwrap());
        let places = Places { named: named.map(file), others: versions.iter().map(|(name, _)| file(name)).collect() };
        let version_of = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            versions.iter().find(|(known, _)| *known == name).map(|(_, version)| (*version).to_owned())
        };
        choose(&places, version_of).map(|program| program.version).map_err(|failure| failure.code)
    }

    #[test]
    fn the_first_server_that_is_new_enough_is_taken() {
        assert_eq!(choose_among(None, &[("a", "2.10.0"), ("b", "2.14.3"), ("c", "2.15.1")]), Ok("2.14.3".to_owned()));
        assert_eq!(choose_among(None, &[("a", "2.10.0")]), Err("old_server".to_owned()));
        assert_eq!(choose_among(None, &[("a", "2.14.2")]), Err("old_server".to_owned()));
        assert_eq!(choose_among(None, &[("a", "3.0.0-RC.1")]), Ok("3.0.0-RC.1".to_owned()));
        assert_eq!(choose_among(None, &[]), Err("no_server".to_owned()));
    }

    #[test]
    fn a_server_asked_for_by_name_is_taken_or_refused() {
        let both = [("a", "2.10.0"), ("b", "2.15.1")];
        assert_eq!(choose_among(Some("b"), &both), Ok("2.15.1".to_owned()));
        assert_eq!(choose_among(Some("a"), &both), Err("old_server".to_owned()));
        assert_eq!(choose_among(Some("c"), &both), Err("no_server".to_owned()));
    }

    #[test]
    fn a_missing_server_names_the_command_that_installs_one() {
        let failure = choose(&Places { named: None, others: vec![] }, |_| None).unwrap_err();
        assert!(failure.help[0].contains("make setup"), "{:?}", failure.help);
    }

    #[test]
    fn a_taken_port_is_told_with_the_way_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let failure = check_port(listener.local_addr().unwrap().port()).unwrap_err();
        assert_eq!(failure.code, "port_taken");
        assert!(failure.help[0].contains("--port 0"));
    }
}
