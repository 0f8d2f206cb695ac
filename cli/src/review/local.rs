//! A look at the repository before anything is asked of the fleet: whether it is one, and how much there is to do.

use std::path::{Path, PathBuf};

use nova_review::git::{self, GitError, Listing};

use crate::exit::Exit;
use crate::failure::Failure;

/// A repository on this machine, as far as it must be known to start a review of it.
pub(crate) struct Local {
    /// The folder to review, without links: a worker on this machine finds it there.
    pub(crate) folder: PathBuf,
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Its tracked entries at or below the folder.
    pub(crate) tracked: u64,
    /// How many of them may be source files, by their names.
    pub(crate) promising: u64,
}

/// Looks at the names that git knows.
///
/// # Errors
/// When the folder is no git repository, or git is missing or refuses; the failure says what to do.
pub(crate) fn look(path: &Path) -> Result<Local, Failure> {
    let listing = git::list(path).map_err(refused)?;
    let folder = path.canonicalize();
    let folder = folder.map_err(|source| Failure::io(format!("look at {}", path.display()), source))?;
    let promising = listing.promising();
    let Listing { root, entries, .. } = listing;
    Ok(Local { folder, root, tracked: entries.len() as u64, promising })
}

fn refused(error: GitError) -> Failure {
    let no_repository = |error: GitError| Failure::because(Exit::USAGE, "no_repository", error);
    match error {
        GitError::File { path } => {
            Failure::usage(format!("{} is a file; name the repository it is in", path.display()))
        }
        GitError::Look { .. } => no_repository(error),
        GitError::NoRepository { .. } => no_repository(error)
            .help("name one: its tracked files are reviewed")
            .help("or make it one: git init && git add ."),
        GitError::NoWorkTree { .. } => no_repository(error).help("name a clone of it"),
        GitError::Run(_) => Failure::because(Exit::FAILURE, "io", error).help("install git, or put it on PATH"),
        GitError::Refused { .. } => Failure::because(Exit::FAILURE, "git", error),
    }
}
