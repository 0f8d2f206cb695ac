//! The skill itself: gathers, counts, writes.

use nova_review::Report;
use nova_worker::{BlockingSkill, Context, Verdict};

use crate::gather::{Input, gather};
use crate::{markdown, sarif};

/// Makes one report of the reviews of many files.
#[derive(Debug, Default)]
pub struct MakeReport;

impl BlockingSkill for MakeReport {
    type Input = Input;
    type Output = Report;

    fn name(&self) -> &str {
        "report"
    }

    fn run(&self, mut input: Input, cx: &Context) -> Result<Report, Verdict> {
        let (wants_sarif, wants_markdown) = (input.sarif, input.markdown);
        let rules = input.rules.take();
        let mut report = gather(input).map_err(|why| Verdict::reject("bad_input", why))?;
        if wants_sarif {
            report.sarif = Some(sarif::text(&report, rules.map(|listed| listed.rules).unwrap_or_default(), cx.task()));
        }
        if wants_markdown {
            report.markdown = Some(markdown::text(&report));
        }
        Ok(report)
    }
}
