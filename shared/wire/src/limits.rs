//! The sizes that hold on the wire, each with its reason.

use std::time::Duration;

/// Bodies up to this size travel inline, larger ones through the object store, in bytes.
///
/// A quarter of the broker's default message limit: a dead letter with its headers still fits.
pub const INLINE_BYTES: usize = 256 * 1024;

/// The default limit of a payload in the object store, in bytes.
pub const BLOB_BYTES: u64 = 64 * 1024 * 1024;

/// How deep a body may nest. serde_json refuses at 128; staying below keeps the refusal ours, with a clear code.
pub const DEPTH: usize = 100;

/// How many runs a child run may have above it. A workflow that starts itself ends here, instead of filling the store.
pub const RUN_DEPTH: u32 = 16;

/// The longest value of one Nova header, in bytes; `Nova-Attempts` has its own limit.
pub const HEADER_BYTES: usize = 4 * 1024;

/// The longest `Nova-Attempts` header, in bytes: the broker allows 64 KiB for all headers together.
pub const ATTEMPTS_HEADER_BYTES: usize = 16 * 1024;

/// The most bytes of headers that Nova writes into one message: the broker refuses more than 64 KiB with what it adds.
pub const HEADER_BLOCK_BYTES: usize = 60 * 1024;

/// The longest trace header that is passed on, in bytes: W3C's own has 55, a later version may be longer.
pub const TRACE_BYTES: usize = 256;

/// The longest message of an error that is kept, in bytes.
pub const MESSAGE_BYTES: usize = 2 * 1024;

/// The largest checkpoint an attempt can leave to the next, in bytes.
pub const CHECKPOINT_BYTES: usize = 128 * 1024;

/// The most attempts a task may ask for.
pub const MAX_ATTEMPTS: u32 = 1000;

/// The most items of a bundle: what one lease, one outcome and one retry are worth having in common. A larger one would be
/// no faster, for its items then cost more than its message.
pub const BUNDLE_ITEMS: u32 = 1000;

/// The longest pause kept as a delayed redelivery; a longer one becomes a schedule, so that it pins no history.
pub const NAK_DELAY: Duration = Duration::from_secs(30);

/// The shortest time an outcome may be asked to live, together with ten leases: it is the fence.
pub const SHORTEST_OUTCOME_TTL: Duration = Duration::from_secs(3600);

/// How far into a chunk of the object store bytes go, in bytes: the broker clients' own default.
pub const BLOB_CHUNK_BYTES: usize = 128 * 1024;

/// Cuts a text to at most `bytes` at a character's border.
#[must_use]
pub fn clip(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// A time to live as the broker reads it: whole seconds, one at least. It knows no days, so `1d` would be refused.
#[must_use]
pub fn ttl_text(ttl: Duration) -> String {
    format!("{}s", ttl.as_millis().div_ceil(1000).max(1))
}
