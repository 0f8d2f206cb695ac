//! The `list-files` skill: the source files of a git repository or folder, with their text.
//!
//! Only folders below configured roots are read, no link is followed, and whatever is left out is named.

mod config;
mod list;
mod roots;
mod skill;
mod tree;
mod walk;

pub use config::Config;
pub use list::{Limits, Listed, SourceFile, TooMuch};
pub use roots::{Refusal, RootError, Roots};
pub use skill::{Input, ListFiles};
