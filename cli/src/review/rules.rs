//! Rules that a user brings along.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What the workers take of a task's own rules, in bytes.
const MOST: usize = 256 * 1024;

/// Reads a folder of rules into the one text that a task carries.
///
/// # Errors
/// When the folder cannot be read, holds no rule, or holds too much.
pub(crate) fn read(folder: &Path) -> Result<String, Failure> {
    let mut files = Vec::new();
    collect(folder, &mut files)
        .map_err(|source| Failure::io(format!("read the rules in {}", folder.display()), source))?;
    files.sort();
    let mut texts = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file);
        texts.push(text.map_err(|source| Failure::io(format!("read {}", file.display()), source))?);
    }
    let all = texts.join("\n---\n");
    if all.trim().is_empty() {
        return Err(Failure::usage(format!("there is no rule (*.yml) in {}", folder.display())));
    }
    if all.len() > MOST {
        let message =
            format!("the rules in {} have {} bytes; a task carries {MOST} at most", folder.display(), all.len());
        return Err(Failure::usage(message).help("give them to the workers instead: setting code-review.rules_dir"));
    }
    Ok(all)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if name.ends_with(".yml") && !name.ends_with(".test.yml") {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn rules_are_found_deeply_and_their_tests_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        for (name, text) in [("a.yml", "id: a"), ("a.test.yml", "positive: []"), ("b/c.yml", "id: c"), ("d.txt", "x")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(read(dir.path()).unwrap(), "id: a\n---\nid: c");
        assert_eq!(read(&dir.path().join("nowhere")).unwrap_err().exit, Exit::FAILURE);
        std::fs::write(dir.path().join("big.yml"), vec![b'#'; MOST]).unwrap();
        assert_eq!(read(dir.path()).unwrap_err().exit, Exit::USAGE);
    }
}
