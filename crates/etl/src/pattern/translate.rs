//! RE2's syntax written in that of the `regex` crate.

use super::PatternError;
use crate::error::ErrorCode;

/// RE2's bound of a repetition count.
const REPEAT_MAX: u32 = 1000;
/// Characters of `1000,1000` and its brace; longer ones are literal.
const COUNT_CHARS_MAX: usize = 16;
/// Characters of `:^xdigit:` and its bracket.
const CLASS_NAME_CHARS_MAX: usize = 16;

/// The same expression for the `regex` crate.
pub(super) fn translate(text: &str) -> Result<String, PatternError> {
    let out = String::with_capacity(text.len() + 16);
    Translator { rest: text.chars().peekable(), out }.run()
}

struct Translator<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    out: String,
}

fn unsupported<T>(what: &str) -> Result<T, PatternError> {
    Err((ErrorCode::RegexUnsupported, format!("RE2 has no {what}")))
}

fn syntax<T>(what: &str) -> Result<T, PatternError> {
    Err((ErrorCode::RegexSyntax, what.to_owned()))
}

/// Perl classes as RE2 has them: ASCII only.
fn perl_class(name: char) -> Option<&'static str> {
    match name.to_ascii_lowercase() {
        'd' => Some("0-9"),
        's' => Some(r"\t\n\x0c\r\x20"),
        'w' => Some("0-9A-Za-z_"),
        _ => None,
    }
}

