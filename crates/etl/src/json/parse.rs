//! Reads JSON into the arena. Members that nobody asks for are checked, but nothing is kept of them.

use super::{DEPTH_MAX, scan::find_special};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    value::{Entry, Map, Value, number},
};

/// Up to this many members of one object are compared pairwise for duplicates.
const PAIRWISE_MAX: usize = 24;

/// Which members of the root object are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'w> {
    All,
    These(&'w [Box<str>]),
}

impl Wanted<'_> {
    fn wants(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(keys) => keys.iter().any(|wanted| **wanted == *key),
        }
    }
}

/// Reads `text` as one JSON value; offsets in errors count from the beginning of `text`.
pub(crate) fn parse<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    wanted: Wanted<'_>,
) -> Fallible<Value<'a>> {
    let at = bom_bytes(text);
    let mut parser =
        Parser { ctx, text, bytes: text.as_bytes(), at, entries: Vec::new(), items: Vec::new() };
    parser.whitespace();
    let value =
        if parser.peek() == Some(b'{') { parser.object(1, wanted)? } else { parser.value(1)? };
    parser.whitespace();
    if parser.at < text.len() {
        let at = parser.at;
        return Err(Fault::at(
            ErrorCode::JsonTrailingData,
            at,
            format!("more text at byte {at} behind the JSON value"),
        ));
    }
    Ok(value)
}

/// Bytes of the byte order mark at the beginning.
fn bom_bytes(text: &str) -> usize {
    if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 }
}

