//! Reviews one file: bytes and rules in, findings out. No I/O, no clock.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use ast_grep_core::Matcher;
use ast_grep_core::matcher::MatcherExt;
use serde::Serialize;

use crate::complexity::{complicated, long};
use crate::duplicates::{Duplicate, in_if, in_switch};
use crate::finding::{Finding, Place, finding, settle};
use crate::grammar::Grammar;
use crate::language::Language;
use crate::rule::{Check, Computed, severity};
use crate::rules::{Active, RuleSet};
use crate::scope::is_test_path;
use crate::skip::{Skip, readable};
use crate::suppress;
use crate::survey::{Survey, survey};
use crate::syntax::{Ast, Stop, keep_going, parse};

/// No reader goes through more; the number left out is in the metrics.
const MOST_FINDINGS: usize = 1_000;
/// How many nodes are matched between two looks at the cancel flag.
const NODES_PER_LOOK: usize = 64;

/// The caller asked for the review to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the review was cancelled")]
pub struct Cancelled;

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Review {
    /// The path as given; it names the file and is never opened.
    pub path: String,
    /// The language, when it is known.
    pub language: Option<Language>,
    /// Lines of the file, 0 when it was not read as text.
    pub lines: usize,
    /// By place in the file.
    pub findings: Vec<Finding>,
    /// Numbers about the file, absent when it was skipped.
    pub metrics: Option<Metrics>,
    /// Why the file was not looked at.
    pub skipped: Option<Skip>,
}

/// Numbers about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// Functions, methods and, where they are written as such, anonymous functions.
    pub functions: usize,
    /// The highest cyclomatic complexity of a function.
    pub max_complexity: u32,
    /// Lines of code of the longest function.
    pub max_function_lines: u32,
    /// Lines with code on them.
    pub code_lines: u32,
    /// Comments.
    pub comments: usize,
    /// Depth of the syntax tree.
    pub max_depth: usize,
    /// Places the parser could not make sense of.
    pub syntax_errors: u32,
    /// Findings by rule, before the list was cut.
    pub by_rule: BTreeMap<String, usize>,
    /// Findings left out because there were too many.
    pub findings_cut: usize,
}

/// Reviews one file, in the language its path tells.
///
/// # Errors
/// [`Cancelled`] soon after `cancel` is raised.
pub fn review(path: &str, content: &[u8], rules: &RuleSet, cancel: &AtomicBool) -> Result<Review, Cancelled> {
    review_as(Language::detect(path, content), path, content, rules, cancel)
}

/// Reviews one file in a language the caller knows; `None` means one that cannot be reviewed.
///
/// # Errors
/// [`Cancelled`] soon after `cancel` is raised.
pub fn review_as(
    language: Option<Language>,
    path: &str,
    content: &[u8],
    rules: &RuleSet,
    cancel: &AtomicBool,
) -> Result<Review, Cancelled> {
    let mut review =
        Review { path: path.to_owned(), language, lines: 0, findings: Vec::new(), metrics: None, skipped: None };
    let Some(language) = language else {
        review.skipped = Some(Skip::UnsupportedLanguage);
        return Ok(review);
    };
    let text = match readable(content, rules.config.max_file_bytes) {
        Ok(text) if is_minified_name(path) => {
            review.lines = text.lines().count();
            review.skipped = Some(Skip::Minified);
            return Ok(review);
        }
        Ok(text) => text,
        Err(skip) => {
            review.skipped = Some(skip);
            return Ok(review);
        }
    };
    review.lines = text.lines().count();
    match analyse(language, path, text, rules, cancel) {
        Ok((findings, metrics)) => {
            review.findings = findings;
            review.metrics = Some(metrics);
        }
        Err(Stop::TooComplex) => review.skipped = Some(Skip::TooComplex),
        Err(Stop::Cancelled) => return Err(Cancelled),
    }
    Ok(review)
}

fn is_minified_name(path: &str) -> bool {
    [".min.js", ".min.mjs", ".bundle.js"].iter().any(|suffix| path.ends_with(suffix))
}

fn analyse(
    language: Language,
    path: &str,
    text: &str,
    rules: &RuleSet,
    cancel: &AtomicBool,
) -> Result<(Vec<Finding>, Metrics), Stop> {
    let grammar = Grammar::of(language);
    let ast = parse(text, language, cancel)?;
    let root = ast.root().get_inner_node();
    let survey = survey(root, text, grammar, cancel)?;

    let file = File { text, in_tests: is_test_path(path), survey: &survey, grammar };
    let mut findings = Vec::new();
    for check in rules.computed() {
        keep_going(cancel)?;
        file.compute(check, rules, &mut findings);
    }
    file.match_rules(&ast, &rules.active(path, language), cancel, &mut findings)?;
    suppress::apply(&mut findings, &survey.comments, text);
    settle(&mut findings);
    Ok(measure(&survey, findings))
}

