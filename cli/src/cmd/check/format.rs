//! A report in the words of monitoring systems.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::json;

use super::report::{Finding, Item, Perf, Report, Status};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line with performance data, as monitoring plugins print it.
    Nagios,
    /// One JSON object.
    Json,
    /// Metrics for a text file collector.
    Prometheus,
    /// A line per finding, for people.
    Text,
}

impl Format {
    /// Writes the report.
    pub(super) fn render(self, name: &str, report: &Report) -> String {
        match self {
            Self::Nagios => nagios(name, report),
            Self::Json => format!("{}\n", json(name, report)),
            Self::Prometheus => prometheus(name, report),
            Self::Text => text(name, report),
        }
    }
}

fn sentence(finding: &Finding) -> String {
    format!("{}: {}", finding.item.as_str(), finding.text)
}

fn nagios(name: &str, report: &Report) -> String {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    // The worst first: many systems show only the beginning of the line.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.status.code()));
    let told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {}", finding.status.as_str(), sentence(finding)).replace(['|', '\n'], " "))
        .collect();
    let mut line = format!("{name} {}: {}", report.status().as_str(), told.join("; "));
    if !report.perf.is_empty() {
        line.push_str(" |");
    }
    for perf in &report.perf {
        let skill = perf.skill.as_ref().map(|skill| format!("_{skill}")).unwrap_or_default();
        let limit = |value: f64| if value > 0.0 { value.to_string() } else { String::new() };
        let (warning, critical) = (limit(perf.warning), limit(perf.critical));
        write!(line, " {}{skill}={}{};{warning};{critical}", perf.name, perf.value, perf.unit)
            .expect("writing to a String cannot fail");
    }
    line.push('\n');
    line
}

fn json(name: &str, report: &Report) -> serde_json::Value {
    let of = |status: Status| -> Vec<String> {
        report.findings.iter().filter(|finding| finding.status == status).map(sentence).collect()
    };
    json!({
        "name": name,
        "status": report.status(),
        "ok": of(Status::Ok),
        "warning": of(Status::Warning),
        "critical": of(Status::Critical),
        "unknown": of(Status::Unknown),
        "perf_data": report.perf,
    })
}

fn prometheus(name: &str, report: &Report) -> String {
    let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let name = label(name);
    let mut out = String::from(
        "# HELP nova_check_status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN\n# TYPE nova_check_status gauge\n",
    );
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String cannot fail");
    line(format!("nova_check_status{{name=\"{name}\",item=\"all\"}} {}", report.status().code()));
    for item in <Item as ValueEnum>::value_variants() {
        if let Some(status) = report.status_of(*item) {
            line(format!("nova_check_status{{name=\"{name}\",item=\"{}\"}} {}", item.as_str(), status.code()));
        }
    }
    let mut perf: Vec<&Perf> = report.perf.iter().collect();
    perf.sort_by_key(|perf| perf.name);
    let mut last = "";
    for perf in perf {
        let unit = match perf.unit {
            "s" => "_seconds",
            "%" => "_percent",
            _ => "",
        };
        if perf.name != last {
            line(format!("# TYPE nova_check_{}{unit} gauge", perf.name));
            last = perf.name;
        }
        let skill = perf.skill.as_ref().map(|skill| format!(",skill=\"{}\"", label(skill))).unwrap_or_default();
        line(format!("nova_check_{}{unit}{{name=\"{name}\"{skill}}} {}", perf.name, perf.value));
    }
    out
}

fn text(name: &str, report: &Report) -> String {
    let mut out = format!("{name}: {}\n", report.status().as_str());
    for finding in &report.findings {
        writeln!(out, "  {:<8} {}", finding.status.as_str(), sentence(finding))
            .expect("writing to a String cannot fail");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.add(Status::Ok, Item::Connection, "there");
        let perf =
            Perf { name: "waiting", skill: Some("echo".into()), value: 7.0, warning: 5.0, critical: 0.0, unit: "" };
        report.measure(Item::Queue, perf, || "echo: 7 tasks wait | more".to_owned());
        report
    }

    #[test]
    fn nagios_names_the_worst_first_and_keeps_to_one_line() {
        let expect = "n WARNING: WARNING queue: echo: 7 tasks wait   more; OK connection: there | waiting_echo=7;5;\n";
        assert_eq!(Format::Nagios.render("n", &report()), expect);
    }

    #[test]
    fn prometheus_gets_a_status_per_item_and_every_number() {
        let text = Format::Prometheus.render("n", &report());
        for line in [
            "nova_check_status{name=\"n\",item=\"all\"} 1",
            "nova_check_status{name=\"n\",item=\"queue\"} 1",
            "nova_check_status{name=\"n\",item=\"connection\"} 0",
            "nova_check_waiting{name=\"n\",skill=\"echo\"} 7",
        ] {
            assert!(text.lines().any(|one| one == line), "{text}");
        }
    }

    #[test]
    fn json_lists_the_findings_by_status() {
        let value: serde_json::Value = serde_json::from_str(&Format::Json.render("n", &report())).expect("JSON");
        assert_eq!(value["status"], "WARNING");
        assert_eq!(value["warning"][0], "queue: echo: 7 tasks wait | more");
        assert_eq!(value["perf_data"][0]["value"], 7.0);
    }
}
