//! Conditions and filters.

use super::Compiler;
use crate::{
    condition::{Comparison, Condition, Literal, Networks, Test},
    engine::Filter,
    error::{ErrorCode, Place},
    rule::{self, FilterMode, FilterRule},
};

impl Compiler<'_> {
    pub(super) fn filter(&mut self, filter: &rule::Filter) -> Option<Filter> {
        let mut rules = Vec::new();
        for (index, condition) in filter.rules.iter().enumerate() {
            let path = format!("filter.rules[{index}]");
            let compiled = self.condition(condition, &path);
            rules.extend(
                compiled.map(|condition| {
                    (Place::new(path, format!("filter.rule[{index}]")), condition)
                }),
            );
        }
        // Switched off it is checked, too: it will be switched on.
        (filter.enabled && !rules.is_empty()).then_some(Filter { any: filter.any, rules })
    }

    pub(super) fn condition(
        &mut self,
        condition: &rule::Condition,
        path: &str,
    ) -> Option<Condition> {
        let list = |compiler: &mut Self, inner: &[rule::Condition], name: &str| {
            let compiled: Vec<Option<Condition>> = inner
                .iter()
                .enumerate()
                .map(|(index, inner)| compiler.condition(inner, &format!("{path}.{name}[{index}]")))
                .collect();
            compiled.into_iter().collect::<Option<Vec<_>>>()
        };
        Some(match condition {
            rule::Condition::All(inner) => Condition::All(list(self, inner, "all")?),
            rule::Condition::Any(inner) => Condition::Any(list(self, inner, "any")?),
            rule::Condition::Not(inner) => {
                Condition::Not(Box::new(self.condition(inner, &format!("{path}.not"))?))
            }
            rule::Condition::Rule(rule) => self.test(rule, path)?,
        })
    }

    fn test(&mut self, rule: &FilterRule, path: &str) -> Option<Condition> {
        match rule.mode {
            FilterMode::Tombstone => {
                let warning = "tombstones do not come this far: guard.tombstone decides about them";
                self.warnings.push(format!("{path}: {warning}"));
                return Some(Condition::Tombstone);
            }
            FilterMode::TopicMatches => {
                let value = self.value(rule, path)?;
                let regex = self.regex(&format!("^(?:{value})$"), &format!("{path}.value"))?;
                return Some(Condition::TopicMatches(regex));
            }
            FilterMode::Header => {
                return Some(Condition::Header {
                    name: rule.key.clone(),
                    value: rule.value.clone(),
                });
            }
            _ => {}
        }
        let field = self.field(&rule.key, &format!("{path}.key"));
        let test = self.field_test(rule, path);
        Some(Condition::Field(field?, test?))
    }

    fn field_test(&mut self, rule: &FilterRule, path: &str) -> Option<Test> {
        let value_path = format!("{path}.value");
        Some(match rule.mode {
            FilterMode::NotNull => Test::NotNull,
            FilterMode::IsNull => Test::IsNull,
            FilterMode::Exists => Test::Exists,
            FilterMode::In => {
                if rule.values.is_empty() {
                    self.error(
                        format!("{path}.values"),
                        ErrorCode::FilterValueEmpty,
                        "`values` is empty",
                    );
                }
                Test::In(rule.values.iter().map(|value| literal(value)).collect())
            }
            FilterMode::Number => {
                let value = self.value(rule, path)?;
                let compiled = Comparison::compile(&value)
                    .map_err(|cause| (ErrorCode::FilterNumberSyntax, cause));
                Test::Number(self.keep(&value_path, compiled)?)
            }
            FilterMode::Ip => {
                let value = self.value(rule, path)?;
                let compiled =
                    Networks::compile(&value).map_err(|cause| (ErrorCode::FilterIpSyntax, cause));
                Test::Ip(self.keep(&value_path, compiled)?)
            }
            FilterMode::Regex => {
                let value = self.value(rule, path)?;
                Test::Regex(self.regex(&value, &value_path)?)
            }
            FilterMode::Except => Test::Except(literal(&self.value(rule, path)?)),
            FilterMode::Equals => Test::Equals(literal(&self.value(rule, path)?)),
            FilterMode::Prefix => Test::Prefix(literal(&self.value(rule, path)?).text),
            FilterMode::Suffix => Test::Suffix(literal(&self.value(rule, path)?).text),
            FilterMode::Contains => Test::Contains(literal(&self.value(rule, path)?).text),
            FilterMode::Tombstone | FilterMode::TopicMatches | FilterMode::Header => return None,
        })
    }

    fn value(&mut self, rule: &FilterRule, path: &str) -> Option<String> {
        let value = rule.value.clone().filter(|value| !value.is_empty());
        if value.is_none() {
            self.error(format!("{path}.value"), ErrorCode::FilterValueEmpty, "`value` is empty");
        }
        value
    }
}

/// Values follow JSON: text in double quotes is a string, everything else is taken as it is.
fn literal(text: &str) -> Literal {
    match crate::json::string_literal(text) {
        Some(inner) => Literal { text: inner, is_quoted: true },
        None => Literal { text: text.to_owned(), is_quoted: false },
    }
}
