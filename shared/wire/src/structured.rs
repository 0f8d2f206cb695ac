//! One structured header value: a frozen subset of RFC 9651.
//!
//! ```abnf
//! item   = token *( ";" *SP key "=" value )
//! value  = token / integer / string
//! key    = ( lcalpha / "*" ) *( lcalpha / DIGIT / "_" / "-" / "." / "*" )
//! token  = ( ALPHA / "*" ) *( tchar / ":" / "/" )
//! integer = ["-"] 1*15DIGIT
//! string = DQUOTE *( %x20-21 / %x23-5B / %x5D-7E / "\" ( DQUOTE / "\" ) ) DQUOTE
//! ```
//! Text beyond ASCII is percent-encoded UTF-8 inside a string; `%` itself becomes `%25`.

use nova_types::TaskId;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What a string may not hold as it is; quotes and backslashes are escaped, not encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(0x7f);

/// A header that is not an item of the subset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("structured header breaks off or is malformed at byte {at}")]
pub struct StructuredError {
    /// Where, in bytes from the start.
    pub at: usize,
}

/// One parameter's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A bare word.
    Token(String),
    /// A whole number.
    Integer(i64),
    /// A text, decoded.
    Text(String),
}

/// A token with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The bare word in front.
    pub token: String,
    /// The parameters in order; of two with one key the last counts.
    pub parameters: Vec<(String, Value)>,
}

impl Item {
    /// The last value given for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.parameters.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) | Value::Token(text) => Some(text),
            Value::Integer(_) => None,
        }
    }

    /// The number of `key`.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Parses one header value.
    ///
    /// # Errors
    /// [`StructuredError`] with the place of the first byte that does not fit.
    pub fn parse(text: &str) -> Result<Self, StructuredError> {
        let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
        let token = reader.token()?;
        let mut parameters = Vec::new();
        while reader.take(b';') {
            while reader.take(b' ') {}
            let key = reader.key()?;
            // A key without a value is RFC 9651's `true`: nothing of ours, so it is skipped like any unknown parameter.
            if reader.take(b'=') {
                parameters.push((key, reader.value()?));
            }
        }
        if reader.at == text.len() { Ok(Self { token, parameters }) } else { Err(reader.error()) }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self) -> StructuredError {
        StructuredError { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let hit = self.peek() == Some(wanted);
        self.at += usize::from(hit);
        hit
    }

    fn run(&mut self, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> Result<String, StructuredError> {
        let start = self.at;
        if !self.peek().is_some_and(first) {
            return Err(self.error());
        }
        while self.peek().is_some_and(rest) {
            self.at += 1;
        }
        Ok(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }

    fn token(&mut self) -> Result<String, StructuredError> {
        self.run(|b| b.is_ascii_alphabetic() || b == b'*', is_token_byte)
    }

    fn key(&mut self) -> Result<String, StructuredError> {
        self.run(
            |b| b.is_ascii_lowercase() || b == b'*',
            |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b),
        )
    }

    fn value(&mut self) -> Result<Value, StructuredError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.integer().map(Value::Integer),
            _ => self.token().map(Value::Token),
        }
    }

    fn integer(&mut self) -> Result<i64, StructuredError> {
        let negative = self.take(b'-');
        let digits = self.run(|b| b.is_ascii_digit(), |b| b.is_ascii_digit())?;
        let number: i64 = digits.parse().ok().filter(|_| digits.len() <= 15).ok_or_else(|| self.error())?;
        Ok(if negative { -number } else { number })
    }

    fn string(&mut self) -> Result<String, StructuredError> {
        self.at += 1;
        let plain = self.bytes[self.at..].iter().take_while(|b| is_plain(**b)).count();
        let mut raw = String::from_utf8_lossy(&self.bytes[self.at..self.at + plain]).into_owned();
        self.at += plain;
        if self.take(b'"') {
            return Ok(raw);
        }
        loop {
            match self.peek().ok_or_else(|| self.error())? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped @ (b'"' | b'\\')) => raw.push(char::from(escaped)),
                        _ => return Err(self.error()),
                    }
                }
                plain @ 0x20..=0x7e => raw.push(char::from(plain)),
                _ => return Err(self.error()),
            }
            self.at += 1;
        }
        self.at += 1;
        percent_decode_str(&raw).decode_utf8().map(Into::into).map_err(|_| self.error())
    }
}

fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b)
}

/// Whether a text can stand as a token.
pub(crate) fn is_token(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'*') && text.bytes().all(is_token_byte)
}

/// Appends `;key=number`.
pub(crate) fn push_integer(out: &mut String, key: &str, number: i64) {
    push_key(out, key);
    // An outcome has four of them: digits by hand take a fifth of what formatting takes.
    let (mut digits, mut at, mut rest) = ([0; 20], 20, number.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

/// Appends `;key="text"`, escaped.
pub(crate) fn push_text(out: &mut String, key: &str, text: &str) {
    push_key(out, key);
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends `;key="scope.name"`; an id holds nothing to be escaped.
pub(crate) fn push_id(out: &mut String, key: &str, id: &TaskId) {
    push_key(out, key);
    out.push('"');
    out.push_str(id.scope().as_str());
    out.push('.');
    out.push_str(id.name().as_str());
    out.push('"');
}

fn push_key(out: &mut String, key: &str) {
    out.push(';');
    out.push_str(key);
    out.push('=');
}

fn push_escaped(out: &mut String, text: &str) {
    // Nearly all there is holds nothing to be escaped.
    if text.bytes().all(is_plain) {
        return out.push_str(text);
    }
    for piece in utf8_percent_encode(text, ENCODED) {
        for c in piece.chars() {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
    }
}

/// Whether a byte stands in a string as it is, and for itself.
fn is_plain(b: u8) -> bool {
    matches!(b, 0x20..=0x7e) && !matches!(b, b'"' | b'\\' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tokens_numbers_and_texts() {
        let item = Item::parse(r#"completed;a="x\"\\%C3%A9%25";n=-12; t=tok/en:1;flag;n=13"#).expect("well formed");
        assert_eq!(item.token, "completed");
        assert_eq!(item.text("a"), Some("x\"\\é%"));
        assert_eq!(item.integer("n"), Some(13), "the last of two counts");
        assert_eq!(item.text("t"), Some("tok/en:1"));
        assert_eq!(item.get("flag"), None);
    }

    #[test]
    fn refuses_what_is_outside_the_subset() {
        for bad in [
            "",
            ";a=1",
            "1",
            "a;",
            "a;A=1",
            "a;b=",
            "a;b=\"",
            "a;b=\"\\n\"",
            "a;b=\"é\"",
            "a b",
            "a;b=1234567890123456",
        ] {
            assert!(Item::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Item::parse("a;b=\"%FF\"").is_err(), "not UTF-8 once decoded");
    }

    #[test]
    fn any_text_survives() {
        proptest::proptest!(|(text in "\\PC*|[\\x00-\\x7f]*")| {
            let mut out = "t".to_owned();
            push_text(&mut out, "k", &text);
            proptest::prop_assert!(out.is_ascii());
            let item = Item::parse(&out).expect("what is written can be read");
            proptest::prop_assert_eq!(item.text("k"), Some(text.as_str()));
        });
    }

    #[test]
    fn arbitrary_input_never_panics() {
        proptest::proptest!(|(text in "\\PC{0,64}")| { let _ = Item::parse(&text); });
    }
}
