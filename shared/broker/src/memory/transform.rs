//! What a stream makes of the subjects it takes, as the broker does it.

use crate::Transform;

use super::subjects::matches;

/// The subject under which a message is stored.
pub(super) fn apply(transform: &Transform, subject: &str) -> Option<String> {
    if !matches(&transform.from, subject) {
        return None;
    }
    let tokens: Vec<&str> = subject.split('.').collect();
    let stars = transform.from.split('.').zip(&tokens).filter(|(wanted, _)| *wanted == "*").map(|(_, token)| *token);
    let stars: Vec<&str> = stars.collect();
    let made: Option<Vec<String>> = transform.to.split('.').map(|token| fill(token, &stars)).collect();
    made.map(|tokens| tokens.join("."))
}

/// One token of the target; `None` when it asks for a wildcard there is not.
fn fill(token: &str, stars: &[&str]) -> Option<String> {
    let Some(call) = token.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
        return Some(token.to_owned());
    };
    let (function, arguments) = call.strip_suffix(')')?.split_once('(')?;
    let arguments: Vec<usize> = arguments.split(',').map(|text| text.trim().parse().ok()).collect::<Option<_>>()?;
    let star = |n: usize| stars.get(n.checked_sub(1)?).copied();
    match (function, arguments.as_slice()) {
        ("wildcard", [n]) => star(*n).map(str::to_owned),
        ("partition", [count, numbers @ ..]) => {
            let bytes: Option<Vec<&str>> = numbers.iter().map(|n| star(*n)).collect();
            let count = u32::try_from(*count).ok().filter(|count| *count > 0)?;
            Some((fnv(bytes?.concat().as_bytes()) % count).to_string())
        }
        _ => None,
    }
}

/// FNV-1a over 32 bits, which the broker takes.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_the_partition_the_broker_was_seen_to_give() {
        let transform =
            Transform { from: "t.*.*".into(), to: "t.{{wildcard(1)}}.{{partition(8,2)}}.{{wildcard(2)}}".into() };
        assert_eq!(apply(&transform, "t.normal.k1").as_deref(), Some("t.normal.1.k1"));
        assert_eq!(apply(&transform, "t.high.a%2Fb").as_deref(), Some("t.high.7.a%2Fb"));
        assert_eq!(apply(&transform, "t.high"), None);
    }
}
