//! What the broker makes of a stream's settings: defaults it fills in, combinations and changes it refuses.

use std::time::Duration;

use super::refusal::Refusal;
use super::subjects::overlap;
use crate::{Discard, StreamSpec};

/// The broker's dedupe window where none is named.
const DEFAULT_WINDOW: Duration = Duration::from_secs(120);

/// Fills in what was left open.
pub(super) fn complete(mut spec: StreamSpec) -> Result<StreamSpec, Refusal> {
    for limit in [&mut spec.max_bytes, &mut spec.max_messages, &mut spec.max_messages_per_subject] {
        if *limit <= 0 {
            *limit = -1;
        }
    }
    let longest = if spec.max_age.is_zero() { Duration::MAX } else { spec.max_age };
    if spec.duplicate_window.is_zero() {
        spec.duplicate_window = DEFAULT_WINDOW.min(longest);
    }
    if spec.duplicate_window > longest {
        return Err(Refusal::new(10052, "duplicates window can not be larger then max age"));
    }
    if spec.allow_schedules && spec.discard == Discard::New {
        return Err(Refusal::new(10052, "message schedules can not be used with discard new"));
    }
    // The broker turns these on by itself, since it writes marks and schedules by them.
    spec.allow_ttl |= !spec.delete_marker_ttl.is_zero();
    spec.allow_rollup |= spec.allow_schedules || !spec.delete_marker_ttl.is_zero();
    Ok(spec)
}

/// Judges a change of an existing stream.
pub(super) fn change(old: &StreamSpec, new: StreamSpec) -> Result<StreamSpec, Refusal> {
    let new = complete(new)?;
    if old.allow_ttl && !new.allow_ttl {
        return Err(Refusal::new(10052, "message TTL status can not be disabled"));
    }
    Ok(new)
}

/// Refuses subjects that another stream owns.
pub(super) fn check_overlap<'a>(
    spec: &StreamSpec,
    mut others: impl Iterator<Item = &'a StreamSpec>,
) -> Result<(), Refusal> {
    let clash =
        |other: &&StreamSpec| spec.subjects.iter().any(|one| other.subjects.iter().any(|two| overlap(one, two)));
    match others.find(clash) {
        Some(_) => Err(Refusal::new(10065, "subjects overlap with an existing stream")),
        None => Ok(()),
    }
}