fn measure(survey: &Survey<'_>, mut findings: Vec<Finding>) -> (Vec<Finding>, Metrics) {
    let mut by_rule = BTreeMap::new();
    for finding in &findings {
        *by_rule.entry(finding.rule.clone()).or_default() += 1;
    }
    let findings_cut = findings.len().saturating_sub(MOST_FINDINGS);
    findings.truncate(MOST_FINDINGS);
    let metrics = Metrics {
        functions: survey.functions.len(),
        max_complexity: survey.functions.iter().map(|function| function.complexity).max().unwrap_or(0),
        max_function_lines: survey.functions.iter().map(|function| function.lines).max().unwrap_or(0),
        code_lines: survey.code_lines,
        comments: survey.comments.len(),
        max_depth: survey.max_depth,
        syntax_errors: survey.syntax_errors,
        by_rule,
        findings_cut,
    };
    (findings, metrics)
}

/// What every check needs to know of the file.
struct File<'a> {
    text: &'a str,
    in_tests: bool,
    survey: &'a Survey<'a>,
    grammar: &'static Grammar,
}

impl File<'_> {
    fn is_test(&self, byte: usize) -> bool {
        self.in_tests || self.survey.tests.iter().any(|range| range.contains(&byte))
    }

    fn compute(&self, check: &Computed, rules: &RuleSet, findings: &mut Vec<Finding>) {
        let config = &rules.config;
        let mut report = |place: Place, name: &str, value: String, limit: String| {
            let severity = severity(&check.severity);
            if let Some(severity) = check.metadata.in_tests.severity(severity, self.is_test(place.start.0)) {
                let message =
                    check.message.replace("{value}", &value).replace("{limit}", &limit).replace("{name}", name);
                findings.push(finding(&check.id, severity, message, place, self.text));
            }
        };
        let functions = &self.survey.functions;
        match check.check {
            Check::Complexity => complicated(functions, config.max_complexity, self.text)
                .into_iter()
                .for_each(|e| report(e.place, &e.name, e.value.to_string(), config.max_complexity.to_string())),
            Check::LongFunction => long(functions, config.max_function_lines, self.text)
                .into_iter()
                .for_each(|e| report(e.place, &e.name, e.value.to_string(), config.max_function_lines.to_string())),
            Check::DuplicateBranch => {
                let same = self.survey.ifs.iter().flat_map(|node| in_if(node, self.grammar, self.text));
                same.for_each(|Duplicate { place, first_line }| {
                    report(place, "", first_line.to_string(), String::new())
                });
            }
            Check::DuplicateArm => {
                let same = self.survey.switches.iter().flat_map(|node| in_switch(node, self.grammar, self.text));
                same.for_each(|Duplicate { place, first_line }| {
                    report(place, "", first_line.to_string(), String::new())
                });
            }
        }
    }

    /// Matches all rules in one walk: a node is shown only to rules that could match its kind.
    fn match_rules(
        &self,
        ast: &Ast,
        active: &[Active<'_>],
        cancel: &AtomicBool,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Stop> {
        let root = ast.root();
        let mut by_kind: Vec<Vec<usize>> = Vec::new();
        for (index, (rule, extras)) in active.iter().enumerate() {
            if extras.leaves_out(&root) {
                continue;
            }
            for kind in &rule.matcher.potential_kinds().unwrap_or_default() {
                if by_kind.len() <= kind {
                    by_kind.resize_with(kind + 1, Vec::new);
                }
                by_kind[kind].push(index);
            }
        }
        for (visited, node) in root.dfs().enumerate() {
            if visited.is_multiple_of(NODES_PER_LOOK) {
                keep_going(cancel)?;
            }
            for &index in by_kind.get(usize::from(node.kind_id())).into_iter().flatten() {
                let (rule, extras) = &active[index];
                let Some(found) = rule.matcher.match_node(node.clone()) else { continue };
                let place = Place::of(&found.get_inner_node());
                let in_test = self.is_test(place.start.0);
                if let Some(severity) = extras.in_tests.severity(severity(&rule.severity), in_test) {
                    findings.push(finding(&rule.id, severity, rule.get_message(&found), place, self.text));
                }
            }
        }
        Ok(())
    }
}