impl Translator<'_> {
    fn run(mut self) -> Result<String, PatternError> {
        // Whether a repetition stands before, and `x**` must be refused.
        let mut repeated = false;
        while let Some(character) = self.rest.next() {
            let was_repeated = std::mem::take(&mut repeated);
            match character {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '{' => repeated = self.braces()?,
                '*' | '+' => {
                    if was_repeated {
                        return syntax("two repetitions in a row");
                    }
                    self.out.push(character);
                    repeated = true;
                    self.lazy();
                }
                '?' => {
                    if was_repeated {
                        return syntax("two repetitions in a row");
                    }
                    self.out.push('?');
                    repeated = true;
                    self.lazy();
                }
                character => self.out.push(character),
            }
        }
        Ok(self.out)
    }

    /// Takes the `?` that makes a repetition lazy.
    fn lazy(&mut self) {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
    }

    fn literal(&mut self, character: char) {
        let mut buffer = [0; 4];
        self.out.push_str(&regex::escape(character.encode_utf8(&mut buffer)));
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let Some(character) = self.rest.next() else { return syntax("a backslash at the end") };
        match character {
            'd' | 's' | 'w' | 'D' | 'S' | 'W' => {
                let class = perl_class(character).unwrap_or_default();
                let negation = if character.is_ascii_uppercase() { "^" } else { "" };
                // Case folding must not add letters outside ASCII.
                self.out.push_str(&format!("(?-i:[{negation}{class}])"));
            }
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            'A' | 'z' => {
                self.out.push('\\');
                self.out.push(character);
            }
            'Q' => self.quoted(),
            'p' | 'P' => self.property(character)?,
            'C' => return unsupported(r"\C here (a single byte of a character)"),
            'E' => {}
            _ => {
                let literal = self.escaped_character(character)?;
                self.literal(literal);
            }
        }
        Ok(())
    }

    /// `\Q…\E`: everything between is literal.
    fn quoted(&mut self) {
        while let Some(character) = self.rest.next() {
            if character == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(character);
        }
    }

    /// `\pN` or `\p{Greek}`.
    fn property(&mut self, kind: char) -> Result<(), PatternError> {
        self.out.push('\\');
        self.out.push(kind);
        match self.rest.next() {
            Some('{') => {
                self.out.push('{');
                for character in self.rest.by_ref() {
                    if !(character.is_ascii_alphanumeric() || matches!(character, '_' | '^' | '}'))
                    {
                        break;
                    }
                    self.out.push(character);
                    if character == '}' {
                        return Ok(());
                    }
                }
                syntax(r"\p{ without }")
            }
            Some(letter) if letter.is_ascii_alphabetic() => {
                self.out.push(letter);
                Ok(())
            }
            _ => syntax(r"\p without a class"),
        }
    }

    /// The character that an escape stands for.
    fn escaped_character(&mut self, character: char) -> Result<char, PatternError> {
        let literal = match character {
            'a' => '\u{7}',
            'f' => '\u{c}',
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\u{b}',
            'x' => return self.hexadecimal(),
            '0'..='7' => {
                let next_is_octal = matches!(self.rest.peek(), Some('0'..='7'));
                if character != '0' && !next_is_octal {
                    return unsupported("back-references");
                }
                return self.octal(character);
            }
            '8' | '9' => return unsupported("back-references"),
            'k' | 'g' => return unsupported("back-references"),
            character if character.is_ascii_alphabetic() => {
                return Err((
                    ErrorCode::RegexUnsupported,
                    format!("RE2 has no escape \\{character}"),
                ));
            }
            character if character.is_ascii() => character,
            character => {
                return Err((ErrorCode::RegexSyntax, format!("RE2 has no escape \\{character}")));
            }
        };
        Ok(literal)
    }

    fn hexadecimal(&mut self) -> Result<char, PatternError> {
        let mut digits = String::new();
        if self.rest.next_if_eq(&'{').is_some() {
            loop {
                match self.rest.next() {
                    Some('}') => break,
                    Some(digit) if digit.is_ascii_hexdigit() && digits.len() < 8 => {
                        digits.push(digit)
                    }
                    _ => return syntax(r"\x{ without } or with too many digits"),
                }
            }
        } else {
            for _ in 0..2 {
                digits.extend(self.rest.next().filter(char::is_ascii_hexdigit));
            }
            if digits.len() < 2 {
                return syntax(r"\x without two hexadecimal digits");
            }
        }
        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        code.map_or_else(|| syntax(r"\x{…} is no character"), Ok)
    }

    fn octal(&mut self, first: char) -> Result<char, PatternError> {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(8)) else { break };
            self.rest.next();
            code = code * 8 + digit;
        }
        char::from_u32(code).map_or_else(|| syntax("an octal escape that is no character"), Ok)
    }

    fn group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        match self.rest.peek() {
            Some('=' | '!') => return unsupported("look-ahead"),
            Some('>') => return unsupported("atomic groups"),
            Some('#') => return unsupported("comments"),
            Some('(' | '|' | '&' | 'R' | '0'..='9') => {
                return unsupported("conditions or recursion");
            }
            Some('P') => {
                self.rest.next();
                self.out.push('P');
                match self.rest.next() {
                    Some('<') => return self.group_name(),
                    Some('=' | '>') => return unsupported("back-references"),
                    _ => return syntax("(?P without <"),
                }
            }
            Some('<') => {
                self.rest.next();
                if matches!(self.rest.peek(), Some('=' | '!')) {
                    return unsupported("look-behind");
                }
                return self.group_name();
            }
            _ => {}
        }
        self.flags()
    }

    /// The name and `>` of a named group; the `<` is read.
    fn group_name(&mut self) -> Result<(), PatternError> {
        self.out.push('<');
        let mut length = 0;
        loop {
            match self.rest.next() {
                Some('>') if length > 0 => break,
                Some(character) if character.is_ascii_alphanumeric() || character == '_' => {
                    length += 1;
                    self.out.push(character);
                }
                _ => return syntax("a group name is made of letters, digits and _"),
            }
        }
        self.out.push('>');
        Ok(())
    }

    fn flags(&mut self) -> Result<(), PatternError> {
        loop {
            match self.rest.next() {
                Some(end @ (':' | ')')) => {
                    self.out.push(end);
                    return Ok(());
                }
                Some(flag @ ('i' | 'm' | 's' | 'U' | '-')) => self.out.push(flag),
                Some(other) if other.is_ascii_alphabetic() => {
                    return Err((ErrorCode::RegexUnsupported, format!("RE2 has no flag {other}")));
                }
                _ => return syntax("a group that begins with ?"),
            }
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; every other brace is a literal one.
    fn braces(&mut self) -> Result<bool, PatternError> {
        let mut ahead = self.rest.clone();
        let inside: String = ahead
            .by_ref()
            .take(COUNT_CHARS_MAX)
            .take_while(|character| *character != '}')
            .collect();
        let closed = inside.len() < COUNT_CHARS_MAX
            && self.rest.clone().nth(inside.chars().count()) == Some('}');
        let (low, high) =
            inside.split_once(',').map_or((inside.as_str(), None), |(low, high)| (low, Some(high)));
        let is_count =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_repetition =
            closed && is_count(low) && high.is_none_or(|high| high.is_empty() || is_count(high));
        if !is_repetition {
            self.out.push_str(r"\{");
            return Ok(false);
        }
        let too_many =
            |text: &str| text.parse::<u32>().map_or(!text.is_empty(), |count| count > REPEAT_MAX);
        if too_many(low) || high.is_some_and(too_many) {
            return syntax("a repetition count above 1000");
        }
        self.out.push_str(&format!("{{{inside}}}"));
        self.rest = ahead;
        self.lazy();
        Ok(true)
    }

    /// A bracket class: characters, ranges, escapes, `[:alpha:]`; everything else in it is literal.
    fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(character) = self.rest.next() else { return syntax("a class without ]") };
            match character {
                ']' if !first => break,
                '[' if self.rest.peek() == Some(&':') && self.posix() => {}
                '\\' => {
                    let Some(escaped) = self.rest.next() else {
                        return syntax("a backslash at the end");
                    };
                    if let Some(class) = perl_class(escaped) {
                        self.perl_in_class(escaped, class);
                    } else if matches!(escaped, 'p' | 'P') {
                        self.property(escaped)?;
                    } else {
                        let low = self.escaped_character(escaped)?;
                        self.range(low)?;
                    }
                }
                low => self.range(low)?,
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    fn perl_in_class(&mut self, name: char, class: &str) {
        // A class inside a class is a union for the crate: exactly what is meant.
        let negation = if name.is_ascii_uppercase() { "^" } else { "" };
        self.out.push_str(&format!("[{negation}{class}]"));
    }

    /// `[:alpha:]` with its closing bracket, if that is what stands here.
    fn posix(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        let mut name = String::new();
        for character in ahead.by_ref().take(CLASS_NAME_CHARS_MAX) {
            if character == ']' {
                break;
            }
            name.push(character);
        }
        let inner = name.strip_prefix(':').and_then(|name| name.strip_suffix(':'));
        let is_name = inner.is_some_and(|inner| {
            let inner = inner.strip_prefix('^').unwrap_or(inner);
            !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_lowercase())
        });
        if is_name {
            self.out.push_str(&format!("[{name}]"));
            self.rest = ahead;
        }
        is_name
    }

    /// A character, or a range that begins with it.
    fn range(&mut self, low: char) -> Result<(), PatternError> {
        self.class_literal(low);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), Some(']') | None) {
            return Ok(());
        }
        self.rest.next();
        let high = match self.rest.next() {
            Some('\\') => {
                let Some(escaped) = self.rest.next() else {
                    return syntax("a backslash at the end");
                };
                if let Some(class) = perl_class(escaped) {
                    // `a-\d`: no range, a literal `-` between.
                    self.class_literal('-');
                    self.perl_in_class(escaped, class);
                    return Ok(());
                }
                self.escaped_character(escaped)?
            }
            Some(high) => high,
            None => return syntax("a class without ]"),
        };
        if high < low {
            return syntax("a range from high to low");
        }
        self.out.push('-');
        self.class_literal(high);
        Ok(())
    }

    fn class_literal(&mut self, character: char) {
        match character {
            '[' | ']' | '&' | '~' | '-' | '^' | '\\' => {
                self.out.push('\\');
                self.out.push(character);
            }
            character => self.literal(character),
        }
    }
}
