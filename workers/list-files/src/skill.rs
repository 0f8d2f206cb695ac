//! The skill itself: checks the folder, asks git or walks, reads.

use nova_review::git::{self, GitError, Listing};
use nova_worker::{BlockingSkill, Context, Verdict};
use serde::Deserialize;

use crate::Config;
use crate::list::{Limits, Listed};
use crate::roots::{Refusal, RootError, Roots};
use crate::tree::Tree;
use crate::walk::walk;

/// What a task asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The folder: absolute, or from the first root.
    pub path: String,
    /// The largest file wanted, when that is less than the worker gives.
    #[serde(default)]
    pub max_file_bytes: Option<u64>,
}

/// Lists the source files of a folder.
#[derive(Debug)]
pub struct ListFiles {
    roots: Roots,
    config: Config,
}

impl ListFiles {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`RootError`] when a root is not there.
    pub fn new(config: Config) -> Result<Self, RootError> {
        Ok(Self { roots: Roots::new(&config)?, config })
    }

    /// Asks git for what is tracked at or below the folder; a folder outside any repository is walked.
    fn listing(&self, path: &str) -> Result<(Listing, Tree), Verdict> {
        let folder = self.roots.resolve(path).map_err(refused)?;
        let (root, commit, tracked) = match git::list(&folder) {
            Ok(listing) => (listing.root, listing.commit, Some(listing.entries)),
            Err(GitError::NoRepository { .. }) => (folder, None, None),
            Err(error) => return Err(by_git(&error)),
        };
        // A repository may begin above the roots, and its own settings may say that it lies elsewhere.
        if !self.roots.holds(&root) {
            return Err(refused(Refusal::Above(path.to_owned())));
        }
        let tree = Tree::open(&root);
        let tree = tree.map_err(|error| Verdict::retry("unreadable", format!("could not open {path}: {error}")))?;
        let entries = tracked.unwrap_or_else(|| walk(&tree, self.config.max_entries));
        Ok((Listing { root, commit, entries }, tree))
    }
}

impl BlockingSkill for ListFiles {
    type Input = Input;
    type Output = Listed;

    fn name(&self) -> &str {
        "list-files"
    }

    fn run(&self, input: Input, cx: &Context) -> Result<Listed, Verdict> {
        let (listing, tree) = self.listing(&input.path)?;
        if listing.entries.len() > self.config.max_entries {
            let message = format!("{} has more than {} entries", input.path, self.config.max_entries);
            return Err(Verdict::reject("too_many", message));
        }
        let limits = Limits {
            file_bytes: self.config.max_file_bytes.min(input.max_file_bytes.unwrap_or(u64::MAX)),
            total_bytes: self.config.max_total_bytes,
        };
        let root = listing.root.to_string_lossy().into_owned();
        let mut listed = Listed { root, commit: listing.commit, ..Listed::default() };
        let read = listed.read(&tree, &listing.entries, limits, || cx.is_cancelled());
        if cx.is_cancelled() {
            return Err(Verdict::retry("cancelled", "the attempt was told to stop"));
        }
        read.map_err(|_| {
            let most = self.config.max_total_bytes / (1024 * 1024);
            let message = format!("the files of {} have more than {most} MiB: name a folder in it", input.path);
            Verdict::reject("too_large", message)
        })?;
        Ok(listed)
    }
}

fn refused(refusal: Refusal) -> Verdict {
    let code = match refusal {
        Refusal::NotAllowed(_) | Refusal::Above(_) => "not_allowed",
        Refusal::NotFound(_) => "not_found",
    };
    Verdict::reject(code, refusal.to_string())
}

fn by_git(error: &GitError) -> Verdict {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        message = format!("{message}: {source}");
        cause = source.source();
    }
    match error {
        GitError::Look { .. } => Verdict::reject("not_found", message),
        GitError::File { .. } | GitError::NoRepository { .. } | GitError::NoWorkTree { .. } => {
            Verdict::reject("no_folder", message)
        }
        GitError::Refused { .. } => Verdict::reject("git", message),
        GitError::Run(_) => Verdict::retry("git", message),
    }
}
