//! One iterative walk over a syntax tree: functions, comments, tests and what the later checks look at.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use tree_sitter::{Node, TreeCursor};

use crate::grammar::{Grammar, Roles};
use crate::syntax::{Stop, keep_going};

/// Real code stays below 200. Some matchers recurse as deep as the tree: 1,000 levels took between 1 and 2 MiB of stack
/// unoptimised, and a blocking thread has 2 MiB.
pub(crate) const DEEPEST: usize = 500;
/// How many nodes are visited between two looks at the cancel flag.
const NODES_PER_LOOK: usize = 4_096;

/// A function as the size checks see it. Functions inside it count for themselves.
#[derive(Debug)]
pub(crate) struct Function<'t> {
    pub(crate) node: Node<'t>,
    /// Ways through it: one, plus one for each branch.
    pub(crate) complexity: u32,
    /// Lines with code on them.
    pub(crate) lines: u32,
}

/// A comment and where it stands.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) row: usize,
    pub(crate) end_row: usize,
    pub(crate) bytes: Range<usize>,
    /// Code stands before it on its line.
    pub(crate) trailing: bool,
}

/// What one walk over a file found.
#[derive(Debug, Default)]
pub(crate) struct Survey<'t> {
    pub(crate) functions: Vec<Function<'t>>,
    pub(crate) comments: Vec<Comment>,
    /// Byte ranges of test code.
    pub(crate) tests: Vec<Range<usize>>,
    pub(crate) ifs: Vec<Node<'t>>,
    pub(crate) switches: Vec<Node<'t>>,
    pub(crate) code_lines: u32,
    pub(crate) max_depth: usize,
    pub(crate) syntax_errors: u32,
}

/// Counts the lines that hold code, given its tokens in order.
#[derive(Default)]
struct Lines {
    count: u32,
    /// One past the last row counted.
    next: usize,
}

impl Lines {
    /// A text over many lines counts as its first and last: its length is not the code's.
    fn token(&mut self, first: usize, last: usize) {
        for row in [first, last] {
            if row >= self.next {
                self.count += 1;
                self.next = row + 1;
            }
        }
    }
}

/// A function whose end has not been reached.
struct Open<'t> {
    node: Node<'t>,
    depth: usize,
    complexity: u32,
    lines: Lines,
}

/// Walks a whole tree.
pub(crate) fn survey<'t>(
    root: Node<'t>,
    source: &str,
    grammar: &Grammar,
    cancel: &AtomicBool,
) -> Result<Survey<'t>, Stop> {
    let mut walk = Walk {
        source: source.as_bytes(),
        grammar,
        open: Vec::new(),
        lines: Lines::default(),
        test_mark: None,
        found: Survey::default(),
    };
    let mut cursor = root.walk();
    let (mut depth, mut visited) = (0, 0_usize);
    loop {
        visited += 1;
        if visited.is_multiple_of(NODES_PER_LOOK) {
            keep_going(cancel)?;
        }
        if walk.enter(&cursor, depth) && cursor.goto_first_child() {
            depth += 1;
            if depth > DEEPEST {
                return Err(Stop::TooComplex);
            }
            continue;
        }
        loop {
            walk.leave(depth);
            if cursor.goto_next_sibling() {
                break;
            }
            if !cursor.goto_parent() {
                walk.found.code_lines = walk.lines.count;
                return Ok(walk.found);
            }
            depth -= 1;
        }
    }
}

struct Walk<'t, 'a> {
    source: &'a [u8],
    grammar: &'a Grammar,
    open: Vec<Open<'t>>,
    lines: Lines,
    /// Depth and start of a test attribute whose item has not come yet.
    test_mark: Option<(usize, usize)>,
    found: Survey<'t>,
}

