//! Texts that are checked when they are made.

/// A text of its own type: made by a check `fn(&str) -> Result<(), $error>`, shown, parsed and stored as it is.
///
/// Its text is shared, not copied: ids and names are handed on for each message, record and waiter of a task.
macro_rules! word {
    ($(#[$doc:meta])* $type:ident, $error:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(std::sync::Arc<str>);

        impl $type {
            /// Checks `text` and wraps it.
            ///
            /// # Errors
            #[doc = concat!("[`", stringify!($error), "`] saying what is allowed.")]
            pub fn new(text: impl AsRef<str>) -> Result<Self, $error> {
                let text = text.as_ref();
                let check: fn(&str) -> Result<(), $error> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }

            /// It as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $type {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(word: $type) -> String {
                word.0.as_ref().to_owned()
            }
        }
    };
}

pub(crate) use word;
