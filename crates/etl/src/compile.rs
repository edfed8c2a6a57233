//! A rule made ready: expressions compiled, paths read, places named. All that is wrong is found here, before any record.

mod chain;
mod condition;
mod op;
mod process;
mod target;

use std::collections::{BTreeSet, HashMap};

use crate::{
    charset::Charset,
    context::Limits,
    engine::{Chain, Compiled},
    error::{ErrorCode, Place, RuleError, RuleErrors},
    jsonpath::JsonPath,
    output::Format,
    pattern, rule,
    rule::Rule,
    schema::Schemas,
    table::{SharedTable, Table},
};

/// What a rule refers to by name: secrets and tables.
#[derive(Default)]
pub struct Resources {
    secrets: HashMap<String, Vec<u8>>,
    tables: HashMap<String, Table>,
    /// Names are not looked for: whether the rule alone is well formed.
    unchecked: bool,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resources")
            .field("secrets", &self.secrets.len())
            .field("tables", &self.tables.keys().collect::<BTreeSet<_>>())
            .finish()
    }
}

impl Resources {
    /// No secrets and no tables.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn unchecked() -> Self {
        Self { unchecked: true, ..Self::default() }
    }

    /// Adds a secret.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &[u8]) -> Self {
        self.secrets.insert(name.to_owned(), value.to_vec());
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn with_table(mut self, name: &str, table: Table) -> Self {
        self.tables.insert(name.to_owned(), table);
        self
    }
}

/// Collects what is wrong while a rule is compiled.
pub(crate) struct Compiler<'r> {
    pub(super) resources: &'r Resources,
    pub(super) errors: Vec<RuleError>,
    pub(super) warnings: Vec<String>,
    /// How many chain items remember something.
    pub(super) memories: usize,
    /// The columns that lookups take, by table.
    pub(super) columns: HashMap<String, Vec<Box<str>>>,
}

impl Compiled {
    /// Compiles `rule`.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn new(rule: &Rule, resources: &Resources) -> Result<Self, RuleErrors> {
        let mut compiler = Compiler {
            resources,
            errors: Vec::new(),
            warnings: Vec::new(),
            memories: 0,
            columns: HashMap::new(),
        };
        let charset = compiler.charset(&rule.guard.charset, "guard.charset");
        let chains = compiler.chains(&rule.chains);
        let filter = compiler.filter(&rule.filter);
        let output = compiler.output(rule);
        let target = compiler.target(rule);
        compiler.failure(&rule.failure);
        RuleErrors::check(compiler.errors)?;
        let mut chains = chains.into_iter().collect::<Option<Vec<Chain>>>().unwrap_or_default();
        if matches!(output, Format::Original { .. }) && target.is_plain() {
            process::narrow(&mut chains, filter.as_ref());
        }
        let tables = compiler.columns.into_iter().filter_map(|(name, columns)| {
            let table = resources.tables.get(&name)?;
            Some((name, SharedTable::of(table, columns)))
        });
        let tables = tables.collect();
        Ok(Self {
            rule: rule.clone(),
            guard_place: Place::new("guard", "guard"),
            charset: charset.unwrap_or(Charset::Utf8),
            chains,
            filter,
            output,
            target,
            tables,
            schemas: Schemas::default(),
            limits: Limits::default(),
            warnings: compiler.warnings,
            copies: 1,
        })
    }
}

impl Compiler<'_> {
    pub(super) fn error(
        &mut self,
        path: impl Into<String>,
        code: ErrorCode,
        cause: impl Into<String>,
    ) {
        self.errors.push(RuleError::new(path, code, cause));
    }

    /// Keeps the error, if there is one.
    pub(super) fn keep<T>(
        &mut self,
        path: &str,
        result: Result<T, (ErrorCode, String)>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err((code, cause)) => {
                self.error(path, code, cause);
                None
            }
        }
    }

    pub(super) fn regex(&mut self, text: &str, path: &str) -> Option<regex::Regex> {
        self.keep(path, pattern::compile(text))
    }

    pub(super) fn jsonpath(&mut self, text: &str, path: &str) -> Option<JsonPath> {
        let compiled = self.keep(path, JsonPath::compile(text))?;
        if compiled.has_surplus {
            self.warnings
                .push(format!("{path}: one closing parenthesis too many at the end was left out"));
        }
        Some(compiled)
    }

    pub(super) fn charset(&mut self, name: &str, path: &str) -> Option<Charset> {
        let found = Charset::find(name);
        if found.is_none() {
            self.error(path, ErrorCode::CharsetUnknown, format!("{name:?} is not known"));
        }
        found
    }

    fn failure(&mut self, failure: &rule::Failure) {
        if let rule::Failure::Dlq(dlq) = failure
            && !crate::target::is_topic(&dlq.topic)
        {
            let cause = format!("{:?} is no name of a topic", dlq.topic);
            self.error("failure.dlq.topic", ErrorCode::NameInvalid, cause);
        }
    }
}
