//! Every rule is held to its own positive and negative cases, and none may be without them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use nova_code_review::{Config, Language, Review, RuleSet, review_as};
use serde::Deserialize;

/// The content of a `<rule>.test.yml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    positive: Vec<Case>,
    negative: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Case {
    Text(String),
    Full { code: String, path: Option<String>, language: Option<String> },
}

/// One case as it is run.
struct Run {
    path: String,
    code: String,
    language: Language,
}

fn rule_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("is a folder").map(|entry| entry.expect("can be listed").path()).collect()
    };
    let mut files: Vec<_> = list(&root).iter().flat_map(|folder| list(folder)).collect();
    files.retain(|file| !file.to_string_lossy().ends_with(".test.yml"));
    files.sort();
    files
}

fn id_of(file: &Path) -> String {
    let stem = file.file_stem().expect("has a name").to_string_lossy();
    let folder = file.parent().and_then(Path::file_name).expect("stands in a folder").to_string_lossy();
    if folder == "any" { stem.into_owned() } else { format!("{folder}/{stem}") }
}

/// A case without a language is run in every language its rule is applied to.
fn runs(case: &Case, applied_to: &[Language]) -> Vec<Run> {
    let (code, path, language) = match case {
        Case::Text(code) => (code, None, None),
        Case::Full { code, path, language } => (code, path.as_ref(), language.as_ref()),
    };
    let languages = match language {
        Some(name) => vec![Language::from_name(name).expect("the case names a known language")],
        None => applied_to.to_vec(),
    };
    let run = |language: Language| Run {
        path: path.cloned().unwrap_or_else(|| format!("src/module.{}", extension(language))),
        code: code.clone(),
        language,
    };
    languages.into_iter().map(run).collect()
}

fn extension(language: Language) -> &'static str {
    match language {
        Language::Rust => "rs",
        Language::Python => "py",
        Language::JavaScript => "js",
        Language::TypeScript => "ts",
        Language::Tsx => "tsx",
        Language::Go => "go",
    }
}

fn run(rules: &RuleSet, run: &Run) -> Review {
    let cancel = AtomicBool::new(false);
    let review = review_as(Some(run.language), &run.path, run.code.as_bytes(), rules, &cancel).expect("not cancelled");
    assert_eq!(review.skipped, None, "{}", run.code);
    review
}

#[test]
fn every_rule_holds_on_its_positive_and_negative_cases() {
    let rules = RuleSet::new(Config::default()).expect("the built-in rules are sound");
    let catalogue = rules.catalogue().expect("the built-in rules are sound");
    let mut problems = Vec::new();
    let files = rule_files();
    for file in &files {
        let id = id_of(file);
        let Some(info) = catalogue.iter().find(|info| info.id == id) else {
            problems.push(format!("{}: its id is not `{id}`", file.display()));
            continue;
        };
        let text = std::fs::read_to_string(file.with_extension("test.yml")).unwrap_or_default();
        let cases: Cases = match ast_grep_config::from_str(&text) {
            Ok(cases) => cases,
            Err(error) => {
                problems.push(format!("{id}: no usable test cases: {error}"));
                continue;
            }
        };
        for (kind, cases, expected) in [("positive", &cases.positive, true), ("negative", &cases.negative, false)] {
            let runs: Vec<Run> = cases.iter().flat_map(|case| runs(case, &info.languages)).collect();
            for language in &info.languages {
                if !runs.iter().any(|run| run.language == *language) {
                    problems.push(format!("{id}: no {kind} case for {}", language.name()));
                }
            }
            for case in runs {
                let review = run(&rules, &case);
                if review.findings.iter().any(|finding| finding.rule == id) != expected {
                    problems.push(format!("{id}: {kind} case in {} fails:\n{}", case.language.name(), case.code));
                }
                if review.metrics.is_some_and(|metrics| metrics.syntax_errors > 0) {
                    problems.push(format!(
                        "{id}: {kind} case in {} is not valid:\n{}",
                        case.language.name(),
                        case.code
                    ));
                }
            }
        }
    }
    assert_eq!(catalogue.len(), files.len(), "every rule has a file");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_rule_describes_itself() {
    let catalogue = RuleSet::new(Config::default()).expect("sound").catalogue().expect("sound");
    for info in catalogue {
        assert!(!info.summary.is_empty() && !info.summary.ends_with('.') && info.summary.len() <= 60, "{info:?}");
        assert!(info.help.ends_with('.'), "{info:?}");
    }
}