impl<'t> Walk<'t, '_> {
    /// Takes in one node; answers whether to go into it.
    fn enter(&mut self, cursor: &TreeCursor<'t>, depth: usize) -> bool {
        let node = cursor.node();
        let roles = self.grammar.roles(&node);
        self.found.max_depth = self.found.max_depth.max(depth);
        if node.is_error() || node.is_missing() {
            self.found.syntax_errors += 1;
        }
        if roles.has(Roles::COMMENT) {
            self.comment(&node);
            return false;
        }
        if node.child_count() == 0 {
            self.token(&node);
        }
        self.end_test_mark(&node, roles, depth);
        if roles == Roles::default() {
            return true;
        }
        if roles.has(Roles::FUNCTION) {
            self.open.push(Open { node, depth, complexity: 1, lines: Lines::default() });
        }
        self.count_ways(&node, roles);
        self.collect(node, roles, depth);
        true
    }

    /// The item a test attribute speaks of is the next one beside it that is no attribute.
    fn end_test_mark(&mut self, node: &Node<'_>, roles: Roles, depth: usize) {
        if let Some((level, start)) = self.test_mark
            && depth <= level
            && node.is_named()
            && !roles.has(Roles::ATTRIBUTE)
        {
            if depth == level {
                self.found.tests.push(start..node.end_byte());
            }
            self.test_mark = None;
        }
    }

    fn count_ways(&mut self, node: &Node<'_>, roles: Roles) {
        let mut ways = u32::from(roles.has(Roles::BRANCH));
        if roles.has(Roles::ARM) {
            // A guard is a branch even where its arm is short.
            ways += u32::from(is_long_arm(node)) + u32::from(has_guard(node));
        }
        if let Some(open) = self.open.last_mut() {
            open.complexity += ways;
        }
    }

    /// Keeps what the later checks look at.
    fn collect(&mut self, node: Node<'t>, roles: Roles, depth: usize) {
        if roles.has(Roles::IF) {
            self.found.ifs.push(node);
        }
        if roles.has(Roles::SWITCH) {
            self.found.switches.push(node);
        }
        if roles.has(Roles::ATTRIBUTE) && self.marks_test(&node) {
            self.test_mark.get_or_insert((depth, node.start_byte()));
        }
        if roles.has(Roles::INNER_ATTRIBUTE) && self.marks_test(&node) {
            self.found.tests.extend(node.parent().map(|parent| parent.byte_range()));
        }
    }

    fn leave(&mut self, depth: usize) {
        if let Some(done) = self.open.pop_if(|open| open.depth == depth) {
            let Open { node, complexity, lines, .. } = done;
            self.found.functions.push(Function { node, complexity, lines: lines.count });
        }
    }

    fn token(&mut self, node: &Node<'_>) {
        let (first, last) = (node.start_position().row, node.end_position().row);
        // Line ends are tokens of some grammars: no code.
        if self.source.get(node.byte_range()).is_none_or(|text| text.trim_ascii().is_empty()) {
            return;
        }
        self.lines.token(first, last);
        if let Some(open) = self.open.last_mut() {
            open.lines.token(first, last);
        }
    }

    fn comment(&mut self, node: &Node<'_>) {
        let row = node.start_position().row;
        // A Rust doc comment's node ends at the start of the next line.
        let end = node.end_position();
        let end_row = if end.column == 0 { end.row.saturating_sub(1).max(row) } else { end.row };
        let trailing = self.lines.next == row + 1;
        self.found.comments.push(Comment { row, end_row, bytes: node.byte_range(), trailing });
    }

    /// Tells `#[test]`, `#[tokio::test]` and `#[cfg(test)]` from `#[cfg(not(test))]` and `#[test_only]`.
    fn marks_test(&self, attribute: &Node<'_>) -> bool {
        let text = self.source.get(attribute.byte_range()).and_then(|text| std::str::from_utf8(text).ok());
        let text = text.unwrap_or_default();
        let names_test = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| matches!(word, "test" | "bench" | "rstest" | "proptest" | "test_case"));
        names_test && !text.contains("not(")
    }
}

/// A table of one-liners is one decision to its reader, not one per line: only arms that do more count.
fn is_long_arm(arm: &Node<'_>) -> bool {
    let body = ["value", "consequence"].iter().find_map(|field| {
        let body = arm.child_by_field_name(field)?;
        matches!(body.kind(), "block").then_some(body)
    });
    let statements = |node: &Node<'_>| {
        let mut cursor = node.walk();
        node.named_children(&mut cursor)
            .filter(|child| !matches!(child.kind(), "break_statement") && !child.is_extra())
            .count()
    };
    match body {
        Some(block) => statements(&block) > 1,
        None if arm.kind() == "match_arm" => false,
        // Go and JavaScript put the value and the statements side by side.
        None => {
            let mut cursor = arm.walk();
            let list = arm
                .named_children(&mut cursor)
                .find(|child| matches!(child.kind(), "statement_list" | "statement_block"));
            list.map_or_else(|| statements(arm).saturating_sub(1) > 1, |list| statements(&list) > 1)
        }
    }
}

