//! Reads an expression.

use super::{Binary, Call, Expression};
use crate::value::number;

const DEPTH_MAX: usize = 48;
/// Values and operators: this bounds how deep the tree can be.
const NODES_MAX: usize = 500;
const LENGTH_MAX: usize = 8 * 1024;

/// Name, call, fewest and most arguments.
const CALLS: [(&str, Call, usize, usize); 19] = [
    ("if", Call::If, 3, 3),
    ("coalesce", Call::Coalesce, 1, 64),
    ("upper", Call::Upper, 1, 1),
    ("lower", Call::Lower, 1, 1),
    ("trim", Call::Trim, 1, 1),
    ("length", Call::Length, 1, 1),
    ("round", Call::Round, 1, 2),
    ("floor", Call::Floor, 1, 1),
    ("ceil", Call::Ceil, 1, 1),
    ("abs", Call::Abs, 1, 1),
    ("min", Call::Min, 1, 64),
    ("max", Call::Max, 1, 64),
    ("concat", Call::Concat, 1, 64),
    ("substr", Call::Substr, 2, 3),
    ("contains", Call::Contains, 2, 2),
    ("starts_with", Call::StartsWith, 2, 2),
    ("ends_with", Call::EndsWith, 2, 2),
    ("number", Call::Number, 1, 1),
    ("string", Call::Text, 1, 1),
];

/// Operators by how tightly they bind, loosest first.
const LEVELS: [&[(&str, Binary)]; 5] = [
    &[("||", Binary::Or)],
    &[("&&", Binary::And)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("<=", Binary::LessEqual),
        (">=", Binary::GreaterEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Remainder)],
];

pub(super) fn expression(text: &str) -> Result<Expression, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("more than {LENGTH_MAX} bytes"));
    }
    let mut parser = Parser { text, at: 0, depth: 0, nodes: 0 };
    let expression = parser.level(0)?;
    parser.spaces();
    if parser.at < text.len() { parser.fail("something is left over") } else { Ok(expression) }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.spaces();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} (at byte {})", self.at))
    }

    fn level(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        'next: loop {
            for (token, operator) in *operators {
                if self.take(token) {
                    let right = self.level(level + 1)?;
                    left = Expression::Binary(Box::new(left), *operator, Box::new(right));
                    continue 'next;
                }
            }
            return Ok(left);
        }
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        self.nodes += 1;
        if self.depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return self.fail("nested too deep or too long");
        }
        self.spaces();
        let expression = if !self.rest().starts_with("!=") && self.take("!") {
            Expression::Not(Box::new(self.unary()?))
        } else if self.take("-") {
            match self.unary()? {
                Expression::Number(text) if !text.starts_with('-') => {
                    Expression::Number(format!("-{text}"))
                }
                inner => Expression::Negate(Box::new(inner)),
            }
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn primary(&mut self) -> Result<Expression, String> {
        if self.take("(") {
            let inner = self.level(0)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                self.fail("a parenthesis is not closed")
            };
        }
        let Some(first) = self.rest().chars().next() else {
            return self.fail("the expression ends too early");
        };
        match first {
            '"' | '\'' => self.quoted(first).map(Expression::Text),
            '`' => self.quoted(first).map(Expression::Field),
            '0'..='9' => {
                let Some(length) = number::scan(self.rest().as_bytes()) else {
                    return self.fail("a broken number");
                };
                let text = self.rest()[..length].to_owned();
                self.at += length;
                Ok(Expression::Number(text))
            }
            first if first.is_alphabetic() || matches!(first, '_' | '@') => self.word(),
            _ => self.fail("expected a value"),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            match character {
                _ if escaped => {
                    escaped = false;
                    text.push(match character {
                        'n' => '\n',
                        't' => '\t',
                        other => other,
                    });
                }
                '\\' => escaped = true,
                character if character == quote => {
                    self.at += offset + character.len_utf8();
                    return Ok(text);
                }
                character => text.push(character),
            }
        }
        self.fail("a quote is not closed")
    }

    /// A word of the language, a function, or a field.
    fn word(&mut self) -> Result<Expression, String> {
        let is_word =
            |character: &char| character.is_alphanumeric() || matches!(character, '_' | '.' | '@');
        let word: String = self.rest().chars().take_while(is_word).collect();
        self.at += word.len();
        if self.take("(") {
            return self.call(&word);
        }
        Ok(match word.as_str() {
            "null" => Expression::Null,
            "true" => Expression::Bool(true),
            "false" => Expression::Bool(false),
            "value" => Expression::Value,
            _ => Expression::Field(word),
        })
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let Some((_, call, fewest, most)) = CALLS.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<&str> = CALLS.iter().map(|(name, ..)| *name).collect();
            return self.fail(&format!("there is no function {name:?}, only {}", known.join(", ")));
        };
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.level(0)?);
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    return self.fail("expected , or )");
                }
            }
        }
        if !(*fewest..=*most).contains(&arguments.len()) {
            return self.fail(&format!("{name} takes {fewest} to {most} arguments"));
        }
        Ok(Expression::Call(*call, arguments))
    }
}
