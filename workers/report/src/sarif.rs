//! A report as SARIF 2.1.0, the format that code hosts and editors show findings from.

use std::collections::BTreeMap;

use nova_review::{Found, Report, Rule, Severity};
use nova_worker::TaskId;
use serde::Serialize;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Names the way a fingerprint is made; another way has to have another name.
const FINGERPRINT: &str = "novaFingerprint/v1";

/// A SARIF log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    automation_details: AutomationDetails,
    invocations: Vec<Invocation>,
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Debug, Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Descriptor>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    id: String,
    short_description: Message,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<Message>,
    default_configuration: Configuration,
}

#[derive(Debug, Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Debug, Serialize)]
struct Message {
    text: String,
}

#[derive(Debug, Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Debug, Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
    locations: Vec<FileLocation>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileLocation {
    physical_location: FileOnly,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileOnly {
    artifact_location: Artifact,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partial_fingerprints: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Place,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u64,
    start_column: u64,
    end_line: u64,
    end_column: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<Message>,
}

/// The log of a report as text, on one line.
pub(crate) fn text(report: &Report, rules: Vec<Rule>, task: &TaskId) -> String {
    serde_json::to_string(&log(report, rules, task)).expect("a plain record always encodes")
}

fn log(report: &Report, rules: Vec<Rule>, task: &TaskId) -> Log {
    let rules = descriptors(report, rules);
    let index: BTreeMap<&str, usize> = rules.iter().enumerate().map(|(at, rule)| (rule.id.as_str(), at)).collect();
    let results = report.findings.iter().map(|found| result(found, index[found.finding.rule.as_str()])).collect();
    let version = env!("CARGO_PKG_VERSION");
    let driver = Driver { name: "nova-code-review", version, semantic_version: version, rules };
    let run = Run {
        tool: Tool { driver },
        automation_details: AutomationDetails { id: format!("nova-code-review/{task}") },
        invocations: vec![Invocation {
            execution_successful: report.failed.is_empty(),
            tool_execution_notifications: notifications(report),
        }],
        column_kind: "unicodeCodePoints",
        results,
    };
    Log { schema: SCHEMA, version: "2.1.0", runs: vec![run] }
}

/// The rules in force, and those that only findings name: of a task's own rules, or of a worker that was updated.
fn descriptors(report: &Report, rules: Vec<Rule>) -> Vec<Descriptor> {
    let mut rules: BTreeMap<String, Descriptor> =
        rules.into_iter().map(|rule| (rule.id.clone(), descriptor(rule))).collect();
    for Found { finding, .. } in &report.findings {
        if !rules.contains_key(&finding.rule) {
            let id = finding.rule.clone();
            let (text, level) = (id.clone(), level(finding.severity));
            let default_configuration = Configuration { level };
            let short_description = Message { text };
            rules.insert(id.clone(), Descriptor { id, short_description, help: None, default_configuration });
        }
    }
    rules.into_values().collect()
}

fn descriptor(rule: Rule) -> Descriptor {
    let summary = if rule.summary.is_empty() { &rule.id } else { &rule.summary };
    Descriptor {
        short_description: Message { text: summary.clone() },
        id: rule.id,
        help: (!rule.help.is_empty()).then_some(Message { text: rule.help }),
        default_configuration: Configuration { level: level(rule.severity) },
    }
}

fn result(found: &Found, rule_index: usize) -> SarifResult {
    let finding = &found.finding;
    let fingerprint = (!finding.fingerprint.is_empty()).then(|| (FINGERPRINT, finding.fingerprint.clone()));
    let region = Region {
        start_line: finding.line.max(1),
        start_column: finding.column.max(1),
        end_line: finding.end_line.max(1),
        end_column: finding.end_column.max(1),
        snippet: (!finding.snippet.is_empty()).then(|| Message { text: finding.snippet.clone() }),
    };
    SarifResult {
        rule_id: finding.rule.clone(),
        rule_index,
        level: level(finding.severity),
        message: Message { text: finding.message.clone() },
        locations: vec![Location { physical_location: Place { artifact_location: artifact(&found.path), region } }],
        partial_fingerprints: fingerprint.into_iter().collect(),
    }
}

fn notifications(report: &Report) -> Vec<Notification> {
    let failed =
        report.failed.iter().map(|failed| ("error", format!("not reviewed: {}", failed.message), &failed.path));
    let skipped = report.news().map(|skipped| ("note", format!("skipped: {}", skipped.why), &skipped.path));
    failed
        .chain(skipped)
        .map(|(level, text, path)| Notification {
            level,
            message: Message { text },
            locations: vec![FileLocation { physical_location: FileOnly { artifact_location: artifact(path) } }],
        })
        .collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn artifact(path: &str) -> Artifact {
    Artifact { uri: uri(path), uri_base_id: "%SRCROOT%" }
}

/// A path as a relative URI: everything but unreserved characters and the separator is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gather::{gather, tests::sample};

    #[test]
    fn the_log_has_the_shape_that_the_schema_asks_for() {
        let rules = vec![Rule {
            id: "rust/unwrap".into(),
            summary: "A panic".into(),
            severity: Severity::Warning,
            help: "Say why.".into(),
        }];
        let text = text(&gather(sample()).unwrap(), rules, &"s.n".parse().unwrap());
        let log: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&log["version"], &log["$schema"]), (&json!("2.1.0"), &json!(SCHEMA)));
        let run = &log["runs"][0];
        assert_eq!(run["automationDetails"]["id"], json!("nova-code-review/s.n"));
        let rules: Vec<&Value> =
            run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
        assert_eq!(rules, ["rust/todo", "rust/unwrap"]);
        let last = &run["results"][2];
        assert_eq!(
            (&last["ruleId"], &last["ruleIndex"], &last["level"]),
            (&json!("rust/todo"), &json!(0), &json!("note"))
        );
        let place = &last["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"], json!({"uri": "b%20c.rs", "uriBaseId": "%SRCROOT%"}));
        assert_eq!(
            place["region"],
            json!({"startLine": 3, "startColumn": 2, "endLine": 3, "endColumn": 5, "snippet": {"text": "x"}})
        );
        assert_eq!(last["partialFingerprints"], json!({"novaFingerprint/v1": "f-3"}));
        let invocation = &run["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], json!(false));
        assert_eq!(invocation["toolExecutionNotifications"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(uri("a b/ü#?%.rs"), "a%20b/%C3%BC%23%3F%25.rs");
    }
}
