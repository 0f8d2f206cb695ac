//! Finds the nats-server to launch.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;

/// Finds nats-server: `NOVA_NATS_SERVER`, then `PATH`, then the workspace's `.venv/bin`.
///
/// # Errors
/// When there is none; the message names `make setup`, which installs one.
pub fn find_nats_server() -> anyhow::Result<PathBuf> {
    find(std::env::var_os("NOVA_NATS_SERVER"), std::env::var_os("PATH"), Path::new(env!("CARGO_MANIFEST_DIR")))
}

fn find(named: Option<OsString>, path: Option<OsString>, start: &Path) -> anyhow::Result<PathBuf> {
    if let Some(named) = named.filter(|name| !name.is_empty()).map(PathBuf::from) {
        if !named.is_file() {
            bail!("NOVA_NATS_SERVER names {}, which is no file", named.display());
        }
        return Ok(named);
    }
    let on_path = path.iter().flat_map(std::env::split_paths).map(|dir| dir.join("nats-server"));
    let in_venv = start.ancestors().map(|dir| dir.join(".venv/bin/nats-server"));
    match on_path.chain(in_venv).find(|candidate| candidate.is_file()) {
        Some(found) => Ok(found),
        None => bail!("no nats-server on PATH or in .venv/bin; run `make setup`, or set NOVA_NATS_SERVER to one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_then_path_then_the_virtual_environment() {
        let dir = tempfile::tempdir().unwrap();
        let place = |sub: &str| {
            let folder = dir.path().join(sub);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("nats-server"), "").unwrap();
            folder
        };
        let (named, on_path, venv) = (place("named").join("nats-server"), place("path"), place("ws/.venv/bin"));
        let deep = dir.path().join("ws/shared/testkit");
        let seek = |named: Option<&PathBuf>, path: Option<&PathBuf>| {
            find(named.map(|p| p.clone().into()), path.map(|p| p.clone().into()), &deep).unwrap()
        };
        assert_eq!(seek(Some(&named), Some(&on_path)), named);
        assert_eq!(seek(None, Some(&on_path)), on_path.join("nats-server"));
        assert_eq!(seek(None, None), venv.join("nats-server"));
    }

    #[test]
    fn finding_none_names_the_command_that_helps() {
        let dir = tempfile::tempdir().unwrap();
        let said = find(None, None, dir.path()).unwrap_err().to_string();
        assert!(said.contains("make setup"), "{said}");
        let said = find(Some("/nowhere/nats".into()), None, dir.path()).unwrap_err().to_string();
        assert!(said.contains("/nowhere/nats"), "{said}");
    }
}
