//! Files made by a program are the ones that program makes now.

use crate::Finding;

/// A generated file and the command, run at the root of the checkout, whose standard output it is.
#[derive(Debug, Clone, Copy)]
pub struct Generated {
    /// Path from the root of the checkout.
    pub file: &'static str,
    /// Program and arguments.
    pub command: &'static [&'static str],
}

/// Every generated file of the repository; a new one is one line here.
pub const GENERATED: &[Generated] = &[];

/// Compares what is committed with what the command made.
pub fn stale(generated: Generated, committed: &str, made: &str) -> Option<Finding> {
    if committed == made {
        return None;
    }
    let same = committed.lines().zip(made.lines()).take_while(|(old, new)| old == new).count();
    let advice = format!("out of date; run `{} > {}`", generated.command.join(" "), generated.file);
    Some(Finding::at(generated.file, same + 1, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: Generated = Generated { file: "docs/a.md", command: &["nova", "codes"] };

    #[test]
    fn what_the_command_makes_now_is_fresh() {
        assert_eq!(stale(DOCS, "a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn the_first_line_that_differs_is_named() {
        let finding = stale(DOCS, "a\nb\n", "a\nc\n").expect("a stale file");
        assert_eq!(finding.to_string(), "docs/a.md:2: out of date; run `nova codes > docs/a.md`");
    }
}
