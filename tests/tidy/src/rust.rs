//! A lexer just good enough to tell Rust code, strings and comments apart.

use std::ops::RangeInclusive;

/// A piece of text and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub line: usize,
    pub text: String,
}

/// A Rust file taken apart.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The code, one entry per line; strings are emptied and comments gone.
    pub code: Vec<String>,
    /// String literals as written, without their quotes.
    pub strings: Vec<Text>,
    /// Comments, one per line of them.
    pub comments: Vec<Text>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    /// Takes a file apart.
    pub fn read(text: &str) -> Self {
        let mut lexer = Lexer { rest: text, line: 1, code: String::new(), found: Self::default() };
        while lexer.step() {}
        let mut found = lexer.found;
        found.code = lexer.code.lines().map(str::to_owned).collect();
        found.tests = test_modules(&lexer.code);
        found
    }

    /// Tells whether a line lies in an item under `#[cfg(test)]`.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Lines of code with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }
}

/// Tells whether a name stands in a line as a whole word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    code: String,
    found: Source,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.line += taken.bytes().filter(|byte| *byte == b'\n').count();
        taken
    }

    /// Takes what is not code; only its line ends stay, so that line numbers do.
    fn drop(&mut self, bytes: usize) -> &'a str {
        let taken = self.take(bytes);
        self.code.extend(taken.chars().filter(|c| *c == '\n'));
        taken
    }

    fn step(&mut self) -> bool {
        let Some(next) = self.rest.chars().next() else { return false };
        let line = self.line;
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            let text = self.drop(end).to_owned();
            self.found.comments.push(Text { line, text });
        } else if self.rest.starts_with("/*") {
            let length = block_comment(self.rest);
            let text = self.drop(length);
            let lines = text.lines().enumerate();
            self.found.comments.extend(lines.map(|(index, text)| Text { line: line + index, text: text.to_owned() }));
        } else if next == '"' {
            self.string(1, 0);
        } else if let Some((open, hashes)) = raw_string(self.rest).filter(|_| !self.after_word()) {
            self.string(open, hashes + 1);
        } else if next == '\'' {
            let length = char_literal(self.rest);
            if length > 1 {
                self.code.push_str("' '");
                self.drop(length);
            } else {
                self.code.push_str(self.rest.get(..1).unwrap_or_default());
                self.take(1);
            }
        } else {
            let taken = self.take(next.len_utf8());
            self.code.push_str(taken);
        }
        true
    }

    fn after_word(&self) -> bool {
        self.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    /// Takes a string: `open` bytes before its content; `raw` is 0 for a plain one, else one more than its hashes.
    fn string(&mut self, open: usize, raw: usize) {
        let line = self.line;
        self.take(open);
        let (length, close) = if raw == 0 {
            (plain_string(self.rest), 1)
        } else {
            let end = format!("\"{}", "#".repeat(raw - 1));
            (self.rest.find(&end).unwrap_or(self.rest.len()), end.len())
        };
        self.code.push('"');
        let text = self.drop(length).to_owned();
        self.code.push('"');
        self.take(close.min(self.rest.len()));
        self.found.strings.push(Text { line, text });
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..) {
        if rest.is_empty() {
            break;
        }
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// For `r"`, `br#"`, `cr"` and the like: the length of the opening and the number of hashes.
fn raw_string(text: &str) -> Option<(usize, usize)> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('"') || rest.starts_with('#')))?;
    let rest = &text[prefix.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some((prefix.len() + hashes + 1, hashes))
}

fn plain_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal, or 1 for the quote of a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let escaped = chars.next().map_or(2, |(at, c)| at + c.len_utf8());
            text.get(escaped..).and_then(|rest| rest.find('\'')).map_or(1, |end| escaped + end + 1)
        }
        Some((at, c)) if text[at + c.len_utf8()..].starts_with('\'') => at + c.len_utf8() + 1,
        _ => 1,
    }
}

fn test_modules(code: &str) -> Vec<RangeInclusive<usize>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]").chain(code.match_indices("#[cfg(all(test")) {
        let line = |end: usize| code[..end].matches('\n').count() + 1;
        let mut depth = 0_usize;
        for (offset, c) in code[at..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && (c == '}' || c == ';') {
                found.push(line(at)..=line(at + offset));
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &[&str], strings: &[&str]) {
        let source = Source::read(text);
        assert_eq!(source.code, code);
        assert_eq!(source.strings.iter().map(|found| found.text.as_str()).collect::<Vec<_>>(), strings);
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        check("let a = \"x // y\"; // \"z\"", &["let a = \"\"; "], &["x // y"]);
        check("a /* one\n/* two */ \"s\" */ b", &["a ", " b"], &[]);
        check(r##"f(r#"a "b" c"#, b"\"d")"##, &["f(\"\", b\"\")"], &["a \"b\" c", "\\\"d"]);
    }

    #[test]
    fn quotes_of_characters_and_lifetimes_open_no_string() {
        check("let q = '\"'; let s = \"t\";", &["let q = ' '; let s = \"\";"], &["t"]);
        check("fn f<'a>(x: &'a str) -> char { '\\'' }", &["fn f<'a>(x: &'a str) -> char { ' ' }"], &[]);
        check("let var\"x\"", &["let var\"\""], &["x"]);
    }

    #[test]
    fn lines_under_cfg_test_are_known() {
        let source =
            Source::read("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse x;\n");
        let tests: Vec<usize> = (1..=8).filter(|line| source.is_test_line(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use async_nats::Client;", "async_nats"));
        assert!(!has_word("use my_async_nats;", "async_nats"));
    }
}
