//! The inputs that are kept: `corpus/<target>/<what it is>`, one per file.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::targets::Target;

/// One kept input.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The name of its file, which says what it is.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The folder of all kept inputs.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The kept inputs of a target, in the order of their names.
///
/// # Errors
/// When its folder or a file cannot be read.
pub fn of(target: &Target) -> anyhow::Result<Vec<Kept>> {
    let folder = folder().join(target.name);
    let listed = std::fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut kept = Vec::new();
    for entry in listed {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        kept.push(Kept { name, bytes });
    }
    // Folders have no order, and everything is to follow from the seed.
    kept.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(kept)
}

/// Keeps an input that failed, under a name made of its bytes.
///
/// # Errors
/// When it cannot be written.
pub fn keep(target: &Target, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let folder = folder().join(target.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let path = folder.join(format!("found-{:016x}", nova_types::Fnv1a::of(bytes).value()));
    std::fs::write(&path, bytes).with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}
