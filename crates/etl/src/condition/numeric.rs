//! Numeric filters: `>=10&<=20`, `<5|>100`.

use std::cmp::Ordering;

use crate::value::number::Decimal;

#[derive(Debug, Clone, Copy)]
enum Operator {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

/// Alternatives of comparisons that must all hold.
#[derive(Debug)]
pub(crate) struct Comparison(Vec<Vec<(Operator, String)>>);

impl Comparison {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let alternatives = text.split('|').map(|part| part.split('&').map(single).collect());
        alternatives.collect::<Result<_, String>>().map(Self)
    }

    /// Whether the number `text` fits; anything else does not.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let Some(number) = Decimal::parse(text) else { return false };
        let fits = |(operator, wanted): &(Operator, String)| {
            let Some(wanted) = Decimal::parse(wanted) else { return false };
            let order = number.cmp(&wanted);
            match operator {
                Operator::Less => order == Ordering::Less,
                Operator::LessEqual => order != Ordering::Greater,
                Operator::Greater => order == Ordering::Greater,
                Operator::GreaterEqual => order != Ordering::Less,
                Operator::Equal => order == Ordering::Equal,
                Operator::NotEqual => order != Ordering::Equal,
            }
        };
        self.0.iter().any(|all| all.iter().all(fits))
    }
}

fn single(text: &str) -> Result<(Operator, String), String> {
    let text = text.trim();
    let operators = [
        (">=", Operator::GreaterEqual),
        ("<=", Operator::LessEqual),
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        (">", Operator::Greater),
        ("<", Operator::Less),
        ("=", Operator::Equal),
    ];
    let found = operators
        .into_iter()
        .find_map(|(symbol, operator)| Some((operator, text.strip_prefix(symbol)?)));
    let Some((operator, number)) = found else {
        return Err(format!("{text:?} does not begin with a comparison"));
    };
    let number = number.trim();
    match Decimal::parse(number) {
        Some(_) => Ok((operator, number.to_owned())),
        None => Err(format!("{number:?} is no number")),
    }
}
