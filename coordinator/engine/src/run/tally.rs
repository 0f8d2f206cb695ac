//! Counts ballots: who wins, and what it is when nobody does.

use std::collections::BTreeMap;

use nova_workflow::Failure;
use nova_workflow::definition::Rule;
use serde_json::{Value, json};

/// One voter's ballot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ballot {
    pub voter: u32,
    pub weight: u32,
    /// What it says, or why it was not cast.
    pub cast: Result<Value, Failure>,
}

/// All ballots of a vote, counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Count {
    pub ballots: Vec<Ballot>,
    /// The heaviest first, ties by their JSON text.
    tally: Vec<Line>,
    pub decided: Decided,
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    ballot: Value,
    votes: u32,
    weight: u64,
}

/// What a vote comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decided {
    Winner(Value),
    Tie,
    Disagreement,
    NoQuorum,
}

impl Decided {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Winner(_) => "decided",
            Self::Tie => "tie",
            Self::Disagreement => "disagreement",
            Self::NoQuorum => "no_quorum",
        }
    }
}

impl Count {
    pub fn new(ballots: Vec<Ballot>, rule: Rule, quorum: u32) -> Self {
        let mut lines: BTreeMap<String, Line> = BTreeMap::new();
        for ballot in &ballots {
            let Ok(says) = &ballot.cast else { continue };
            let empty = || Line { ballot: says.clone(), votes: 0, weight: 0 };
            let line = lines.entry(says.to_string()).or_insert_with(empty);
            line.votes += 1;
            line.weight += u64::from(ballot.weight);
        }
        let mut tally: Vec<_> = lines.into_values().collect();
        tally.sort_by_key(|line| std::cmp::Reverse(line.weight));
        let decided = decide(&tally, rule, quorum);
        Self { ballots, tally, decided }
    }

    /// The tally as expressions see it.
    pub fn tally(&self) -> Value {
        let line = |line: &Line| json!({"ballot": line.ballot, "votes": line.votes, "weight": line.weight});
        self.tally.iter().map(line).collect()
    }

    /// The ballots as expressions see them.
    pub fn ballots(&self) -> Value {
        let one = |ballot: &Ballot| match &ballot.cast {
            Ok(says) => json!({"voter": ballot.voter, "ballot": says}),
            Err(why) => {
                let error = json!({"code": why.code.as_str(), "message": why.message});
                json!({"voter": ballot.voter, "ballot": null, "error": error})
            }
        };
        self.ballots.iter().map(one).collect()
    }

    /// The result of the vote's step.
    pub fn result(&self, judged: Option<Value>) -> Value {
        let is_judged = judged.is_some();
        let decided = judged.map_or_else(|| self.decided.clone(), Decided::Winner);
        let winner = if let Decided::Winner(winner) = &decided { winner.clone() } else { Value::Null };
        json!({
            "decision": decided.as_str(),
            "winner": winner,
            "tally": self.tally(),
            "ballots": self.ballots(),
            "judged": is_judged,
        })
    }
}

fn decide(tally: &[Line], rule: Rule, quorum: u32) -> Decided {
    let votes: u32 = tally.iter().map(|line| line.votes).sum();
    let weight: u64 = tally.iter().map(|line| line.weight).sum();
    let Some(first) = tally.first().filter(|_| votes >= quorum) else { return Decided::NoQuorum };
    let is_tied = tally.get(1).is_some_and(|second| second.weight == first.weight);
    let wins = match rule {
        Rule::Majority => first.weight * 2 > weight,
        Rule::Plurality => !is_tied,
        Rule::Unanimous => tally.len() == 1,
    };
    if wins {
        Decided::Winner(first.ballot.clone())
    } else if is_tied {
        Decided::Tie
    } else {
        Decided::Disagreement
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::failure;

    /// Ballots in a tiny notation: `a`, `b*3` of weight 3, `-` not cast.
    #[track_caller]
    fn check(ballots: &str, rule: Rule, quorum: u32, expect: &str) {
        let ballots = ballots.split_whitespace().zip(0..).map(|(word, voter)| {
            let (says, weight) = word.split_once('*').unwrap_or((word, "1"));
            let cast = if says == "-" { Err(failure("error", "down")) } else { Ok(says.into()) };
            Ballot { voter, weight: weight.parse().expect("a weight"), cast }
        });
        let count = Count::new(ballots.collect(), rule, quorum);
        let found = match &count.decided {
            Decided::Winner(winner) => winner.as_str().expect("text").to_owned(),
            other => other.as_str().to_owned(),
        };
        assert_eq!(found, expect);
        assert_eq!(count.result(None)["decision"], count.decided.as_str());
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_weight_cast() {
        check("a a b", Rule::Majority, 2, "a");
        check("a b", Rule::Majority, 2, "tie");
        check("a a b c", Rule::Majority, 3, "disagreement");
        check("a - -", Rule::Majority, 1, "a");
        check("a a b*3", Rule::Majority, 2, "b");
        check("a a b*2", Rule::Majority, 2, "tie");
    }

    #[test]
    fn a_plurality_is_more_than_any_other() {
        check("a a b c", Rule::Plurality, 3, "a");
        check("a a b b c", Rule::Plurality, 3, "tie");
        check("a b*2 a c", Rule::Plurality, 3, "tie");
    }

    #[test]
    fn unanimity_lets_nobody_differ() {
        check("a a a", Rule::Unanimous, 3, "a");
        check("a a b", Rule::Unanimous, 3, "disagreement");
        check("a a -", Rule::Unanimous, 2, "a");
        check("a b", Rule::Unanimous, 2, "tie");
    }

    #[test]
    fn too_few_ballots_decide_nothing() {
        check("a - -", Rule::Majority, 2, "no_quorum");
        check("- - -", Rule::Plurality, 0, "no_quorum");
        check("a*9 - -", Rule::Majority, 2, "no_quorum");
    }
}
