//! Lists `rules/<folder>/<name>.yml` so that adding a file is all it takes to add a rule.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("rules");
    let mut text = String::from("&[\n");
    for folder in sorted(&root)? {
        println!("cargo::rerun-if-changed={}", folder.display());
        for file in sorted(&folder)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(stem) = name.strip_suffix(".yml").filter(|stem| !stem.ends_with(".test")) {
                let folder = folder.file_name().unwrap_or_default().to_string_lossy();
                writeln!(text, "    ({folder:?}, {stem:?}, include_str!({:?})),", file.display().to_string())
                    .map_err(io::Error::other)?;
            }
        }
    }
    text.push_str("]\n");
    println!("cargo::rerun-if-changed={}", root.display());
    fs::write(PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("builtin_rules.rs"), text)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