fn has_guard(arm: &Node<'_>) -> bool {
    arm.child_by_field_name("pattern").is_some_and(|pattern| pattern.child_by_field_name("condition").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::syntax::parse;

    /// Complexity and lines of each function, innermost first.
    fn check(language: Language, text: &str, expect: &[(u32, u32)]) {
        let cancel = AtomicBool::new(false);
        let ast = parse(text, language, &cancel).expect("parses");
        let root = ast.root().get_inner_node();
        let survey = survey(root, text, Grammar::of(language), &cancel).expect("walks");
        let found: Vec<_> = survey.functions.iter().map(|function| (function.complexity, function.lines)).collect();
        assert_eq!(found, expect, "{language:?}: {text}");
    }

    #[test]
    fn straight_code_has_one_way_through() {
        check(Language::Rust, "fn f() {\n    // why\n\n    g();\n}\n", &[(1, 3)]);
        check(Language::Python, "def f():\n    # why\n\n    g()\n", &[(1, 2)]);
        check(Language::JavaScript, "function f() {\n  g();\n}\n", &[(1, 3)]);
        check(Language::Go, "package a\n\nfunc f() {\n\tg()\n}\n", &[(1, 3)]);
    }

    #[test]
    fn each_condition_and_lazy_operator_adds_one() {
        check(Language::Rust, "fn f() { if a && b || c { } else if d { } while e { } for x in y { } }", &[(7, 1)]);
        check(
            Language::Python,
            "def f():\n  if a and b or c: pass\n  elif d: pass\n  return 1 if e else 2\n",
            &[(6, 4)],
        );
        check(Language::TypeScript, "const f = () => a && b ? c : d;", &[(3, 1)]);
        check(Language::Go, "package a\nfunc f() { if a && b { } else if c { }; for { } }", &[(5, 1)]);
    }

    #[test]
    fn flat_match_is_one_decision_however_long() {
        check(Language::Rust, "fn f() { match x { A => 1, B => 2, C => 3, D => { 4 } } }", &[(2, 1)]);
        check(Language::Rust, "fn f() { match x { A => { a(); b(); } B if c => 2, C => 3 } }", &[(4, 1)]);
        check(Language::JavaScript, "function f() { switch (x) { case 1: return 1; case 2: g(); break; } }", &[(2, 1)]);
        check(Language::JavaScript, "function f() { switch (x) { case 1: g(); h(); break; } }", &[(3, 1)]);
        check(Language::Go, "package a\nfunc f() { switch x {\ncase 1:\n a()\ncase 2:\n a()\n b()\n} }", &[(3, 7)]);
        check(Language::Python, "def f():\n match x:\n  case 1:\n   a()\n   b()\n  case 2:\n   a()\n", &[(3, 7)]);
    }

    #[test]
    fn inner_functions_count_for_themselves() {
        check(Language::JavaScript, "function f() {\n  g(() => {\n    if (a) b();\n  });\n}\n", &[(2, 3), (1, 4)]);
    }

    #[test]
    fn text_over_many_lines_counts_as_two() {
        check(Language::Python, "def f():\n    x = '''\na\nb\nc\n'''\n", &[(1, 3)]);
    }

    #[test]
    fn attributes_mark_test_code() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[path = \"t.rs\"]\nmod tests { fn b() {} }\n#[cfg(not(test))]\nfn c() {}\n";
        let cancel = AtomicBool::new(false);
        let ast = parse(text, Language::Rust, &cancel).expect("parses");
        let root = ast.root().get_inner_node();
        let survey = survey(root, text, Grammar::of(Language::Rust), &cancel).expect("walks");
        assert_eq!(survey.tests.len(), 1);
        assert!(text[survey.tests[0].clone()].ends_with("fn b() {} }"));
    }
}
