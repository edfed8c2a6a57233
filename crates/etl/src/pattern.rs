//! Expressions in RE2's syntax and meaning, on the `regex` crate.
//!
//! The crate knows more than RE2 (nested classes, set operations, Unicode classes) and writes some things otherwise, so an
//! expression is translated first: what RE2 does not have is refused, what it means differently is spelled out.

mod replacement;
mod translate;

pub(crate) use replacement::{Piece, replacement};

use regex::{Regex, RegexBuilder};

use crate::error::ErrorCode;

/// Bytes of a compiled expression.
const SIZE_MAX: usize = 10 << 20;

/// Bytes of an expression.
const LENGTH_MAX: usize = 64 << 10;

/// What is wrong with an expression.
pub(crate) type PatternError = (ErrorCode, String);

/// Compiles `text`.
pub(crate) fn compile(text: &str) -> Result<Regex, PatternError> {
    if text.len() > LENGTH_MAX {
        let cause = format!("the expression has more than {LENGTH_MAX} bytes");
        return Err((ErrorCode::RegexTooLarge, cause));
    }
    let translated = translate::translate(text)?;
    let built = RegexBuilder::new(&translated).size_limit(SIZE_MAX).nest_limit(200).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => (
            ErrorCode::RegexTooLarge,
            format!("the compiled expression has more than {SIZE_MAX} bytes"),
        ),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or("").trim_start_matches("error: ");
            (ErrorCode::RegexSyntax, last.to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::compile;
    use crate::error::ErrorCode;

    fn finds(pattern: &str, text: &str, expected: Option<&str>) {
        let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
        assert_eq!(regex.find(text).map(|found| found.as_str()), expected, "{pattern} in {text}");
    }

    #[test]
    fn classes_are_literal_inside() {
        finds("[5|7]+", "x5|7", Some("5|7"));
        finds("[a[b]+", "x[ab", Some("[ab"));
        finds("[a&&b]+", "xa&b", Some("a&b"));
        finds("[a~~b]+", "xa~b", Some("a~b"));
        finds("[!--b]+", "b-", Some("b-"));
        finds("[+--]+", "x+,-", Some("+,-"));
        finds("[]a]+", "x]a", Some("]a"));
        finds("[^]a]+", "]ax", Some("x"));
        finds("[[:alpha:]_]+", "1a_", Some("a_"));
        finds(r"[\d-x]+", "a1-x", Some("1-x"));
        finds(r"[\D]+", "1a", Some("a"));
        finds("[-.]+", "a-.", Some("-."));
    }

    #[test]
    fn perl_classes_are_ascii() {
        finds(r"\d", "٣", None);
        finds(r"\w+", "äa", Some("a"));
        finds(r"(?i)\w+", "\u{212a}", None);
        finds(r"\s", "\u{a0}\u{b}", None);
        finds(r"\ba\b", "äaä", Some("a"));
        finds(r"\Ba", "xa", Some("a"));
        finds(r"\W", "ä", Some("ä"));
    }

    #[test]
    fn braces_and_escapes() {
        finds("a{,2}", "a{,2}", Some("a{,2}"));
        finds("a{2}", "aaa", Some("aa"));
        finds("{a}", "{a}", Some("{a}"));
        finds(r"\Qa.b\E.", "a.bc", Some("a.bc"));
        finds(r"\101\x42\x{43}", "ABC", Some("ABC"));
        finds(r"\/\-\<\_", "/-<_", Some("/-<_"));
        finds("a.c", "a\nc", None);
        finds("(?s)a.c", "a\nc", Some("a\nc"));
        finds("(?U)a+", "aaa", Some("a"));
        finds("a+?", "aaa", Some("a"));
    }

    #[test]
    fn what_re2_lacks_is_refused() {
        let check = |pattern: &str, expected: ErrorCode| {
            assert_eq!(
                compile(pattern).map(|_| ()).map_err(|error| error.0),
                Err(expected),
                "{pattern}"
            );
        };
        for pattern in [
            r"(a)\1",
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?>a)",
            r"\C",
            "(?x)a",
            r"(?P<a>x)(?P=a)",
            r"\Z",
            r"\G",
        ] {
            check(pattern, ErrorCode::RegexUnsupported);
        }
        for pattern in [
            "(",
            ")",
            "[",
            "[b-a]",
            "[a--b]",
            "a**",
            "*",
            r"\",
            "a{1001}",
            "(?<a>x)(?<a>y)",
            "(?<>x)",
        ] {
            check(pattern, ErrorCode::RegexSyntax);
        }
        check("((a{1000}){1000})", ErrorCode::RegexTooLarge);
    }
}
