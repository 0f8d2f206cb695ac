//! What takes part in a review: source files, a task's own rules, and the report's input.

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use nova_code_review::{Language, RuleSet, review, review_as};
use nova_report::gather;

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

pub const REVIEW: Target = Target {
    name: "review",
    about: "a source file, its path in the first line: findings lie inside the file, whatever it holds",
    run: reviewed,
    words: &[
        "a.rs\n",
        "a.py\n",
        "a.js\n",
        "a.ts\n",
        "a.tsx\n",
        "a.go\n",
        "fn a() {",
        "if a { if b {",
        "def a():\n",
        "match x {",
        "unsafe {",
        "((((((((((((((((",
        "}}}}}}}}",
        "/*",
        "\"\"\"",
        "`${",
        "// nova-ignore",
        "\u{feff}",
        "\r\n",
        "é",
        "🦀",
        "func a() {",
        "switch",
        "=> ",
        "eval(",
        "todo!()",
    ],
    longest: 1024,
    tries: 25,
    bounds: Bounds { held: (16 << 20, 16 * 1024), steps: (400_000, 4096) },
};

pub const RULES: Target = Target {
    name: "rules",
    about: "a task's own review rules: they are made sense of or refused with a reason",
    run: rules,
    words: &[
        "id: a\n",
        "language: rust\n",
        "rule:\n",
        "  pattern: $A.unwrap()\n",
        "  kind: call_expression\n",
        "  any:\n",
        "  all:\n",
        "  not:\n",
        "  inside:\n",
        "  has:\n",
        "  regex: \"(a+)+$\"\n",
        "severity: error\n",
        "message: m\n",
        "---\n",
        "$$$",
        "$_",
        "stopBy: end\n",
        "constraints:\n",
        "utils:\n",
        "matches: a\n",
        "&a",
        "*a",
    ],
    longest: 1024,
    tries: 25,
    bounds: Bounds { held: (32 << 20, 64 * 1024), steps: (400_000, 4096) },
};

pub const REPORT: Target = Target {
    name: "report",
    about: "a report's input: every file is accounted for, its SARIF is JSON",
    run: report,
    words: &[
        "\"root\":",
        "\"files\":[\"a\"]",
        "\"reviews\":[null]",
        "\"findings\":[{",
        "\"rule\":\"a\"",
        "\"severity\":\"error\"",
        "\"message\":\"m\"",
        "\"line\":1",
        "\"column\":1",
        "\"end_line\":1",
        "\"end_column\":2",
        "\"skipped\":[{\"path\":\"b\",\"why\":\"binary\"}]",
        "\"rules\":{\"rules\":[{\"id\":\"a\",\"severity\":\"info\"}]}",
        "\"sarif\":true",
        "\"markdown\":true",
        "\"lines\":",
        "18446744073709551615",
        "|",
        "`",
    ],
    longest: 8192,
    tries: 1000,
    bounds: Bounds { held: (256 * 1024, 1024), steps: (4096, 64) },
};

static BUILT_IN: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::new(nova_code_review::Config::default()).expect("no folder is named"));

fn reviewed(bytes: &[u8]) -> Held {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (path, content) = (as_text(&bytes[..end]), bytes.get(end + 1..).unwrap_or_default());
    let done = review(&path, content, &BUILT_IN, &AtomicBool::new(false)).map_err(|_| "nobody cancelled it")?;
    if let Some(skip) = done.skipped {
        return refused(format!("{skip:?}"));
    }
    for finding in &done.findings {
        holds(
            "a finding begins inside",
            finding.line >= 1 && finding.line <= done.lines.max(1) && finding.column >= 1,
        )?;
        holds(
            "a finding ends behind its beginning",
            (finding.end_line, finding.end_column) >= (finding.line, finding.column),
        )?;
    }
    let written = serde_json::to_vec(&done).map_err(|error| format!("a review cannot be written: {error}"))?;
    let _: nova_review::Answer =
        serde_json::from_slice(&written).map_err(|error| format!("a report cannot read it: {error}"))?;
    read(format!("{:?} {}", done.language, done.findings.len().min(5)))
}

fn rules(bytes: &[u8]) -> Held {
    let with = match BUILT_IN.with_rules(&as_text(bytes), Some(Language::Rust)) {
        Ok(with) => with,
        Err(error) => return refused(error),
    };
    let text = b"fn a() { b().unwrap(); }\n";
    review_as(Some(Language::Rust), "a.rs", text, &with, &AtomicBool::new(false)).map_err(|_| "nobody cancelled it")?;
    with.catalogue().map_err(|error| format!("rules that were taken are refused: {error}"))?;
    read("rules")
}

fn report(bytes: &[u8]) -> Held {
    let input: nova_report::Input = match serde_json::from_slice(bytes) {
        Ok(input) => input,
        Err(error) => return refused(error),
    };
    let (reviews, files) = (input.files.len() as u64, (input.files.len() + input.skipped.len()) as u64);
    let report = match gather(input) {
        Ok(report) => report,
        Err(why) => return refused(why),
    };
    same("the files", &report.files, &files)?;
    same("the reviews that are accounted for", &(report.reviewed + report.failed.len() as u64), &reviews)?;
    if let Some(sarif) = &report.sarif {
        let _: serde_json::Value =
            serde_json::from_str(sarif).map_err(|error| format!("its SARIF is no JSON: {error}"))?;
    }
    let written = serde_json::to_vec(&report).map_err(|error| format!("it cannot be written: {error}"))?;
    let again: nova_review::Report =
        serde_json::from_slice(&written).map_err(|error| format!("it cannot be read: {error}"))?;
    same("a report written", &again, &report)?;
    read(format!("{} {} {}", report.findings.len().min(5), report.failed.len().min(3), report.sarif.is_some()))
}
