//! Workflow files: read, checked, and their mistakes told with their place.

use std::io::Read as _;
use std::path::Path;

use nova_client::{PutError, PutWorkflow};
use nova_workflow::{Known, Located, MAX_BYTES, Plan, Problem, check_text, parse};
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Shape};

/// The widest source line that is shown with a mistake, in characters.
const LINE_CHARS: usize = 120;

/// A workflow file as it was read.
pub(crate) struct Source {
    name: String,
    text: String,
}

/// What is wrong with a file, in the order of its text.
pub(crate) struct Mistakes<'a> {
    source: &'a Source,
    found: Vec<Located>,
}

/// Reads a file; `-` is stdin.
pub(crate) fn read(path: &Path) -> Result<Source, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
    let unreadable = |source| {
        let failure = Failure::io(format!("read the workflow file {name}"), source);
        Failure { exit: Exit::USAGE, code: "bad_file".to_owned(), ..failure }
    };
    let mut bytes = Vec::new();
    // One byte over the limit: the refusal is the check's, and nothing huge is held.
    let most = MAX_BYTES as u64 + 1;
    if is_stdin {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    // Cut within a character, it would not be told as what it is, too long.
    let bytes = if bytes.len() > MAX_BYTES { String::from_utf8_lossy(&bytes).into_owned().into_bytes() } else { bytes };
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(Exit::USAGE, "bad_file", format!("{name} is not UTF-8 from byte {at} on"))
    })?;
    Ok(Source { name, text })
}

impl Source {
    /// The workflow it holds.
    pub(crate) fn plan(&self) -> Result<Plan, Mistakes<'_>> {
        check_text(&self.text, Known::default()).map_err(|found| Mistakes { source: self, found })
    }

    /// Problems of the workflow it holds, with their places.
    pub(crate) fn mistakes(&self, problems: Vec<Problem>) -> Mistakes<'_> {
        let found = match parse(&self.text) {
            Ok((_, positions)) => positions.locate(problems),
            Err(found) => found,
        };
        Mistakes { source: self, found }
    }
}

impl Mistakes<'_> {
    /// Writes each as data; says how many there are.
    pub(crate) fn tell(&self, out: &Out) -> Result<usize, Failure> {
        for one in &self.found {
            if out.is_json() {
                out.json(&json!({
                    "file": self.source.name, "line": one.line, "column": one.column,
                    "path": one.problem.path, "message": one.problem.message,
                }))?;
            } else {
                self.lines(one, out.shape() == Shape::Table).iter().try_for_each(|line| out.line(line))?;
            }
        }
        Ok(self.found.len())
    }

    /// The failure of a command that cannot go on; the mistakes are told beside it.
    fn failure(&self, out: &Out) -> Failure {
        for one in &self.found {
            self.lines(one, out.shows_progress()).iter().for_each(|line| out.warn(line));
        }
        let count = match self.found.len() {
            1 => "a mistake".to_owned(),
            several => format!("{several} mistakes"),
        };
        Failure::new(Exit::USAGE, "bad_workflow", format!("{} has {count}", self.source.name))
            .help(format!("check it again: nova workflow check {}", self.source.name))
            .help("how workflows are written: nova workflow schema, docs/workflows.md")
    }

    /// A mistake as compilers tell it; for people with its line of the file and a caret.
    fn lines(&self, one: &Located, with_source: bool) -> Vec<String> {
        let mut lines = vec![one.in_file(&self.source.name).replace(char::is_control, " ")];
        let shown = self.source.text.lines().nth(one.line.saturating_sub(1)).filter(|_| with_source);
        if let Some(shown) = shown.filter(|line| !line.trim().is_empty()) {
            let number = one.line.to_string();
            // Far to the right, the line is shown from somewhere before the mistake.
            let skip = one.column.saturating_sub(LINE_CHARS * 2 / 3);
            let skip = if shown.chars().count() <= LINE_CHARS { 0 } else { skip };
            let text: String =
                shown.chars().skip(skip).take(LINE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
            lines.push(format!("  {number} | {text}"));
            lines.push(format!(
                "  {:number$} | {:column$}^",
                "",
                "",
                number = number.len(),
                column = one.column.saturating_sub(1 + skip)
            ));
        }
        lines
    }
}

/// The workflow of a file that a command needs.
pub(crate) fn load(out: &Out, path: &Path) -> Result<Plan, Failure> {
    load_source(out, path).map(|(_, plan)| plan)
}

/// The same with its text, for mistakes that only the fleet can tell.
pub(crate) fn load_source(out: &Out, path: &Path) -> Result<(Source, Plan), Failure> {
    let source = read(path)?;
    let plan = source.plan().map_err(|mistakes| mistakes.failure(out))?;
    Ok((source, plan))
}

/// Stores a workflow that was read from a file.
pub(crate) async fn put(cx: &Cx, source: &Source, plan: &Plan) -> Result<PutWorkflow, Failure> {
    cx.client.put_workflow(plan).await.map_err(|error| match error {
        PutError::Unknown { problems, .. } => source
            .mistakes(problems)
            .failure(&cx.out)
            .help("list the queues: nova queue ls; add a skill of your own: nova skill add, then nova provision apply"),
        other => other.into(),
    })
}

/// Says that a file is sound.
pub(crate) fn tell_sound(out: &Out, path: &Path, plan: &Plan) {
    let steps = plan.order().len();
    let steps = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
    out.say(format!(
        "{}: workflow {}, {steps}, {}",
        path.display(),
        plan.workflow().workflow,
        super::told::digest(plan.hash())
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let source = Source { name: "w.yaml".to_owned(), text: text.to_owned() };
        let Err(mistakes) = source.plan() else { panic!("it is sound") };
        mistakes.found.iter().flat_map(|one| mistakes.lines(one, true)).collect()
    }

    #[test]
    fn a_mistake_points_at_its_place() {
        let lines = mistakes("workflow: w\nsteps:\n  a:\n    task: {skill: echo, input: '${inputs}'}\n");
        assert!(lines[0].starts_with("w.yaml:4:"), "{lines:?}");
        assert_eq!(lines[1], "  4 |     task: {skill: echo, input: '${inputs}'}");
        let caret = lines[2].find('^').expect("a caret");
        assert!(lines[1][caret..].starts_with("inputs"), "{lines:#?}");
    }

    #[test]
    fn a_long_line_is_shown_around_its_mistake() {
        let text = format!(
            "workflow: w\nsteps: {{a: {{task: {{skill: echo, input: ['{}', '${{inputs}}']}}}}}}\n",
            "x".repeat(500)
        );
        let lines = mistakes(&text);
        let caret = lines[2].find('^').expect("a caret");
        assert!(lines[1].len() < 140 && lines[1][caret..].starts_with("inputs"), "{lines:#?}");
    }
}
