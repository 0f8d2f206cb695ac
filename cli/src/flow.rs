//! What the commands about workflows and runs share.

pub(crate) mod act;
pub(crate) mod file;
pub(crate) mod live;
pub(crate) mod mermaid;
pub(crate) mod replay;
pub(crate) mod told;
pub(crate) mod tree;
pub(crate) mod which;
pub(crate) mod why;
pub(crate) mod words;
pub(crate) mod yaml;
