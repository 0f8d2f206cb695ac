//! Branches that say the same: `if` and `else` parts, arms of a `match` or `switch`.

use std::collections::HashMap;
use std::ops::Range;

use tree_sitter::Node;

use crate::finding::Place;
use crate::grammar::{Grammar, Roles};

/// `return None` in two neighbours is a habit of style; this much text twice is a copy.
const SAME_NEIGHBOUR_TOKENS: usize = 10;
/// Arms repeat short bodies for clarity even more often.
const SAME_ARM_TOKENS: usize = 14;

/// Equal arms that do not count as copies are compared with no more than this many before them.
const MOST_COMPARED: usize = 16;

/// A branch with the same body as an earlier one.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) place: Place,
    /// First line of the earlier branch, counted from 1.
    pub(crate) first_line: usize,
}

/// One way through an `if` or `switch`.
struct Branch<'t> {
    /// Names bound before the body: equal bodies then need not mean the same.
    binds: Vec<Range<usize>>,
    /// Decided by more than its value.
    guarded: bool,
    place: Place,
    body: Vec<Node<'t>>,
}

/// Looks for equal bodies in one `if` with all its `else` parts.
pub(crate) fn in_if(node: &Node<'_>, grammar: &Grammar, source: &str) -> Vec<Duplicate> {
    if is_else_if(node, grammar) {
        return Vec::new();
    }
    let (branches, has_else) = if_chain(node, grammar);
    if branches.len() < 2 || branches.iter().any(|branch| branch.guarded) {
        return Vec::new();
    }
    let tokens: Vec<_> = branches.iter().map(|branch| tokens(&branch.body, grammar, source)).collect();
    let all_same = has_else && tokens.windows(2).all(|pair| pair[0] == pair[1]);
    let mut found = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        let least = if all_same { 1 } else { SAME_NEIGHBOUR_TOKENS };
        if pair[0] == pair[1] && pair[1].len() >= least {
            found.push(duplicate(&branches[index + 1], &branches[index]));
        }
    }
    found
}

/// Looks for equal bodies among the arms of one `match` or `switch`.
pub(crate) fn in_switch(node: &Node<'_>, grammar: &Grammar, source: &str) -> Vec<Duplicate> {
    let arms = arms(node, grammar);
    let tokens: Vec<_> = arms.iter().map(|arm| tokens(&arm.body, grammar, source)).collect();
    // Only arms that repeat a body fall into one group, so that a table of thousands is compared in one pass.
    let mut groups: HashMap<&[(u16, &str)], Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (later, body) in tokens.iter().enumerate().filter(|(_, body)| body.len() >= SAME_ARM_TOKENS) {
        let group = groups.entry(body).or_default();
        let same = |earlier: &&usize| {
            let together = later == **earlier + 1;
            (together || !(arms[**earlier].guarded || arms[later].guarded))
                && !uses_bound(&arms[later], body, source)
                && !uses_bound(&arms[**earlier], body, source)
        };
        if let Some(earlier) = group.iter().take(MOST_COMPARED).find(same) {
            found.push(duplicate(&arms[later], &arms[*earlier]));
        }
        group.push(later);
    }
    found
}

fn duplicate(later: &Branch<'_>, earlier: &Branch<'_>) -> Duplicate {
    Duplicate { place: later.place, first_line: earlier.place.start.1 + 1 }
}

/// An `else if` belongs to the chain of the `if` before it.
fn is_else_if(node: &Node<'_>, grammar: &Grammar) -> bool {
    node.parent().is_some_and(|parent| {
        parent.kind() == "else_clause"
            || (grammar.roles(&parent).has(Roles::IF) && parent.child_by_field_name("alternative") == Some(*node))
    })
}

fn if_chain<'t>(node: &Node<'t>, grammar: &Grammar) -> (Vec<Branch<'t>>, bool) {
    let mut branches = Vec::new();
    let mut next = Some(*node);
    while let Some(node) = next.take() {
        branches.extend(node.child_by_field_name("consequence").map(|body| conditional(&node, body)));
        let mut cursor = node.walk();
        for part in node.children_by_field_name("alternative", &mut cursor) {
            match part.kind() {
                // Python lists all its parts side by side.
                "elif_clause" => {
                    branches.extend(part.child_by_field_name("consequence").map(|body| conditional(&part, body)));
                }
                "else_clause" => {
                    let body = part.child_by_field_name("body").or_else(|| first_code(&part, grammar));
                    match body {
                        Some(inner) if grammar.roles(&inner).has(Roles::IF) => next = Some(inner),
                        Some(body) => branches.push(plain(body)),
                        None => {}
                    }
                    if next.is_none() {
                        return (branches, true);
                    }
                }
                _ if grammar.roles(&part).has(Roles::IF) => next = Some(part),
                _ => {
                    branches.push(plain(part));
                    return (branches, true);
                }
            }
        }
    }
    (branches, false)
}

fn first_code<'t>(node: &Node<'t>, grammar: &Grammar) -> Option<Node<'t>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).find(|child| !grammar.roles(child).has(Roles::COMMENT))
}

