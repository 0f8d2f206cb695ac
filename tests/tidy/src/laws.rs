//! The laws, one file each, and the list the driver runs.

pub mod always_run;
pub mod broker;
pub mod edges;
pub mod generated;
pub mod hygiene;
pub mod layout;
pub mod links;
pub mod manifests;
pub mod modules;
pub mod programs;
pub mod purity;
pub mod subjects;
pub mod targets;
pub mod workers;

use crate::{Finding, Tree};

/// A law: looks at the tree, returns what breaks it.
pub type Law = fn(&Tree) -> Vec<Finding>;

/// Every law that needs nothing but the files.
pub const LAWS: &[(&str, Law)] = &[
    ("crate edges", edges::law),
    ("one door to the broker", broker::law),
    ("pure crates", purity::law),
    ("subjects live in shared/wire", subjects::law),
    ("one shape of manifest", manifests::law),
    ("module docs and file sizes", modules::law),
    ("tests always run", always_run::law),
    ("workers and the catalogue", workers::law),
    ("deployments start what is built", programs::law),
    ("top-level layout", layout::law),
    ("no machine, no registry", hygiene::law),
    ("links lead somewhere", links::law),
    ("make targets exist", targets::law),
];
