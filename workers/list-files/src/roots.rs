//! Which folders may be listed: those below the configured roots, whatever a task or a link says.

use std::path::{Component, Path, PathBuf};

use crate::Config;

/// The folders that tasks may name.
#[derive(Debug, Clone)]
pub struct Roots {
    folders: Vec<PathBuf>,
    is_open: bool,
}

/// A root that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("root {root:?} cannot be used")]
pub struct RootError {
    root: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Why a task's folder is not listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not below a root, or nobody may know whether it exists.
    #[error("{0} is not below a folder that this worker may list (setting list-files.roots)")]
    NotAllowed(String),
    /// Its repository is larger than the root.
    #[error(
        "{0} belongs to a repository that begins above the folders this worker may list (setting list-files.roots)"
    )]
    Above(String),
    /// There is no such folder below the roots.
    #[error("there is no folder {0}")]
    NotFound(String),
}

impl Roots {
    /// Makes the roots canonical.
    ///
    /// # Errors
    /// [`RootError`] when one is not there.
    pub fn new(config: &Config) -> Result<Self, RootError> {
        let canonical = |root: &PathBuf| root.canonicalize().map_err(|source| RootError { root: root.clone(), source });
        Ok(Self { folders: config.roots.iter().map(canonical).collect::<Result<_, _>>()?, is_open: config.allow_all })
    }

    /// The folder a task means, without links. A relative path starts at the first root.
    ///
    /// # Errors
    /// [`Refusal`] when it is not below a root or not there.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, Refusal> {
        let asked = match self.folders.first() {
            Some(first) => first.join(path),
            None => PathBuf::from(path),
        };
        match asked.canonicalize() {
            Ok(real) if self.holds(&real) => Ok(real),
            // What is not there is told only of places that may be looked at.
            Err(_) if self.is_open || self.holds_by_name(&asked) => Err(Refusal::NotFound(path.to_owned())),
            _ => Err(Refusal::NotAllowed(path.to_owned())),
        }
    }

    /// Whether a folder without links may be listed.
    #[must_use]
    pub fn holds(&self, real: &Path) -> bool {
        self.is_open || self.folders.iter().any(|root| real.starts_with(root))
    }

    fn holds_by_name(&self, asked: &Path) -> bool {
        !asked.components().any(|part| part == Component::ParentDir) && self.holds(asked)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_allowed_by_default() {
        let roots = Roots::new(&Config::default()).unwrap();
        for path in ["/", "/etc", ".", "", "/no/such/folder"] {
            assert_eq!(roots.resolve(path), Err(Refusal::NotAllowed(path.to_owned())), "{path}");
        }
    }

    #[test]
    fn no_way_leads_out_of_a_root() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (inside, outside) = (inside.path().canonicalize().unwrap(), outside.path().canonicalize().unwrap());
        std::fs::create_dir(inside.join("a")).unwrap();
        symlink(&outside, inside.join("out")).unwrap();
        symlink(inside.join("a"), inside.join("within")).unwrap();
        let config = Config { roots: vec![inside.clone()], ..Config::default() };
        let roots = Roots::new(&config).unwrap();
        assert_eq!(roots.resolve("."), Ok(inside.clone()));
        assert_eq!(roots.resolve("a"), Ok(inside.join("a")));
        assert_eq!(roots.resolve("within"), Ok(inside.join("a")));
        assert_eq!(roots.resolve(inside.join("a").to_str().unwrap()), Ok(inside.join("a")));
        assert_eq!(roots.resolve("gone"), Err(Refusal::NotFound("gone".into())));
        for path in ["out", "..", "a/../..", "/", "/etc/passwd", outside.to_str().unwrap(), "../gone", "/gone"] {
            assert_eq!(roots.resolve(path), Err(Refusal::NotAllowed(path.to_owned())), "{path}");
        }
        // A neighbour whose name begins alike is no child.
        let neighbour = PathBuf::from(format!("{}-2", inside.display()));
        assert!(!roots.holds(&neighbour));
    }

    #[test]
    fn a_root_that_is_not_there_stops_the_worker() {
        let config = Config { roots: vec!["/no/such/folder".into()], ..Config::default() };
        assert!(Roots::new(&config).unwrap_err().to_string().contains("/no/such/folder"));
    }
}