struct Parser<'a, 'c> {
    ctx: &'c Context<'a>,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Members of the objects that are open, and elements of the arrays that are.
    entries: Vec<Entry<'a>>,
    items: Vec<Value<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The error that something else than `wanted` stands here.
    #[cold]
    fn unexpected<T>(&self, wanted: &str) -> Fallible<T> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("{found:?}"),
            None => "the end".to_owned(),
        };
        let at = self.at;
        Err(Fault::at(
            ErrorCode::JsonSyntax,
            at,
            format!("{found} at byte {at}, expected {wanted}"),
        ))
    }

    fn expect(&mut self, byte: u8, wanted: &str) -> Fallible<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.unexpected(wanted)
    }

    fn check_depth(&self, depth: usize) -> Fallible<()> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        let cause = format!("nested deeper than {DEPTH_MAX} at byte {}", self.at);
        Err(Fault::at(ErrorCode::JsonDepth, self.at, cause))
    }

    fn value(&mut self, depth: usize) -> Fallible<Value<'a>> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth, Wanted::All),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.unexpected("a JSON value"),
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Fallible<Value<'a>> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        self.unexpected("a JSON value")
    }

    fn number(&mut self) -> Fallible<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(length) = number::scan(rest) else { return self.unexpected("a JSON number") };
        // A leading zero ends the number; what follows it must not look like one.
        if matches!(rest.get(length), Some(b'0'..=b'9')) {
            self.at += length;
            return self.unexpected("no digit after a leading zero");
        }
        let text = &self.text[self.at..self.at + length];
        self.at += length;
        Ok(text)
    }

    fn array(&mut self, depth: usize) -> Fallible<Value<'a>> {
        self.check_depth(depth)?;
        self.at += 1;
        let base = self.items.len();
        self.whitespace();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(&[]));
        }
        loop {
            self.whitespace();
            let value = self.value(depth + 1)?;
            self.ctx.charge(2 * size_of::<Value<'_>>())?;
            self.items.push(value);
            self.whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.unexpected("',' or ']'"),
            }
        }
        self.at += 1;
        let items = self.ctx.bump.alloc_slice_copy(&self.items[base..]);
        self.items.truncate(base);
        Ok(Value::Array(items))
    }

    fn object(&mut self, depth: usize, wanted: Wanted<'_>) -> Fallible<Value<'a>> {
        self.check_depth(depth)?;
        self.at += 1;
        let base = self.entries.len();
        self.whitespace();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(Map::default()));
        }
        loop {
            self.whitespace();
            if self.peek() != Some(b'"') {
                return self.unexpected("a key in double quotes");
            }
            let key = self.string()?;
            self.whitespace();
            self.expect(b':', "':'")?;
            self.whitespace();
            if wanted.wants(key) {
                let value = self.value(depth + 1)?;
                self.ctx.charge(2 * size_of::<Entry<'_>>())?;
                self.entries.push((key, value));
            } else {
                self.skip(depth + 1)?;
            }
            self.whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.unexpected("',' or '}'"),
            }
        }
        self.at += 1;
        let map = self.close_map(base);
        Ok(Value::Map(map))
    }

    /// Takes the members from `base` on; of equal keys the last value stays, at the place of the first.
    fn close_map(&mut self, base: usize) -> Map<'a> {
        let members = &mut self.entries[base..];
        let count = unique(members);
        let entries = self.ctx.bump.alloc_slice_copy(&members[..count]);
        self.entries.truncate(base);
        Map { entries }
    }

    /// Checks a value without keeping it.
    fn skip(&mut self, depth: usize) -> Fallible<()> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.skip_members(depth, b'}'),
            Some(b'[') => self.skip_members(depth, b']'),
            _ => self.value(depth).map(drop),
        }
    }

    fn skip_members(&mut self, depth: usize, close: u8) -> Fallible<()> {
        self.check_depth(depth)?;
        self.at += 1;
        self.whitespace();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.whitespace();
            if close == b'}' {
                if self.peek() != Some(b'"') {
                    return self.unexpected("a key in double quotes");
                }
                self.skip_string()?;
                self.whitespace();
                self.expect(b':', "':'")?;
                self.whitespace();
            }
            self.skip(depth + 1)?;
            self.whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(found) if found == close => break,
                _ => {
                    return self.unexpected(if close == b'}' {
                        "',' or '}'"
                    } else {
                        "',' or ']'"
                    });
                }
            }
        }
        self.at += 1;
        Ok(())
    }

    fn skip_string(&mut self) -> Fallible<()> {
        self.at += 1;
        while self.string_part()? == Part::Escape {
            self.escape()?;
        }
        Ok(())
    }

    fn string(&mut self) -> Fallible<&'a str> {
        self.at += 1;
        let start = self.at;
        if self.string_part()? == Part::End {
            return Ok(&self.text[start..self.at - 1]);
        }
        let mut decoded =
            bumpalo::collections::String::with_capacity_in(self.at - start + 16, self.ctx.bump);
        let mut from = start;
        loop {
            decoded.push_str(&self.text[from..self.at]);
            decoded.push(self.escape()?);
            from = self.at;
            if self.string_part()? == Part::End {
                decoded.push_str(&self.text[from..self.at - 1]);
                self.ctx.charge(decoded.len())?;
                return Ok(decoded.into_bump_str());
            }
        }
    }

    /// Goes to the next escape, or behind the closing quote.
    fn string_part(&mut self) -> Fallible<Part> {
        self.at = find_special(self.bytes, self.at);
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(Part::End)
            }
            Some(b'\\') => Ok(Part::Escape),
            _ => self.unexpected("'\"' (control characters are escaped in JSON)"),
        }
    }

    /// Reads the escape at the backslash.
    fn escape(&mut self) -> Fallible<char> {
        let start = self.at;
        self.at += 2;
        let plain = match self.bytes.get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => {
                self.at = start + 1;
                return self.unexpected("one of \" \\ / b f n r t u after a backslash");
            }
        };
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Fallible<char> {
        let first = self.hex4()?;
        let lone = |found: u32| {
            let cause = format!("half of a surrogate pair, \\u{found:04x}, at byte {start}");
            Fault::at(ErrorCode::JsonInvalidUnicode, start, cause)
        };
        let code = match first {
            0xd800..=0xdbff => {
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(lone(first));
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(lone(first));
                }
                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            code => code,
        };
        char::from_u32(code).ok_or_else(|| lone(first))
    }

    fn hex4(&mut self) -> Fallible<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return self.unexpected("four hexadecimal digits after \\u");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Part {
    Escape,
    End,
}

/// Moves the members that stay to the front and counts them.
fn unique(members: &mut [Entry<'_>]) -> usize {
    if members.len() > PAIRWISE_MAX && !has_duplicate(members) {
        return members.len();
    }
    if members.len() <= PAIRWISE_MAX {
        return unique_pairwise(members);
    }
    let mut first_place = std::collections::HashMap::with_capacity(members.len());
    let mut count = 0;
    for at in 0..members.len() {
        let (key, value) = members[at];
        match first_place.get(key) {
            Some(place) => {
                let place: usize = *place;
                members[place].1 = value;
            }
            None => {
                first_place.insert(key, count);
                members[count] = (key, value);
                count += 1;
            }
        }
    }
    count
}

fn unique_pairwise(members: &mut [Entry<'_>]) -> usize {
    let mut count = 0;
    for at in 0..members.len() {
        let (key, value) = members[at];
        match members[..count].iter().position(|(found, _)| *found == key) {
            Some(place) => members[place].1 = value,
            None => {
                members[count] = (key, value);
                count += 1;
            }
        }
    }
    count
}

fn has_duplicate(members: &[Entry<'_>]) -> bool {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}
