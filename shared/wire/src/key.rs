//! A task's key, and how it stands in a subject.

use std::fmt;

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to {KEY_BYTES} bytes of text without control characters and without spaces at its ends")]
pub struct InvalidTaskKey;

/// The longest key, in bytes: as a token it takes at most three times that, which leaves a subject room.
pub const KEY_BYTES: usize = 64;

/// What tells the tasks of a keyed skill that must keep their order: any text of 1 to 64 bytes without control characters.
///
/// In a subject it is one token: letters, digits, `_` and `-` stand for themselves, every other byte as `%` and two
/// capital hexadecimal digits, so that each key has exactly one token and each token one key.
///
/// ```
/// let key = nova_wire::TaskKey::new("order/42")?;
/// assert_eq!(key.token(), "order%2F42");
/// assert_eq!(nova_wire::TaskKey::from_token("order%2F42")?, key);
/// # Ok::<(), nova_wire::InvalidTaskKey>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey(String);

impl TaskKey {
    /// Checks `text` and wraps it.
    ///
    /// # Errors
    /// [`InvalidTaskKey`] when it is empty, longer than 64 bytes or holds a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidTaskKey> {
        let text = text.into();
        let is_plain = !text.trim().is_empty() && text.trim() == text && !text.contains(char::is_control);
        if is_plain && text.len() <= KEY_BYTES { Ok(Self(text)) } else { Err(InvalidTaskKey) }
    }

    /// The key behind a token.
    ///
    /// # Errors
    /// [`InvalidTaskKey`] when it is not what [`token`](Self::token) makes of any key.
    pub fn from_token(token: &str) -> Result<Self, InvalidTaskKey> {
        let mut bytes = Vec::with_capacity(token.len());
        let mut rest = token.bytes();
        while let Some(byte) = rest.next() {
            if byte != b'%' {
                bytes.push(byte);
                continue;
            }
            let mut digit =
                || rest.next().and_then(|digit| char::from(digit).to_digit(16)).and_then(|d| u8::try_from(d).ok());
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(InvalidTaskKey) };
            bytes.push(high * 16 + low);
        }
        let key = Self::new(String::from_utf8(bytes).map_err(|_| InvalidTaskKey)?)?;
        // Only one token for each key: else two of them would be worked side by side.
        if key.token() == token { Ok(key) } else { Err(InvalidTaskKey) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as one token of a subject.
    #[must_use]
    pub fn token(&self) -> String {
        use std::fmt::Write as _;
        self.0.bytes().fold(String::with_capacity(self.0.len()), |mut token, byte| {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                token.push(char::from(byte));
            } else {
                write!(token, "%{byte:02X}").expect("a string takes all");
            }
            token
        })
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_one_token() {
        for (key, token) in [
            ("k1", "k1"),
            ("Customer_7-b", "Customer_7-b"),
            ("order/42", "order%2F42"),
            ("a.b", "a%2Eb"),
            ("50%", "50%25"),
            ("two words", "two%20words"),
            ("*", "%2A"),
            (">", "%3E"),
            ("é", "%C3%A9"),
        ] {
            let made = TaskKey::new(key).expect(key);
            assert_eq!(made.token(), token);
            assert_eq!(TaskKey::from_token(token), Ok(made));
        }
    }

    #[test]
    fn what_is_no_key_or_no_token_is_refused() {
        for key in ["", " ", " a", "a\n", &"x".repeat(65)] {
            assert_eq!(TaskKey::new(key), Err(InvalidTaskKey), "{key:?}");
        }
        for token in ["", "%", "%4", "%zz", "%2f", "%41", "a.b", "a b", "%FF", "%+1"] {
            assert_eq!(TaskKey::from_token(token), Err(InvalidTaskKey), "{token}");
        }
    }

    #[test]
    fn any_key_comes_back_from_its_token() {
        proptest::proptest!(|(text in "\\PC{1,20}")| {
            if let Ok(key) = TaskKey::new(text) {
                proptest::prop_assert_eq!(TaskKey::from_token(&key.token()), Ok(key));
            }
        });
    }
}
