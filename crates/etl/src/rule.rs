//! The rule as data: what a template file says, before it is compiled.
//!
//! A rule is read from YAML or JSON ([`Rule::parse`]), or from the JSON of the vendor's API ([`Rule::import_api`]), and
//! written back as YAML or JSON; reading what was written gives the same rule.

mod fields;
mod import;
mod model;
mod model_target;
mod node;
mod op;
mod read;
mod read_chain;
mod read_op;
mod write;
mod write_chain;

pub use model::*;
pub use model_target::*;
pub use op::*;

pub(crate) use node::Node;

use crate::{
    Compiled, Resources,
    error::{ErrorCode, RuleError, RuleErrors},
};

/// Bytes of a rule's text.
const TEXT_BYTES_MAX: usize = 4 << 20;

impl Rule {
    /// The JSON Schema of a rule's text, for editors and forms. It tells the shape; what only compiling finds it does not know.
    pub const JSON_SCHEMA: &str = include_str!("rule/rule.schema.json");

    /// Reads a rule from YAML or JSON.
    ///
    /// # Errors
    /// Everything that is wrong, also what only compiling finds; secrets and tables are not looked for.
    pub fn parse(text: &str) -> Result<Self, RuleErrors> {
        let node = Node::parse(text, TEXT_BYTES_MAX).map_err(RuleErrors::one)?;
        let (rule, mut errors) = read::template(&node);
        if let Err(found) = Compiled::new(&rule, &Resources::unchecked()) {
            errors.extend(found.iter().cloned());
        }
        RuleErrors::check(node.with_lines(errors))?;
        Ok(rule)
    }

    /// Reads a rule from YAML; JSON is read as well.
    ///
    /// # Errors
    /// As [`Rule::parse`].
    pub fn parse_yaml(text: &str) -> Result<Self, RuleErrors> {
        Self::parse(text)
    }

    /// Reads the JSON of the vendor's API: `TransformsParam`, or the older `TransformParam`.
    ///
    /// # Errors
    /// Everything that is wrong, with paths in the rule that results.
    pub fn import_api(json: &str) -> Result<Self, RuleErrors> {
        let node = Node::parse_json(json, TEXT_BYTES_MAX).map_err(RuleErrors::one)?;
        let (rule, mut errors) = import::transforms(&node);
        if let Err(found) = Compiled::new(&rule, &Resources::unchecked()) {
            errors.extend(found.iter().cloned());
        }
        RuleErrors::check(errors)?;
        Ok(rule)
    }

    /// Checks that dead letters do not come back: their topic is neither the source nor the target of the task.
    ///
    /// # Errors
    /// `dlq_loop`.
    pub fn check_topics(&self, source: &str, target: &str) -> Result<(), RuleErrors> {
        match &self.failure {
            Failure::Dlq(dlq) if dlq.topic == source || dlq.topic == target => {
                let cause = format!("{:?} is a topic of the task", dlq.topic);
                let path = "failure.dlq.topic";
                Err(RuleErrors::one(RuleError::new(path, ErrorCode::DlqLoop, cause)))
            }
            _ => Ok(()),
        }
    }

    /// The rule as YAML. Reading it gives this rule again, and writing that gives the same bytes.
    pub fn to_yaml(&self) -> String {
        write::template(self).to_yaml()
    }

    /// The rule as JSON, likewise.
    pub fn to_json(&self) -> String {
        write::template(self).to_json()
    }
}
