//! What can go wrong with a backup.

use std::path::PathBuf;

use nova_broker::{BrokerError, PublishError};

use super::manifest::ManifestError;
use crate::AssetId;

/// A folder that cannot be written, or is no backup.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is something in it.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The disk said no.
    #[error("could not {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It has no manifest, so it is no backup, or one that was not finished.
    #[error("{} holds no whole backup: there is no manifest.json", path.display())]
    NoManifest {
        /// The folder.
        path: PathBuf,
    },
    /// Its manifest cannot be used.
    #[error("could not use {}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// A file is gone.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file was cut or grew.
    #[error("{} has {found} bytes and not {written}, as when it was written", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// How many it has.
        found: u64,
        /// How many were written.
        written: u64,
    },
    /// A file is not what was written.
    #[error("{} is damaged: its SHA-256 is not what it was when it was written", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A line of a tail is not what was written, though its file is.
    #[error("could not read line {line} of {}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A backup that was not taken. What is in its folder is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no fleet.
    #[error("there is nothing to back up: the broker has no stream {missing}")]
    Nothing {
        /// What is missing.
        missing: &'static str,
    },
    /// The streams could not be listed.
    #[error("could not list the streams")]
    List(#[source] BrokerError),
    /// A stream could not be packed.
    #[error("could not pack stream {stream}")]
    Pack {
        /// The stream.
        stream: String,
        /// Why not.
        #[source]
        source: BrokerError,
    },
    /// The coordinators' mailboxes could not be shut.
    #[error("could not pause {consumer} for the backup")]
    Pause {
        /// The consumer.
        consumer: AssetId,
        /// Why not.
        #[source]
        source: BrokerError,
    },
    /// A coordinator did not come to rest.
    #[error(
        "{consumer} did not come to rest within {waited_secs} s of being paused, so runs and due tasks are on the move"
    )]
    Restless {
        /// The consumer.
        consumer: AssetId,
        /// How long it was waited for.
        waited_secs: u64,
    },
    /// A coordinator moved something while the backup was taken.
    #[error("{consumer} moved while the backup was taken, so what it moved may be in no part of it")]
    Moved {
        /// The consumer.
        consumer: AssetId,
    },
}

/// A restore that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The broker was looked at in vain.
    #[error("could not look at the broker")]
    Look(#[source] BrokerError),
    /// The broker holds a fleet.
    #[error("the broker is not empty: it has {}", names.join(", "))]
    Occupied {
        /// What it has.
        names: Vec<String>,
    },
    /// The server is older than that of the backup.
    #[error("nats-server {found} is older than {taken}, from which the backup was taken, and need not read it")]
    OldServer {
        /// The server's version.
        found: String,
        /// That of the backup.
        taken: String,
    },
    /// A stream could not be made.
    #[error("could not restore stream {stream}")]
    Stream {
        /// The stream.
        stream: String,
        /// Why not.
        #[source]
        source: BrokerError,
    },
    /// What was written while a snapshot was taken could not be written again.
    #[error("could not write again what came while stream {stream} was packed")]
    Tail {
        /// The stream.
        stream: String,
        /// Why not.
        #[source]
        source: PublishError,
    },
    /// A stream is not what was packed.
    #[error("stream {stream} ends at sequence {found} after its restore, and not at {wanted}")]
    Short {
        /// The stream.
        stream: String,
        /// Where it ends.
        found: u64,
        /// Where it ended.
        wanted: u64,
    },
    /// A consumer is ahead of its stream: what comes next would be passed over.
    #[error("{consumer} stands at sequence {at} after the restore, and its stream ends at {last}")]
    Ahead {
        /// The consumer.
        consumer: AssetId,
        /// Where it stands.
        at: u64,
        /// Where the stream ends.
        last: u64,
    },
    /// Tasks that have ended could not be taken out of their queue.
    #[error("could not look through {consumer} for tasks that have ended")]
    Settle {
        /// Of which consumer.
        consumer: AssetId,
        /// Why not.
        #[source]
        source: BrokerError,
    },
}
