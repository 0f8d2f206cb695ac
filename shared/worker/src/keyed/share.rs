//! Which partitions a worker gives up and which it asks for, so that all live workers have their fair share; pure.

use std::collections::BTreeSet;

/// What a worker knows of a keyed skill's partitions.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// Its own name among the members.
    pub(super) me: &'a str,
    /// All live workers of the skill, itself included.
    pub(super) members: &'a BTreeSet<String>,
    /// How many partitions there are.
    pub(super) partitions: u16,
    /// Those it works.
    pub(super) mine: &'a BTreeSet<u16>,
    /// Those nobody seems to work.
    pub(super) free: &'a BTreeSet<u16>,
}

/// What it should do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moves {
    /// Partitions to give up.
    pub(super) give: Vec<u16>,
    /// Partitions to ask for.
    pub(super) claim: Vec<u16>,
}

/// Decides. The shares of all members add up to all partitions, and nobody moves what he may keep.
pub(super) fn decide(view: &View<'_>) -> Moves {
    let count = view.members.len().max(1);
    let rank = view.members.iter().position(|member| member == view.me).unwrap_or(0);
    let partitions = usize::from(view.partitions);
    let quota = partitions / count + usize::from(rank < partitions % count);
    let have = view.mine.len();
    if have > quota {
        return Moves { give: view.mine.iter().rev().take(have - quota).copied().collect(), claim: Vec::new() };
    }
    // Each begins elsewhere, so that several that find the same ones free do not all ask for the first.
    let begin = u16::try_from(rank * partitions / count).unwrap_or(0);
    let turned = view.free.range(begin..).chain(view.free.range(..begin));
    Moves { give: Vec::new(), claim: turned.take(quota - have).copied().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(me: &str, members: &str, mine: &[u16], free: &[u16]) -> Moves {
        decide(&View {
            me,
            members: &members.split(' ').map(str::to_owned).collect(),
            partitions: 8,
            mine: &mine.iter().copied().collect(),
            free: &free.iter().copied().collect(),
        })
    }

    #[test]
    fn a_lone_worker_takes_all() {
        assert_eq!(moves("a", "a", &[], &[0, 1, 2, 3, 4, 5, 6, 7]).claim.len(), 8);
    }

    #[test]
    fn surplus_is_given_when_another_comes() {
        assert_eq!(moves("a", "a b", &[0, 1, 2, 3, 4, 5, 6, 7], &[]), Moves { give: vec![7, 6, 5, 4], claim: vec![] });
        assert_eq!(moves("b", "a b", &[], &[4, 5, 6, 7]).claim, [4, 5, 6, 7]);
    }

    #[test]
    fn shares_differ_by_one_at_most_and_add_up() {
        for count in 1..=20 {
            let names: Vec<String> = (10..10 + count).map(|n| format!("w{n}")).collect();
            let all: Vec<u16> = (0..8).collect();
            let shares: Vec<usize> =
                names.iter().map(|me| moves(me, &names.join(" "), &[], &all).claim.len()).collect();
            assert_eq!(shares.iter().sum::<usize>(), 8, "{shares:?}");
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
    }

    #[test]
    fn workers_that_find_the_same_free_ask_for_different_ones() {
        let free = [0, 1, 2, 3, 4, 5, 6, 7];
        let (a, b) = (moves("a", "a b", &[], &free).claim, moves("b", "a b", &[], &free).claim);
        assert!(a.iter().all(|one| !b.contains(one)), "{a:?} {b:?}");
    }
}
