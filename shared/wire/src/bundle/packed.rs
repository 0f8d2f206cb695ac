//! Walks MessagePack whose lengths were checked, without decoding it.

use std::ops::Range;

use crate::depth::value_at;

/// Where the elements of an array lie, when the bytes are one.
pub(super) fn elements(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let is_array = matches!(bytes.first()?, 0x90..=0x9f | 0xdc | 0xdd);
    children(bytes, is_array)
}

/// Where the keys and values of a map lie, in turn, when the bytes are one.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let is_map = matches!(bytes.first()?, 0x80..=0x8f | 0xde | 0xdf);
    children(bytes, is_map)
}

fn children(bytes: &[u8], is_wanted: bool) -> Option<Vec<Range<usize>>> {
    if !is_wanted {
        return None;
    }
    let (count, mut at) = value_at(bytes, 0).ok()?;
    // Each takes a byte at least: a count beyond the rest is a lie, and nothing is made for it.
    let mut found = Vec::with_capacity(usize::try_from(count).ok().filter(|count| *count <= bytes.len())?);
    for _ in 0..count {
        let end = end_of(bytes, at)?;
        found.push(at..end);
        at = end;
    }
    (at == bytes.len()).then_some(found)
}

/// Behind the value that begins at `at`.
fn end_of(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut waiting = 1_u64;
    while waiting > 0 {
        let (children, width) = value_at(bytes, at).ok()?;
        at = at.checked_add(width).filter(|end| *end <= bytes.len())?;
        waiting = waiting.checked_add(children)? - 1;
    }
    Some(at)
}

/// The text of a string value.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let head = match bytes.first()? {
        0xa0..=0xbf => 1,
        0xd9 => 2,
        0xda => 3,
        0xdb => 5,
        _ => return None,
    };
    std::str::from_utf8(bytes.get(head..)?).ok()
}
