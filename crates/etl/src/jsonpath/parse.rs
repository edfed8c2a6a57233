//! Reads the text of a path.

use super::{Argument, DEPTH_MAX, Function, JsonPath, Operand, Operator, Step, Test};
use crate::{error::ErrorCode, pattern, value::number};

type Parsed<T> = Result<T, (ErrorCode, String)>;

/// Characters of a path.
const LENGTH_MAX: usize = 16 * 1024;

pub(super) fn path(text: &str) -> Parsed<JsonPath> {
    let characters: Vec<char> = text.trim().chars().collect();
    if characters.len() > LENGTH_MAX {
        return Err((ErrorCode::JsonpathSyntax, format!("more than {LENGTH_MAX} characters")));
    }
    let mut parser = Parser { characters: &characters, at: 0, depth: 0 };
    if !parser.take('$') {
        return parser.fail("a path begins with $");
    }
    let mut path = parser.steps()?;
    // The published sample of concat closes a parenthesis too many.
    if path.function.is_some() && parser.rest() == [')'] {
        parser.at += 1;
        path.has_surplus = true;
    }
    if parser.peek().is_some() {
        return parser.fail("a step begins with . or [");
    }
    Ok(path)
}

struct Parser<'t> {
    characters: &'t [char],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &[char] {
        self.characters.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn take(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        self.at += usize::from(found);
        found
    }

    fn take_all(&mut self, text: &str) -> bool {
        let length = text.chars().count();
        let found = self.rest().iter().take(length).copied().eq(text.chars());
        if found {
            self.at += length;
        }
        found
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn fail<T>(&self, what: &str) -> Parsed<T> {
        Err((ErrorCode::JsonpathSyntax, format!("{what} (at character {})", self.at + 1)))
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.fail("nested too deep") } else { Ok(()) }
    }

    /// The steps behind `$` or `@`.
    fn steps(&mut self) -> Parsed<JsonPath> {
        self.deeper()?;
        let mut steps = Vec::new();
        let mut function = None;
        loop {
            if self.take_all("..") {
                steps.push(Step::Descend);
                match self.peek() {
                    Some('[') => {}
                    _ => self.named(&mut steps, &mut function)?,
                }
            } else if self.take('.') {
                // Both `$.['a']` and `$['a']` are written.
                if self.peek() != Some('[') {
                    self.named(&mut steps, &mut function)?;
                }
            } else if self.peek() == Some('[') {
                let step = self.bracket()?;
                steps.push(step);
            } else {
                break;
            }
            if function.is_some() {
                break;
            }
        }
        self.depth -= 1;
        Ok(JsonPath { steps, function, has_surplus: false })
    }

    /// A name, `*`, `*~`, or a function.
    fn named(&mut self, steps: &mut Vec<Step>, function: &mut Option<Function>) -> Parsed<()> {
        if self.take('*') {
            let step = if self.take('~') { Step::AllNames } else { Step::All };
            steps.push(step);
            return Ok(());
        }
        let start = self.at;
        while self.peek().is_some_and(is_name) {
            self.at += 1;
        }
        let name: String = self.characters[start..self.at].iter().collect();
        if name.is_empty() {
            return self.fail("a name is missing");
        }
        if self.peek() == Some('(') {
            *function = Some(self.function(&name)?);
        } else {
            steps.push(Step::Name(name));
        }
        Ok(())
    }

    fn function(&mut self, name: &str) -> Parsed<Function> {
        self.at += 1;
        let arguments = self.arguments()?;
        let none = |function: Function, arguments: &[Argument], parser: &Self| {
            if arguments.is_empty() {
                Ok(function)
            } else {
                parser.fail("the function takes no arguments")
            }
        };
        match name {
            "min" => Ok(Function::Min(arguments)),
            "max" => Ok(Function::Max(arguments)),
            "sum" => Ok(Function::Sum(arguments)),
            "avg" => Ok(Function::Average(arguments)),
            "stddev" => Ok(Function::Deviation(arguments)),
            "concat" => Ok(Function::Concat(arguments)),
            "append" => Ok(Function::Append(arguments)),
            "length" | "size" => none(Function::Length, &arguments, self),
            "keys" => none(Function::Keys, &arguments, self),
            "first" => none(Function::First, &arguments, self),
            "last" => none(Function::Last, &arguments, self),
            "index" => match arguments.as_slice() {
                [Argument::Number(number)] => match number.parse() {
                    Ok(index) => Ok(Function::Index(index)),
                    Err(_) => self.fail("index takes an integer"),
                },
                _ => self.fail("index takes one integer"),
            },
            other => {
                Err((ErrorCode::JsonpathUnknownFunction, format!("there is no function {other:?}")))
            }
        }
    }

    /// Arguments up to the closing parenthesis.
    fn arguments(&mut self) -> Parsed<Vec<Argument>> {
        let mut arguments = Vec::new();
        self.spaces();
        if self.take(')') {
            return Ok(arguments);
        }
        loop {
            self.spaces();
            let argument = match self.peek() {
                Some('$') => {
                    self.at += 1;
                    Argument::Path(self.steps()?)
                }
                Some(quote @ ('"' | '\'')) => Argument::Text(self.quoted(quote)?),
                _ => Argument::Number(self.number()?),
            };
            arguments.push(argument);
            self.spaces();
            if self.take(')') {
                return Ok(arguments);
            }
            if !self.take(',') {
                return self.fail("expected , or ) between arguments");
            }
        }
    }

    fn number(&mut self) -> Parsed<String> {
        let start = self.at;
        while self.peek().is_some_and(|next| {
            next.is_ascii_digit() || matches!(next, '-' | '+' | '.' | 'e' | 'E')
        }) {
            self.at += 1;
        }
        let text: String = self.characters[start..self.at].iter().collect();
        if number::is_json_number(&text) {
            Ok(text)
        } else {
            self.fail("expected a number, a text or a path")
        }
    }

    /// Text up to the closing `quote`; a backslash takes the next character as it is.
    fn quoted(&mut self, quote: char) -> Parsed<String> {
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += 1;
            match character {
                '\\' => {
                    let Some(next) = self.peek() else { break };
                    self.at += 1;
                    text.push(match next {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    });
                }
                character if character == quote => return Ok(text),
                character => text.push(character),
            }
        }
        self.fail("a quote is not closed")
    }

    fn bracket(&mut self) -> Parsed<Step> {
        self.at += 1;
        self.spaces();
        let step = match self.peek() {
            Some('*') => {
                self.at += 1;
                if self.take('~') { Step::AllNames } else { Step::All }
            }
            Some('?') => {
                self.at += 1;
                self.spaces();
                let in_parentheses = self.take('(');
                let test = self.or()?;
                self.spaces();
                if in_parentheses && !self.take(')') {
                    return self.fail("a filter is not closed");
                }
                Step::Filter(test)
            }
            Some('\'' | '"') => self.names()?,
            _ => self.indices()?,
        };
        self.spaces();
        if !self.take(']') {
            return self.fail("expected ]");
        }
        Ok(step)
    }

    fn names(&mut self) -> Parsed<Step> {
        let mut names = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                Some(quote @ ('\'' | '"')) => names.push(self.quoted(quote)?),
                _ => return self.fail("expected a name in quotes"),
            }
            self.spaces();
            if !self.take(',') {
                break;
            }
        }
        match <[String; 1]>::try_from(names) {
            Ok([name]) => Ok(Step::Name(name)),
            Err(names) => Ok(Step::Names(names)),
        }
    }

    /// `i`, `i,j`, `s:e`, `s:e:t`.
    fn indices(&mut self) -> Parsed<Step> {
        let first = self.integer()?;
        self.spaces();
        if self.take(':') {
            self.spaces();
            let end = self.integer()?;
            self.spaces();
            let step = if self.take(':') { self.integer()?.unwrap_or(1) } else { 1 };
            if step < 1 {
                return self.fail("a slice goes forward");
            }
            return Ok(Step::Slice { start: first, end, step });
        }
        let Some(first) = first else {
            return self.fail("expected an index, a name in quotes, * or ?");
        };
        let mut indices = vec![first];
        while self.take(',') {
            self.spaces();
            let Some(next) = self.integer()? else { return self.fail("expected an index") };
            indices.push(next);
            self.spaces();
        }
        Ok(if indices.len() == 1 { Step::Index(first) } else { Step::Indices(indices) })
    }

    fn integer(&mut self) -> Parsed<Option<i64>> {
        let start = self.at;
        self.take('-');
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Ok(None);
        }
        let text: String = self.characters[start..self.at].iter().collect();
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => self.fail("expected an integer"),
        }
    }

    fn or(&mut self) -> Parsed<Test> {
        self.deeper()?;
        let mut tests = vec![self.and()?];
        self.spaces();
        while self.take_all("||") {
            tests.push(self.and()?);
            self.spaces();
        }
        self.depth -= 1;
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Or(tests) })
    }

    fn and(&mut self) -> Parsed<Test> {
        let mut tests = vec![self.unary()?];
        self.spaces();
        while self.take_all("&&") {
            tests.push(self.unary()?);
            self.spaces();
        }
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::And(tests) })
    }

    fn unary(&mut self) -> Parsed<Test> {
        self.spaces();
        if self.take('!') {
            self.deeper()?;
            let test = self.unary()?;
            self.depth -= 1;
            return Ok(Test::Not(Box::new(test)));
        }
        if self.take('(') {
            let test = self.or()?;
            self.spaces();
            return if self.take(')') {
                Ok(test)
            } else {
                self.fail("a parenthesis is not closed")
            };
        }
        let left = self.operand()?;
        self.spaces();
        let Some(operator) = self.operator() else { return Ok(Test::Exists(left)) };
        self.spaces();
        let right = if operator == Operator::Matches { self.regex()? } else { self.operand()? };
        Ok(Test::Compare { left, operator, right })
    }

    fn operator(&mut self) -> Option<Operator> {
        let symbols = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessEqual),
            (">=", Operator::GreaterEqual),
            ("=~", Operator::Matches),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        if let Some((_, operator)) = symbols.into_iter().find(|(text, _)| self.take_all(text)) {
            return Some(operator);
        }
        let words = [
            ("in", Operator::In),
            ("nin", Operator::NotIn),
            ("subsetof", Operator::SubsetOf),
            ("anyof", Operator::AnyOf),
            ("noneof", Operator::NoneOf),
            ("size", Operator::Size),
            ("empty", Operator::Empty),
            ("contains", Operator::Contains),
        ];
        let word: String =
            self.rest().iter().take_while(|next| next.is_ascii_alphabetic()).collect();
        let (text, operator) =
            words.into_iter().find(|(text, _)| word.eq_ignore_ascii_case(text))?;
        self.at += text.len();
        Some(operator)
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.peek() {
            Some('@') => {
                self.at += 1;
                Ok(Operand::Current(self.steps()?))
            }
            Some('$') => {
                self.at += 1;
                Ok(Operand::Root(self.steps()?))
            }
            Some(quote @ ('\'' | '"')) => Ok(Operand::Text(self.quoted(quote)?)),
            Some('[') => self.list(),
            Some('/') => self.regex(),
            _ if self.take_all("true") => Ok(Operand::Bool(true)),
            _ if self.take_all("false") => Ok(Operand::Bool(false)),
            _ if self.take_all("null") => Ok(Operand::Null),
            _ => Ok(Operand::Number(self.number()?)),
        }
    }

    fn list(&mut self) -> Parsed<Operand> {
        self.at += 1;
        self.deeper()?;
        let mut items = Vec::new();
        self.spaces();
        while !self.take(']') {
            items.push(self.operand()?);
            self.spaces();
            if !self.take(',') && self.peek() != Some(']') {
                return self.fail("expected , or ] in a list");
            }
            self.spaces();
        }
        self.depth -= 1;
        Ok(Operand::List(items))
    }

    /// `/expression/flags`.
    fn regex(&mut self) -> Parsed<Operand> {
        if !self.take('/') {
            return self.fail("expected /expression/");
        }
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.fail("an expression is not closed"),
                Some('/') => break,
                Some('\\') if self.rest().get(1) == Some(&'/') => {
                    self.at += 1;
                    text.push('/');
                }
                Some('\\') => {
                    text.push('\\');
                    self.at += 1;
                    text.extend(self.peek());
                }
                Some(character) => text.push(character),
            }
            self.at += 1;
        }
        self.at += 1;
        let mut flags = String::new();
        while let Some(flag @ ('i' | 's' | 'm')) = self.peek() {
            flags.push(flag);
            self.at += 1;
        }
        let text = if flags.is_empty() { text } else { format!("(?{flags}){text}") };
        pattern::compile(&text).map(Operand::Regex)
    }
}

/// Characters of a name without quotes; `-` is one.
fn is_name(character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, '_' | '-' | '@' | '$' | '#')
        || !character.is_ascii()
}
