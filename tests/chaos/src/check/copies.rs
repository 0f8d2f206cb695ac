//! Servers that replicate for one another hold the same.

use super::{Copy, Violation};

/// Everything in which a server differs from the first.
pub fn check(copies: &[Copy]) -> Vec<Violation> {
    let Some((first, others)) = copies.split_first() else { return Vec::new() };
    others.iter().flat_map(|other| differences(first, other)).collect()
}

fn differences(first: &Copy, other: &Copy) -> Vec<Violation> {
    let pairs = [
        ("outcomes", first.outcomes.len(), other.outcomes.len(), first.outcomes == other.outcomes),
        ("letters", first.letters.len(), other.letters.len(), first.letters == other.letters),
        ("transitions", first.transitions.len(), other.transitions.len(), first.transitions == other.transitions),
    ];
    let differing = pairs.into_iter().filter(|(_, _, _, is_equal)| !is_equal);
    differing
        .map(|(what, here, there, _)| {
            let what = format!("{here} {what} on {} and {there} on {}, not all the same", first.server, other.server);
            Violation::new("replicas hold the same", &other.server, what)
        })
        .collect()
}