fn plain(body: Node<'_>) -> Branch<'_> {
    Branch { binds: Vec::new(), guarded: false, place: Place::of(&body), body: vec![body] }
}

fn conditional<'t>(node: &Node<'t>, body: Node<'t>) -> Branch<'t> {
    let binds = node.child_by_field_name("initializer").is_some()
        || node.child_by_field_name("condition").is_some_and(|condition| {
            holds(&condition, |kind| matches!(kind, "let_condition" | "named_expression" | "assignment_expression"))
        });
    Branch { guarded: binds, ..plain(body) }
}

fn arms<'t>(node: &Node<'t>, grammar: &Grammar) -> Vec<Branch<'t>> {
    let list = node.child_by_field_name("body").unwrap_or(*node);
    let mut cursor = list.walk();
    list.named_children(&mut cursor)
        .filter(|child| grammar.roles(child).has(Roles::ARM))
        .filter_map(|arm| match arm.kind() {
            "match_arm" => rust_arm(&arm),
            "case_clause" => python_arm(&arm),
            _ => flat_arm(&arm, grammar),
        })
        .collect()
}

fn rust_arm<'t>(arm: &Node<'t>) -> Option<Branch<'t>> {
    let pattern = arm.child_by_field_name("pattern")?;
    let body = arm.child_by_field_name("value")?;
    let guarded = pattern.child_by_field_name("condition").is_some();
    Some(Branch { binds: names(&pattern), guarded, place: Place::of(arm), body: vec![body] })
}

fn python_arm<'t>(arm: &Node<'t>) -> Option<Branch<'t>> {
    let body = arm.child_by_field_name("consequence")?;
    let guarded = arm.child_by_field_name("guard").is_some();
    let mut cursor = arm.walk();
    let binds = arm.named_children(&mut cursor).filter(|child| child.kind() == "case_pattern").flat_map(|p| names(&p));
    Some(Branch { binds: binds.collect(), guarded, place: Place::of(arm), body: vec![body] })
}

/// Go and JavaScript: the value first, then the statements.
fn flat_arm<'t>(arm: &Node<'t>, grammar: &Grammar) -> Option<Branch<'t>> {
    let value = arm.child_by_field_name("value");
    let mut cursor = arm.walk();
    let body: Vec<_> = arm
        .named_children(&mut cursor)
        .filter(|child| Some(*child) != value && !grammar.roles(child).has(Roles::COMMENT))
        .collect();
    let last = body.last()?;
    // A JavaScript case that runs on into the next one does more than its own text says.
    let ends = |node: &Node<'_>| {
        matches!(
            node.kind(),
            "break_statement" | "return_statement" | "throw_statement" | "continue_statement" | "statement_list"
        )
    };
    let block_end = last.kind() == "statement_block"
        && u32::try_from(last.named_child_count())
            .ok()
            .and_then(|n| last.named_child(n.checked_sub(1)?))
            .is_some_and(|n| ends(&n));
    (ends(last) || block_end).then(|| Branch { binds: Vec::new(), guarded: false, place: Place::of(arm), body })
}

/// Every name in a pattern that may be a variable.
fn names(pattern: &Node<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    each_leaf(pattern, |leaf| {
        if matches!(leaf.kind(), "identifier" | "shorthand_field_identifier") {
            found.push(leaf.byte_range());
        }
        true
    });
    found
}

fn uses_bound(arm: &Branch<'_>, tokens: &[(u16, &str)], source: &str) -> bool {
    arm.binds.iter().filter_map(|range| source.get(range.clone())).any(|name| {
        // Constants and variants are written in capitals and bind nothing.
        name.starts_with(|c: char| c.is_lowercase() || c == '_') && tokens.iter().any(|(_, token)| *token == name)
    })
}

/// The tokens of a body, without comments and the braces around it.
fn tokens<'s>(body: &[Node<'_>], grammar: &Grammar, source: &'s str) -> Vec<(u16, &'s str)> {
    let mut found = Vec::new();
    for node in body {
        each_leaf(node, |leaf| {
            let comment = grammar.roles(leaf).has(Roles::COMMENT);
            let text = source.get(leaf.byte_range()).unwrap_or_default();
            if !comment && !text.trim().is_empty() {
                found.push((leaf.kind_id(), text));
            }
            !comment
        });
    }
    if found.first().is_some_and(|(_, text)| *text == "{") && found.last().is_some_and(|(_, text)| *text == "}") {
        found.pop();
        found.remove(0);
    }
    found
}

fn holds(node: &Node<'_>, wanted: fn(&str) -> bool) -> bool {
    let mut found = false;
    each_node(node, |node| {
        found |= wanted(node.kind());
        !found
    });
    found
}

fn each_leaf<'t>(node: &Node<'t>, mut visit: impl FnMut(&Node<'t>) -> bool) {
    each_node(node, |node| if node.child_count() == 0 || node.is_extra() { visit(node) } else { true });
}

/// Visits a node and all below it; `visit` says whether to go into what it was shown.
fn each_node<'t>(node: &Node<'t>, mut visit: impl FnMut(&Node<'t>) -> bool) {
    let mut cursor = node.walk();
    loop {
        if visit(&cursor.node()) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}
