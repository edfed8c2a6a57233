//! JSONPath in the vendor's dialect (Jayway's, with `*~` and functions), read once and evaluated on the arena.
//!
//! A definite path leads to one value or to none; any other one leads to an array of matches.

mod eval;
mod filter;
mod function;
mod parse;
mod replace;

pub(crate) use replace::replace;

use std::collections::BTreeSet;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible},
    value::Value,
};

/// Nesting of filters, arguments and recursion.
const DEPTH_MAX: usize = 32;
/// Places that a path may lead to.
const PLACES_MAX: usize = 1_000_000;

/// A compiled path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
    function: Option<Function>,
    /// A closing parenthesis too many at the end was left out.
    pub(crate) has_surplus: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Names(Vec<String>),
    Index(i64),
    Indices(Vec<i64>),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    All,
    /// `*~`: names of all members.
    AllNames,
    /// `..`: this value and everything below it.
    Descend,
    Filter(Test),
}

/// What stands at the end of a path.
#[derive(Debug, Clone, PartialEq)]
enum Function {
    Min(Vec<Argument>),
    Max(Vec<Argument>),
    Sum(Vec<Argument>),
    Average(Vec<Argument>),
    Deviation(Vec<Argument>),
    Length,
    Keys,
    First,
    Last,
    Index(i64),
    Append(Vec<Argument>),
    Concat(Vec<Argument>),
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Text(String),
    Number(String),
    Path(JsonPath),
}

/// A filter's condition.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Exists(Operand),
    Compare { left: Operand, operator: Operator, right: Operand },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Matches,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
    Contains,
}

#[derive(Debug, Clone)]
enum Operand {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Regex(regex::Regex),
    /// `@…`, from the element that is tested.
    Current(JsonPath),
    /// `$…`, from the root.
    Root(JsonPath),
}

impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) | (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Current(a), Self::Current(b)) | (Self::Root(a), Self::Root(b)) => a == b,
            _ => false,
        }
    }
}

impl JsonPath {
    /// Reads a path that begins with `$`.
    pub(crate) fn compile(text: &str) -> Result<Self, (ErrorCode, String)> {
        parse::path(text)
    }

    /// Whether it leads to at most one place.
    pub(crate) fn is_definite(&self) -> bool {
        let definite = |step: &Step| matches!(step, Step::Name(_) | Step::Index(_));
        self.steps.iter().all(definite)
    }

    pub(crate) fn has_function(&self) -> bool {
        self.function.is_some()
    }

    /// Adds the members of the root that the path needs; `None` when that may be all of them.
    pub(crate) fn root_members(&self, members: &mut BTreeSet<String>) -> Option<()> {
        if self.steps.iter().any(|step| matches!(step, Step::Filter(_))) {
            return None;
        }
        let arguments: &[Argument] = match &self.function {
            Some(
                Function::Min(arguments)
                | Function::Max(arguments)
                | Function::Sum(arguments)
                | Function::Average(arguments)
                | Function::Deviation(arguments)
                | Function::Append(arguments)
                | Function::Concat(arguments),
            ) => arguments,
            _ => &[],
        };
        match self.steps.first() {
            Some(Step::Name(name)) => {
                members.insert(name.clone());
            }
            // `$.concat(…)`: only the arguments count.
            None if !arguments.is_empty()
                && !matches!(self.function, Some(Function::Append(_))) => {}
            _ => return None,
        }
        arguments.iter().try_for_each(|argument| match argument {
            Argument::Path(path) => path.root_members(members),
            Argument::Text(_) | Argument::Number(_) => Some(()),
        })
    }

    /// What the path leads to; `None` when a definite path leads nowhere.
    pub(crate) fn evaluate<'a>(
        &self,
        ctx: &Context<'a>,
        root: Value<'a>,
    ) -> Fallible<Option<Value<'a>>> {
        eval::evaluate(ctx, self, root, root)
    }
}
