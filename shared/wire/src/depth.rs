//! Checks a body's nesting and declared lengths by walking its bytes, before anything is allocated for it.

/// A body that is nested too deep, or declares more than it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TooDeep {
    /// Nested deeper than the limit.
    #[error("body is nested deeper than {limit} levels")]
    Depth {
        /// The limit that was crossed.
        limit: usize,
    },
    /// A length points beyond the end.
    #[error("body ends inside a value that began before byte {at}")]
    Truncated {
        /// Where the walk stood, in bytes.
        at: usize,
    },
    /// A byte that begins no value, or bytes after the value.
    #[error("body has a byte that fits no value at {at}")]
    Malformed {
        /// Where the walk stood, in bytes.
        at: usize,
    },
}

/// Checks that JSON nests at most `limit` deep; everything else is left to the decoder.
///
/// # Errors
/// [`TooDeep::Depth`].
pub fn check_json(bytes: &[u8], limit: usize) -> Result<(), TooDeep> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > limit {
                    return Err(TooDeep::Depth { limit });
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Checks that one MessagePack value fills the bytes, nests at most `limit` deep and declares no length beyond its end.
///
/// Format bytes are those of the MessagePack specification.
///
/// # Errors
/// [`TooDeep`].
pub fn check_msgpack(bytes: &[u8], limit: usize) -> Result<(), TooDeep> {
    // How many values each open array or map still waits for. It never grows beyond `limit`.
    let mut open: Vec<u64> = Vec::new();
    let mut at = 0_usize;
    loop {
        let (children, width) = value_at(bytes, at)?;
        let opens = matches!(bytes[at], 0x80..=0x9f | 0xdc..=0xdf);
        at = at.checked_add(width).filter(|end| *end <= bytes.len()).ok_or(TooDeep::Truncated { at })?;
        // Every child takes a byte at least, so a count beyond the rest is a lie.
        if children > (bytes.len() - at) as u64 {
            return Err(TooDeep::Truncated { at });
        }
        // An empty one is a level, too: as JSON, the body would be refused for it.
        if opens && open.len() == limit {
            return Err(TooDeep::Depth { limit });
        }
        if children > 0 {
            open.push(children);
            continue;
        }
        while let Some(waiting) = open.last_mut() {
            *waiting -= 1;
            if *waiting > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return if at == bytes.len() { Ok(()) } else { Err(TooDeep::Malformed { at }) };
        }
    }
}

/// The number of child values and the width in bytes (header and data) of the value at `at`.
pub(crate) fn value_at(bytes: &[u8], at: usize) -> Result<(u64, usize), TooDeep> {
    let first = *bytes.get(at).ok_or(TooDeep::Truncated { at })?;
    let length = |width: usize| -> Result<u64, TooDeep> {
        let digits = bytes.get(at + 1..at + 1 + width).ok_or(TooDeep::Truncated { at })?;
        Ok(digits.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    // Data as long as declared, after a length of `width` bytes and `extra` type bytes.
    let data = |width: usize, extra: usize| -> Result<(u64, usize), TooDeep> {
        let declared = usize::try_from(length(width)?).map_err(|_| TooDeep::Truncated { at })?;
        Ok((0, declared.saturating_add(1 + width + extra)))
    };
    Ok(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 1),
        0x80..=0x8f => (2 * u64::from(first & 0x0f), 1),
        0x90..=0x9f => (u64::from(first & 0x0f), 1),
        0xa0..=0xbf => (0, 1 + usize::from(first & 0x1f)),
        0xc4 | 0xd9 => data(1, 0)?,
        0xc5 | 0xda => data(2, 0)?,
        0xc6 | 0xdb => data(4, 0)?,
        0xc7 => data(1, 1)?,
        0xc8 => data(2, 1)?,
        0xc9 => data(4, 1)?,
        0xcc | 0xd0 => (0, 2),
        0xcd | 0xd1 => (0, 3),
        0xca | 0xce | 0xd2 => (0, 5),
        0xcb | 0xcf | 0xd3 => (0, 9),
        0xd4 => (0, 3),
        0xd5 => (0, 4),
        0xd6 => (0, 6),
        0xd7 => (0, 10),
        0xd8 => (0, 18),
        0xdc => (length(2)?, 3),
        0xdd => (length(4)?, 5),
        0xde => (2 * length(2)?, 3),
        0xdf => (2 * length(4)?, 5),
        0xc1 => return Err(TooDeep::Malformed { at }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_only() {
        assert_eq!(check_json(br#"{"a":["[[[[\"[[["]}"#, 2), Ok(()));
        assert_eq!(check_json(b"[[[]]]", 2), Err(TooDeep::Depth { limit: 2 }));
        assert_eq!(check_json(&[b'['; 1_000_000], 100), Err(TooDeep::Depth { limit: 100 }));
    }

    #[test]
    fn a_declared_length_beyond_the_end_is_refused() {
        let claims: [&[u8]; 6] = [
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 1],
            &[0xc6, 0xff, 0xff, 0xff, 0xff],
            &[0xdb, 0x7f, 0xff, 0xff, 0xff, b'a'],
            &[0x92, 1],
            &[],
        ];
        for claim in claims {
            assert!(matches!(check_msgpack(claim, 100), Err(TooDeep::Truncated { .. })), "{claim:x?}");
        }
    }

    #[test]
    fn deep_msgpack_and_trailing_bytes_are_refused() {
        assert_eq!(check_msgpack(&[0x91; 200], 100), Err(TooDeep::Depth { limit: 100 }));
        assert_eq!(check_msgpack(&[1, 2], 100), Err(TooDeep::Malformed { at: 1 }));
        assert_eq!(check_msgpack(&[0xc1], 100), Err(TooDeep::Malformed { at: 0 }));
    }

    #[test]
    fn what_the_encoder_writes_passes() {
        let value =
            serde_json::json!({"a": [1, -5, 3.5, null, true, "x".repeat(300)], "b": {"c": [[], {}]}, "d": 1_u64 << 40});
        let bytes = rmp_serde::to_vec_named(&value).expect("a value encodes");
        assert_eq!(check_msgpack(&bytes, 100), Ok(()));
        assert!(check_msgpack(&bytes[..bytes.len() - 1], 100).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64))| {
            let _ = (check_msgpack(&bytes, 8), check_json(&bytes, 8));
        });
    }
}
