//! Makes new inputs of old ones: blind to structure, but with the words of a target at hand.

use fastrand::Rng;

/// Bytes at which readers of lengths, signs and text change their minds.
const BORDERS: [u8; 16] =
    [0x00, 0x01, 0x0a, 0x20, 0x22, 0x25, 0x2e, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xdd, 0xfe, 0xff];

/// Numbers at which counters and sums overflow.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "+1",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "999999999999999",
    "1e308",
    "0.1",
];

/// A new input of `base`, at most `longest` bytes; `other` is cut into it at times.
#[must_use]
pub fn mutate(rng: &mut Rng, base: &[u8], other: &[u8], words: &[&str], longest: usize) -> Vec<u8> {
    let mut bytes = base.to_vec();
    // Mostly small steps: what is nearly right goes deepest.
    let steps = 1 << rng.u32(0..4);
    for _ in 0..steps {
        step(rng, &mut bytes, other, words);
        bytes.truncate(longest);
    }
    bytes
}

fn step(rng: &mut Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    match rng.u32(0..13) {
        0 => with_byte(rng, bytes, |rng, byte| byte ^ 1 << rng.u32(0..8)),
        1 => with_byte(rng, bytes, |rng, _| rng.u8(..)),
        2 => with_byte(rng, bytes, |rng, _| BORDERS[rng.usize(0..BORDERS.len())]),
        3 => with_byte(rng, bytes, |rng, byte| byte.wrapping_add(rng.u8(0..3)).wrapping_sub(1)),
        4 => {
            let at = rng.usize(0..=bytes.len());
            bytes.truncate(at);
        }
        5 => {
            let gone = span(rng, bytes.len());
            bytes.drain(gone);
        }
        6 => {
            let chunk = bytes[span(rng, bytes.len())].to_vec();
            let times = 1 << rng.u32(0..8);
            put(rng, bytes, &chunk.repeat(times));
        }
        7 => {
            let piece = other[span(rng, other.len())].to_vec();
            put(rng, bytes, &piece);
        }
        8 => {
            // The beginning of one and the end of the other.
            bytes.truncate(rng.usize(0..=bytes.len()));
            bytes.extend_from_slice(&other[rng.usize(0..=other.len())..]);
        }
        9 | 10 if !words.is_empty() => {
            let word = words[rng.usize(0..words.len())].as_bytes();
            if rng.bool() { put(rng, bytes, word) } else { over(rng, bytes, word) }
        }
        11 => number(rng, bytes),
        _ => {
            let length: [u8; 5] = [[0xc6, 0xdb, 0xdd, 0xdf][rng.usize(0..4)], rng.u8(..), rng.u8(..), 0xff, 0xff];
            over(rng, bytes, &length);
        }
    }
}

fn with_byte(rng: &mut Rng, bytes: &mut [u8], change: impl Fn(&mut Rng, u8) -> u8) {
    if !bytes.is_empty() {
        let at = rng.usize(0..bytes.len());
        bytes[at] = change(rng, bytes[at]);
    }
}

/// Some of a length, mostly little of it.
fn span(rng: &mut Rng, length: usize) -> std::ops::Range<usize> {
    let from = rng.usize(0..=length);
    let most = (length - from).min(1 << rng.u32(0..10));
    from..from + rng.usize(0..=most)
}

fn put(rng: &mut Rng, bytes: &mut Vec<u8>, piece: &[u8]) {
    let at = rng.usize(0..=bytes.len());
    bytes.splice(at..at, piece.iter().copied());
}

fn over(rng: &mut Rng, bytes: &mut Vec<u8>, piece: &[u8]) {
    let at = rng.usize(0..=bytes.len());
    let end = (at + piece.len()).min(bytes.len());
    bytes.splice(at..end, piece.iter().copied());
}

/// Puts a number at a border in place of one that is there.
fn number(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
        .collect();
    let Some(at) = (!starts.is_empty()).then(|| starts[rng.usize(0..starts.len())]) else { return };
    let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = NUMBERS[rng.usize(0..NUMBERS.len())];
    bytes.splice(at..at + digits, number.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_every_byte_and_the_limit_holds() {
        let made = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..200).map(|_| mutate(&mut rng, b"{\"a\": 12}", b"other", &["word"], 64)).collect::<Vec<_>>()
        };
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
        assert!(made(7).iter().all(|bytes| bytes.len() <= 64));
        assert!(made(7).iter().any(|bytes| bytes.windows(4).any(|four| four == b"word")));
    }

    #[test]
    fn nothing_at_all_can_be_mutated() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..1000 {
            assert!(mutate(&mut rng, b"", b"", &[], 8).len() <= 8);
        }
    }
}
