//! Takes a markdown text apart into prose and code, line by line.

/// One line: what of it is prose, and the pieces of it that are code.
#[derive(Debug, Default)]
pub(crate) struct Line<'a> {
    pub number: usize,
    pub prose: String,
    pub code: Vec<&'a str>,
}

/// Reads the lines of a markdown text.
pub(crate) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut fence: Option<&str> = None;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut read = Line { number: index + 1, ..Line::default() };
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => read.code.push(line),
            (None, None) => {
                for (piece, text) in line.split('`').enumerate() {
                    if piece % 2 == 0 {
                        read.prose.push_str(text);
                    } else {
                        read.code.push(text);
                        // A code span inside a link's text leaves the link whole.
                        read.prose.push('_');
                    }
                }
            }
        }
        found.push(read);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_and_spans_are_code() {
        let found = lines("see `make x` now\n```sh\nmake y\n```\nend");
        let code: Vec<_> = found.iter().flat_map(|line| line.code.iter().map(|code| (line.number, *code))).collect();
        assert_eq!(code, [(1, "make x"), (3, "make y")]);
        assert_eq!(found[0].prose, "see _ now");
        assert_eq!(found[4].prose, "end");
    }
}
