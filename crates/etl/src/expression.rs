//! The op `math`: a small, total language of expressions. No loops, no state; what it does is bounded by its text.

mod eval;
mod parse;

pub(crate) use eval::evaluate;

/// A compiled expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// The value that the op works on.
    Value,
    /// A field of the document.
    Field(String),
    Not(Box<Self>),
    Negate(Box<Self>),
    Binary(Box<Self>, Binary, Box<Self>),
    Call(Call, Vec<Self>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    If,
    Coalesce,
    Upper,
    Lower,
    Trim,
    Length,
    Round,
    Floor,
    Ceil,
    Abs,
    Min,
    Max,
    Concat,
    Substr,
    Contains,
    StartsWith,
    EndsWith,
    Number,
    Text,
}

impl Expression {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        parse::expression(text)
    }
}

/// Calls `each` with every field that the expression reads.
pub(crate) fn fields(expression: &Expression, each: &mut dyn FnMut(&str)) {
    match expression {
        Expression::Field(name) => each(name),
        Expression::Not(inner) | Expression::Negate(inner) => fields(inner, each),
        Expression::Binary(left, _, right) => {
            fields(left, each);
            fields(right, each);
        }
        Expression::Call(_, arguments) => {
            arguments.iter().for_each(|argument| fields(argument, each))
        }
        Expression::Null
        | Expression::Bool(_)
        | Expression::Number(_)
        | Expression::Text(_)
        | Expression::Value => {}
    }
}
