//! Parses a file into a syntax tree, within a fixed amount of work and until told to stop.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use ast_grep_core::AstGrep;
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_language::SupportLang;
use tree_sitter::{ParseOptions, Parser};

use crate::language::Language;

pub(crate) type Doc = StrDoc<SupportLang>;
pub(crate) type Ast = AstGrep<Doc>;

/// Why an analysis ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The caller asked for it.
    Cancelled,
    /// The file asks for more work or stack than any real one.
    TooComplex,
}

/// The parser reports after every 100 steps of its own; real code has 50 bytes and more for each report, and the worst
/// input found so far 25.
const BYTES_PER_REPORT: usize = 8;
/// Lets small files of any shape be parsed to the end.
const REPORTS_AT_LEAST: usize = 20_000;

/// Parses one file.
pub(crate) fn parse(text: &str, language: Language, cancel: &AtomicBool) -> Result<Ast, Stop> {
    let support = language.support();
    let mut parser = Parser::new();
    parser.set_language(&support.get_ts_language()).expect("grammars and parser are pinned to versions that fit");
    let budget = REPORTS_AT_LEAST.max(text.len() / BYTES_PER_REPORT);
    let mut reports = 0;
    let mut watch = |_: &tree_sitter::ParseState| {
        reports += 1;
        if reports > budget || cancel.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let bytes = text.as_bytes();
    let tree = parser
        .parse_with_options(
            &mut |offset, _| bytes.get(offset..).unwrap_or_default(),
            None,
            Some(ParseOptions::new().progress_callback(&mut watch)),
        )
        .ok_or_else(|| if cancel.load(Ordering::Relaxed) { Stop::Cancelled } else { Stop::TooComplex })?;
    Ok(Ast::doc(StrDoc { src: text.to_owned(), lang: support, tree }))
}

/// Returns `Err` once the caller has asked to stop.
pub(crate) fn keep_going(cancel: &AtomicBool) -> Result<(), Stop> {
    if cancel.load(Ordering::Relaxed) { Err(Stop::Cancelled) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_flag_stops_the_parser() {
        let text = "fn f() { g(1, 2, 3); }\n".repeat(5_000);
        assert_eq!(parse(&text, Language::Rust, &AtomicBool::new(true)).err(), Some(Stop::Cancelled));
    }

    #[test]
    fn every_language_parses_its_own_hello() {
        for (language, text) in [
            (Language::Rust, "fn main() { f(); }"),
            (Language::Python, "def main():\n    f()\n"),
            (Language::JavaScript, "const a = <b>{f()}</b>;"),
            (Language::TypeScript, "const a: string = <string>f();"),
            (Language::Tsx, "const a: X = <b>{f()}</b>;"),
            (Language::Go, "package main\nfunc main() { f() }\n"),
        ] {
            let ast = parse(text, language, &AtomicBool::new(false)).expect("parses");
            assert!(!ast.root().get_inner_node().has_error(), "{language:?}");
        }
    }
}
