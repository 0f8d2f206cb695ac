//! The `Nova-Outcome` header: the terminal record's facts in one line.

use std::time::Duration;

use nova_types::{Code, ItemCount, Outcome, OutcomeKind, Skill, TaskId, UnixMillis, Usage, WorkerId};

use crate::structured::{Item, StructuredError, push_id, push_integer, push_text};

/// A `Nova-Outcome` header that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOutcome {
    /// It is no structured item.
    #[error("outcome header is malformed")]
    Malformed(#[from] StructuredError),
    /// Its token is none of the known kinds.
    #[error("outcome kind `{0}` is unknown")]
    Kind(String),
    /// A required parameter is missing or malformed.
    #[error("outcome header lacks a valid `{0}`")]
    Parameter(&'static str),
}

/// Writes the header's value.
#[must_use]
pub fn write_outcome(outcome: &Outcome) -> String {
    // Long enough for every parameter of a usual task: one allocation on the hot path.
    let mut out = String::with_capacity(256);
    out.push_str(outcome.kind.as_str());
    push_id(&mut out, "task", &outcome.task);
    push_text(&mut out, "skill", outcome.skill.as_str());
    push_integer(&mut out, "attempt", i64::from(outcome.attempt));
    if let Some(worker) = &outcome.worker {
        push_text(&mut out, "worker", worker.as_str());
    }
    if let Some(nonce) = &outcome.nonce {
        push_text(&mut out, "nonce", nonce);
    }
    if let Some(submitted) = outcome.submitted {
        push_integer(&mut out, "submitted", submitted.0);
    }
    if let Some(started) = outcome.started {
        push_integer(&mut out, "started", started.0);
    }
    push_integer(&mut out, "finished", outcome.finished.0);
    if let Some(cpu) = outcome.usage.cpu {
        push_integer(&mut out, "cpu-ms", i64::try_from(cpu.as_millis()).unwrap_or(i64::MAX));
    }
    if let Some(rss) = outcome.usage.rss_bytes {
        push_integer(&mut out, "rss", i64::try_from(rss).unwrap_or(i64::MAX));
    }
    if let Some(code) = &outcome.code {
        push_text(&mut out, "code", code.as_str());
    }
    if let Some(ItemCount { items, failed, cancelled }) = outcome.items {
        push_integer(&mut out, "items", i64::from(items));
        for (key, count) in [("failed", failed), ("cancelled", cancelled)] {
            if count > 0 {
                push_integer(&mut out, key, i64::from(count));
            }
        }
    }
    out
}

/// Reads the header's value; unknown parameters are passed over.
///
/// # Errors
/// [`InvalidOutcome`] when it is malformed, of an unknown kind or lacks task, skill, attempt or finished.
pub fn parse_outcome(text: &str) -> Result<Outcome, InvalidOutcome> {
    use InvalidOutcome::Parameter;
    let item = Item::parse(text)?;
    let kind = OutcomeKind::from_word(&item.token).ok_or_else(|| InvalidOutcome::Kind(item.token.clone()))?;
    let task: TaskId = item.text("task").and_then(|t| t.parse().ok()).ok_or(Parameter("task"))?;
    let skill = item.text("skill").and_then(|t| Skill::new(t).ok()).ok_or(Parameter("skill"))?;
    let attempt = item.integer("attempt").and_then(|n| u32::try_from(n).ok()).ok_or(Parameter("attempt"))?;
    let finished = item.integer("finished").map(UnixMillis).ok_or(Parameter("finished"))?;
    let small = |key: &str| item.integer(key).and_then(|n| u32::try_from(n).ok());
    let unsigned = |key: &str| item.integer(key).and_then(|n| u64::try_from(n).ok());
    Ok(Outcome {
        kind,
        task,
        skill,
        attempt,
        worker: item.text("worker").and_then(|t| WorkerId::new(t).ok()),
        nonce: item.text("nonce").map(ToOwned::to_owned),
        submitted: item.integer("submitted").map(UnixMillis),
        started: item.integer("started").map(UnixMillis),
        finished,
        code: item.text("code").map(Code::new),
        usage: Usage { cpu: unsigned("cpu-ms").map(Duration::from_millis), rss_bytes: unsigned("rss") },
        items: small("items").map(|items| ItemCount {
            items,
            failed: small("failed").unwrap_or(0),
            cancelled: small("cancelled").unwrap_or(0),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"completed;task="cli7.018f";skill="echo";attempt=1;worker="w1";nonce="k3x9";submitted=1795370000123;started=1795370000124;finished=1795370000130;cpu-ms=12;rss=5242880"#;

    #[test]
    fn the_golden_header_reads_and_writes_the_same() {
        let outcome = parse_outcome(GOLDEN).expect("golden");
        assert_eq!(outcome.usage.cpu, Some(Duration::from_millis(12)));
        assert_eq!(write_outcome(&outcome), GOLDEN);
    }

    #[test]
    fn a_dead_outcome_carries_its_code_and_no_attempt() {
        let text = r#"dead;task="_seq.9";skill="echo";attempt=0;finished=5;code="bad_input""#;
        let outcome = parse_outcome(text).expect("golden");
        assert_eq!(outcome.code, Some(Code::new("bad_input")));
        assert_eq!(write_outcome(&outcome), text);
    }

    #[test]
    fn the_outcome_of_a_bundle_counts_its_items() {
        let text = r#"completed;task="cli.a";skill="echo";attempt=2;finished=5;items=100;failed=3"#;
        let outcome = parse_outcome(text).expect("golden");
        assert_eq!(outcome.items, Some(ItemCount { items: 100, failed: 3, cancelled: 0 }));
        assert_eq!(write_outcome(&outcome), text);
    }

    #[test]
    fn unknown_parameters_are_passed_over_and_missing_ones_named() {
        assert!(parse_outcome(&format!("{GOLDEN};later=\"x\";flag")).is_ok());
        assert_eq!(parse_outcome(r#"completed;task="a";skill="b""#), Err(InvalidOutcome::Parameter("attempt")));
        assert_eq!(parse_outcome("finished"), Err(InvalidOutcome::Kind("finished".into())));
    }
}
