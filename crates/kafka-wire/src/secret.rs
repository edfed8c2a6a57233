//! Passwords and keys: a type that shows nothing and wipes its memory.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must not appear in any output. Its memory is zeroed when it is dropped.
///
/// `Debug` and `Display` print the same dots whatever it holds, its length included; only [`expose`](Self::expose)
/// gives it away, so that every use can be found by name.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Neither log nor format it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl PartialEq for Secret {
    /// Takes the same time wherever the difference stands; the lengths may show.
    fn eq(&self, other: &Self) -> bool {
        equal_in_constant_time(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for Secret {}

/// Whether both are the same bytes, without stopping at the first difference.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    a.len() == b.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Credentials, Mechanism};

    #[test]
    fn nothing_shows() {
        let secret = Secret::from("hunter2");
        let credentials = Credentials {
            mechanism: Mechanism::Plain,
            username: "alice".to_owned(),
            password: secret.clone(),
        };
        for shown in
            [format!("{secret:?} {secret} {secret:#?} {secret:>20}"), format!("{credentials:?}")]
        {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(format!("{secret}"), format!("{}", Secret::from("a longer one")));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn equality() {
        assert_eq!(Secret::from("a"), Secret::from("a"));
        assert_ne!(Secret::from("a"), Secret::from("b"));
        assert_ne!(Secret::from("a"), Secret::from("ab"));
        assert_ne!(Secret::from(""), Secret::from("b"));
    }
}
