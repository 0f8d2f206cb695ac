//! The programs of the last release, built from its commit under `target/upgrade/` and kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The tree this program was built from.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// What is laid into the release's own sources: the actors of a run, built against what it published.
const ACTORS: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../released/package.toml")),
    ("src/main.rs", include_str!("../../released/main.rs")),
    ("src/order.rs", include_str!("../order.rs")),
    ("src/history.rs", include_str!("../history.rs")),
];
/// What is built; skills with parsers in them are left out, they take minutes and prove nothing more.
const PROGRAMS: [&str; 3] = ["nova", "nova-coordinator", "nova-released"];

/// A release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: String,
    /// Its commit.
    pub commit: String,
}

impl Release {
    /// The last one of a changelog: its heading names the version, the line below the commit.
    #[must_use]
    pub fn last(changelog: &str) -> Option<Self> {
        let mut lines = changelog.lines().skip_while(|line| !line.starts_with("## ") || line.contains("Unreleased"));
        let version = lines.next()?.strip_prefix("## ")?.split(' ').next()?.to_owned();
        let section = lines.take_while(|line| !line.starts_with("## "));
        let commit = section.filter_map(|line| line.strip_prefix("Commit `")?.strip_suffix("`.")).next()?.to_owned();
        Some(Self { version, commit })
    }

    /// The last one of this tree.
    ///
    /// # Errors
    /// When the changelog names none.
    pub fn of_this_tree() -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(Path::new(ROOT).join("CHANGELOG.md")).context("no changelog")?;
        Self::last(&text).context("CHANGELOG.md names no release with its commit")
    }

    /// Builds its programs, which takes minutes the first time, and says where they are.
    ///
    /// # Errors
    /// When its commit is not here or does not build.
    pub fn build(&self) -> anyhow::Result<PathBuf> {
        let here = std::env::current_exe().context("the program does not know where it is")?;
        let target = here.ancestors().nth(2).context("the program is in no target directory")?;
        let home = target.join("upgrade").join(&self.version);
        let sources = home.join("src");
        if !sources.join("Cargo.toml").exists() {
            std::fs::create_dir_all(&sources)?;
            let archive = home.join("src.tar");
            let commit = ["archive", "--output", path(&archive)?, &self.commit];
            run(Command::new("git").current_dir(ROOT).args(commit), "take the release out of the repository")?;
            run(Command::new("tar").args(["-xf", path(&archive)?, "-C", path(&sources)?]), "unpack the release")?;
        }
        let actors = sources.join("workers/released");
        std::fs::create_dir_all(actors.join("src"))?;
        for (name, text) in ACTORS {
            let at = actors.join(name);
            // What has not changed is not built again.
            if std::fs::read_to_string(&at).ok().as_deref() != Some(text) {
                std::fs::write(&at, text)?;
            }
        }
        let mut build = Command::new("cargo");
        // Of the whole workspace, so that crates have the features they were released with.
        build.current_dir(&sources).args([
            "build",
            "--quiet",
            "--workspace",
            "--target-dir",
            path(&home.join("build"))?,
        ]);
        for program in PROGRAMS {
            build.args(["--bin", program]);
        }
        // What cargo told this program's own build is not meant for that one.
        build.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
        run(&mut build, "build the release")?;
        Ok(home.join("build/debug"))
    }
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}

fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("could not {what}"))?;
    ensure!(status.success(), "could not {what}: {command:?} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_release_is_the_first_of_the_changelog_that_has_a_version() {
        let text = "# Changelog\n\n## Unreleased\n\n- x\n\n## 0.2.0 - 2026-12-24\n\nCommit `ab`.\n\n## 0.1.0 - 2026-11-22\n\nCommit `cd`.\n";
        let wanted = Release { version: "0.2.0".to_owned(), commit: "ab".to_owned() };
        assert_eq!(Release::last(text), Some(wanted));
        assert_eq!(Release::last("## Unreleased\n\n## 0.2.0 - x\n\n## 0.1.0 - y\n\nCommit `cd`.\n"), None);
        assert!(Release::of_this_tree().is_ok());
    }
}
