//! A fleet's whole state in a folder, and an empty broker filled from it.
//!
//! [`take`] packs one stream after the other while the fleet goes on working, so the order is what makes the packs agree:
//! see `order`. [`Backup::open`] reads a folder back, [`Backup::verify`] holds it against its sums, [`restore`] makes the
//! streams of it. What is decided is decided in `order` and `manifest`, without a broker and without a file.

mod error;
mod folder;
mod freeze;
mod manifest;
mod open;
mod order;
mod restore;
mod settle;
mod tail;
mod take;

pub use error::{BackupError, FolderError, RestoreError};
pub use manifest::{FORMAT, Manifest, Packed, StoredFile};
pub use open::Backup;
pub use restore::{RestoreOptions, Restored, RestoredStream, restore};
pub use take::{TakeOptions, take};

/// How far it is: a stream, and how many bytes of it are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// Which stream, from 1.
    pub stream: usize,
    /// Of how many.
    pub of: usize,
    /// Its name, or what else is done.
    pub what: &'a str,
    /// The bytes of its pack so far.
    pub bytes: u64,
}
