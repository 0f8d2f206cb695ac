//! What the node kinds of each grammar mean to the computed checks.

use std::sync::OnceLock;

use ast_grep_core::tree_sitter::LanguageExt;
use tree_sitter::Node;

use crate::language::Language;

/// A set of meanings, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u8);

impl Roles {
    /// A function with a body of its own.
    pub(crate) const FUNCTION: Self = Self(1);
    /// One more way through the function.
    pub(crate) const BRANCH: Self = Self(2);
    /// One case of a `match` or `switch`.
    pub(crate) const ARM: Self = Self(4);
    /// A comment.
    pub(crate) const COMMENT: Self = Self(8);
    /// An outer attribute, which speaks of what follows it.
    pub(crate) const ATTRIBUTE: Self = Self(16);
    /// An inner attribute, which speaks of what it stands in.
    pub(crate) const INNER_ATTRIBUTE: Self = Self(32);
    /// An `if` with its `else` parts.
    pub(crate) const IF: Self = Self(64);
    /// A `match` or `switch` over values.
    pub(crate) const SWITCH: Self = Self(128);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Roles by kind name. Punctuation and operators stand in `TOKENS` of their language.
type Table = &'static [(Roles, &'static [&'static str])];

const RUST: Table = &[
    (Roles::FUNCTION, &["function_item"]),
    (Roles::BRANCH, &["if_expression", "while_expression", "for_expression", "match_expression"]),
    (Roles::ARM, &["match_arm"]),
    (Roles::COMMENT, &["line_comment", "block_comment"]),
    (Roles::ATTRIBUTE, &["attribute_item"]),
    (Roles::INNER_ATTRIBUTE, &["inner_attribute_item"]),
    (Roles::IF, &["if_expression"]),
    (Roles::SWITCH, &["match_expression"]),
];

const PYTHON: Table = &[
    (Roles::FUNCTION, &["function_definition"]),
    (
        Roles::BRANCH,
        &[
            "if_statement",
            "elif_clause",
            "for_statement",
            "while_statement",
            "except_clause",
            "conditional_expression",
            "boolean_operator",
            "if_clause",
            "match_statement",
        ],
    ),
    (Roles::ARM, &["case_clause"]),
    (Roles::COMMENT, &["comment"]),
    (Roles::IF, &["if_statement"]),
    (Roles::SWITCH, &["match_statement"]),
];

const JAVASCRIPT: Table = &[
    (
        Roles::FUNCTION,
        &[
            "function_declaration",
            "function_expression",
            "arrow_function",
            "method_definition",
            "generator_function_declaration",
            "generator_function",
        ],
    ),
    (
        Roles::BRANCH,
        &[
            "if_statement",
            "for_statement",
            "for_in_statement",
            "while_statement",
            "do_statement",
            "catch_clause",
            "ternary_expression",
            "switch_statement",
        ],
    ),
    (Roles::ARM, &["switch_case"]),
    (Roles::COMMENT, &["comment", "html_comment"]),
    (Roles::IF, &["if_statement"]),
    (Roles::SWITCH, &["switch_statement"]),
];

const GO: Table = &[
    (Roles::FUNCTION, &["function_declaration", "method_declaration", "func_literal"]),
    (
        Roles::BRANCH,
        &["if_statement", "for_statement", "expression_switch_statement", "type_switch_statement", "select_statement"],
    ),
    (Roles::ARM, &["expression_case", "type_case", "communication_case"]),
    (Roles::COMMENT, &["comment"]),
    (Roles::IF, &["if_statement"]),
    // A type switch gives its variable another type in every case, so equal text there is not equal meaning.
    (Roles::SWITCH, &["expression_switch_statement"]),
];

/// Operators that take a second way only sometimes. Python's are nodes of their own.
const LAZY_OPERATORS: [&str; 2] = ["&&", "||"];

/// The roles of every kind of one grammar, by kind id.
pub(crate) struct Grammar(Vec<Roles>);

impl Grammar {
    /// Returns the table of a language, building it at the first call.
    pub(crate) fn of(language: Language) -> &'static Self {
        static GRAMMARS: [OnceLock<Grammar>; Language::ALL.len()] = [const { OnceLock::new() }; Language::ALL.len()];
        GRAMMARS[language.index()].get_or_init(|| Self::build(language))
    }

    fn build(language: Language) -> Self {
        let table = match language {
            Language::Rust => RUST,
            Language::Python => PYTHON,
            Language::JavaScript | Language::TypeScript | Language::Tsx => JAVASCRIPT,
            Language::Go => GO,
        };
        let grammar = language.support().get_ts_language();
        // One name may have several ids, so the ids are listed rather than the names looked up.
        let roles = |id: u16| {
            let name = grammar.node_kind_for_id(id).unwrap_or_default();
            if !grammar.node_kind_is_named(id) {
                return if LAZY_OPERATORS.contains(&name) { Roles::BRANCH } else { Roles::default() };
            }
            Roles(table.iter().filter(|(_, names)| names.contains(&name)).fold(0, |bits, (role, _)| bits | role.0))
        };
        let count = u16::try_from(grammar.node_kind_count()).unwrap_or(u16::MAX);
        Self((0..count).map(roles).collect())
    }

    /// Returns what a node means.
    pub(crate) fn roles(&self, node: &Node<'_>) -> Roles {
        self.0.get(usize::from(node.kind_id())).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_named_in_a_table_exists_in_its_grammar() {
        for (language, table) in [
            (Language::Rust, RUST),
            (Language::Python, PYTHON),
            (Language::JavaScript, JAVASCRIPT),
            (Language::TypeScript, JAVASCRIPT),
            (Language::Tsx, JAVASCRIPT),
            (Language::Go, GO),
        ] {
            let grammar = language.support().get_ts_language();
            for name in table.iter().flat_map(|(_, names)| *names) {
                assert_ne!(grammar.id_for_node_kind(name, true), 0, "{language:?} has no `{name}`");
            }
        }
    }
}
