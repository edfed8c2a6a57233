//! A schema that a rule lacks: fetched, handed in, and registered at the target where ids are translated.

use etl::{Compiled, rule::SchemaFormat};

use super::{
    book::{Known, Registries},
    client::{Reference, RegistryClient, Schema, Used, Version},
    error::{RegistryError, Unresolved},
    needs::kind_of,
    subject,
};

/// What a schema uses, each behind what it uses itself.
type References = Vec<Used>;

impl Registries {
    /// Sees to it that `rule` knows the schema `id` of the source's registry, which a record of `topic` has. What one caller found out all
    /// others get.
    pub(crate) async fn resolve(
        &self,
        rule: &Compiled,
        id: u32,
        topic: &str,
    ) -> Result<(), Unresolved> {
        let _turn = self.gate.lock().await;
        match self.known(id) {
            Known::Yes => return Ok(()),
            Known::Refused(cause) => {
                return Err(Unresolved::Refused { cause, cure: String::new() });
            }
            Known::No => {}
        }
        let result = self.ask(rule, id, topic).await;
        self.note(id, &result);
        result
    }

    /// Sees to it that `rule` knows the schema `id` of the source's registry, which a record of `topic` has: why it cannot, if the
    /// registry has none that the rule can use.
    ///
    /// # Errors
    /// The registry gives no answer.
    pub async fn fetch(
        &self,
        rule: &Compiled,
        id: u32,
        topic: &str,
    ) -> Result<Option<String>, RegistryError> {
        match self.resolve(rule, id, topic).await {
            Ok(()) => Ok(None),
            Err(Unresolved::Refused { cause, .. }) => Ok(Some(cause)),
            Err(Unresolved::Away(away)) => Err(away.error),
        }
    }

    async fn ask(&self, rule: &Compiled, id: u32, topic: &str) -> Result<(), Unresolved> {
        let Some(source) = &self.source else {
            return Err(refused(format!("there is no registry to ask for the schema {id}"), ""));
        };
        let failed = |error: RegistryError| {
            if error.is_absent() {
                return refused(format!("{} has no schema {id}", source.url()), "");
            }
            self.unresolved("source", error)
        };
        let schema = source.schema(id).await.map_err(failed)?;
        let format = self.format(id, &schema)?;
        let references = source.references(&schema).await.map_err(failed)?;
        if let Some(format) = format {
            let texts = texts(&references);
            rule.add_schema(id, format, &schema.text, &texts).map_err(|cause| {
                refused(format!("the schema {id} of {}: {cause}", source.url()), "")
            })?;
        }
        if self.needs.translates {
            let made = self.translated(source, (id, schema), &references, topic).await?;
            rule.translate_schema_id(id, made);
        }
        Ok(())
    }

    /// The format in which the rule decodes by a schema, if it decodes.
    fn format(&self, id: u32, schema: &Schema) -> Result<Option<SchemaFormat>, Unresolved> {
        let decodes = &self.needs.decodes;
        let found = decodes.iter().find(|format| kind_of(**format) == schema.kind);
        if found.is_none() && !decodes.is_empty() {
            let kinds: Vec<&str> = decodes.iter().map(|format| kind_of(*format)).collect();
            let (kind, kinds) = (&schema.kind, kinds.join(" and "));
            let cause = format!("the schema {id} is {kind}, the rule decodes {kinds}");
            return Err(refused(cause, "decode it as what it is"));
        }
        Ok(found.copied())
    }

    /// The id at the target of a schema of the source, which is registered there if it is not yet.
    async fn translated(
        &self,
        source: &RegistryClient,
        (id, mut schema): (u32, Schema),
        references: &References,
        topic: &str,
    ) -> Result<u32, Unresolved> {
        let Some(target) = &self.target else {
            return Err(refused("there is no registry of the target".to_owned(), ""));
        };
        let subjects = match source.subjects(id).await {
            // Not every registry tells, and a subject may be deleted.
            Err(RegistryError::Refused { status: 404 | 405, .. }) => Ok(Default::default()),
            result => result,
        };
        let subjects = subjects.map_err(|error| self.unresolved("source", error))?;
        let mut made: Vec<(&Reference, i64)> = Vec::new();
        for (reference, version) in references {
            let mut used = version.schema.clone();
            renumber(&mut used, &made);
            let known = target.register(&reference.subject, &used).await;
            made.push((
                reference,
                known.map_err(|error| self.unresolved("target", error))?.version,
            ));
        }
        renumber(&mut schema, &made);
        let mut first = None;
        for subject in subject::at_target(&subjects, &self.topics, topic) {
            let version = target.register(&subject, &schema).await;
            let version = version.map_err(|error| self.unresolved("target", error))?;
            first.get_or_insert(version.id);
        }
        first.ok_or_else(|| refused("the schema has no subject".to_owned(), ""))
    }

    /// Hands the rule the newest schema of the subject that outputs are written with.
    pub(crate) async fn fetch_target(&self, rule: &Compiled) -> Result<(), Unresolved> {
        let (Some((subject, format)), Some(target)) = (&self.needs.subject, &self.target) else {
            return Ok(());
        };
        let failed = |error: RegistryError| {
            if error.is_absent() {
                let cause = format!("{} has no schema of the subject {subject}", target.url());
                return refused(cause, "register it there, or correct output.subject of the rule");
            }
            self.unresolved("target", error)
        };
        let Version { id, schema, .. } = target.latest(subject).await.map_err(failed)?;
        let place = || format!("the schema of the subject {subject} at {}", target.url());
        let wanted = kind_of(*format);
        if schema.kind != wanted {
            let cause = format!("{} is {}, the rule writes {wanted}", place(), schema.kind);
            return Err(refused(cause, "name another subject, or another output.format"));
        }
        if *format == SchemaFormat::Json {
            rule.set_target_schema_id(id);
        } else {
            let references = target.references(&schema).await.map_err(failed)?;
            rule.set_target_schema(id, *format, &schema.text, &texts(&references))
                .map_err(|cause| refused(format!("{}: {cause}", place()), "correct the schema"))?;
        }
        self.note_back();
        Ok(())
    }
}

impl Registries {
    /// What is wrong with a schema is wrong until somebody changes it; everything else is waited out.
    fn unresolved(&self, registry: &'static str, error: RegistryError) -> Unresolved {
        if error.is_about_schema() {
            return refused(error.to_string(), &error.cure());
        }
        self.away(registry, error)
    }
}

fn texts(references: &References) -> Vec<(String, String)> {
    let texts = references.iter();
    texts.map(|(reference, used)| (reference.name.clone(), used.schema.text.clone())).collect()
}

/// Gives references the versions that they have at the target.
fn renumber(schema: &mut Schema, made: &[(&Reference, i64)]) {
    for reference in &mut schema.references {
        let same = |(known, _): &&(&Reference, i64)| {
            (&known.subject, known.version) == (&reference.subject, reference.version)
        };
        if let Some((_, version)) = made.iter().find(same) {
            reference.version = *version;
        }
    }
}

fn refused(cause: String, cure: &str) -> Unresolved {
    Unresolved::Refused { cause, cure: cure.to_owned() }
}
