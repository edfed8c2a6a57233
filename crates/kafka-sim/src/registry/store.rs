//! Schemas, subjects and versions, and the answers about them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::http::{Answer, Request};

/// A schema as it was registered.
#[derive(Clone, Debug, PartialEq)]
struct Schema {
    kind: String,
    text: String,
    references: Value,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    next_id: u32,
    by_id: BTreeMap<u32, Schema>,
    /// Ids of the versions, from 1 on.
    subjects: BTreeMap<String, Vec<u32>>,
}

impl Schema {
    fn of(body: &Value) -> Self {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let kind = body["schemaType"].as_str().unwrap_or("AVRO").to_owned();
        let references = body.get("references").cloned().unwrap_or_else(|| json!([]));
        Self { kind, text: text("schema"), references }
    }

    /// As registries write it: the type only when it is not Avro.
    fn members(&self) -> Value {
        let mut members = json!({ "schema": self.text });
        if self.kind != "AVRO" {
            members["schemaType"] = self.kind.as_str().into();
        }
        if self.references.as_array().is_some_and(|references| !references.is_empty()) {
            members["references"] = self.references.clone();
        }
        members
    }
}

impl Store {
    pub(super) fn new(first_id: u32) -> Self {
        Self { next_id: first_id, ..Self::default() }
    }

    pub(super) fn subjects(&self) -> Vec<(String, Vec<u32>)> {
        self.subjects.iter().map(|(name, ids)| (name.clone(), ids.clone())).collect()
    }

    pub(super) fn references(&self, id: u32) -> Vec<(String, i64)> {
        let schema = self.by_id.get(&id);
        let references = schema.and_then(|schema| schema.references.as_array()).into_iter();
        let pair = |reference: &Value| {
            let subject = reference["subject"].as_str().unwrap_or_default().to_owned();
            (subject, reference["version"].as_i64().unwrap_or_default())
        };
        references.flatten().map(pair).collect()
    }

    /// The id and the version.
    pub(super) fn register(
        &mut self,
        subject: &str,
        kind: &str,
        text: &str,
        references: &Value,
    ) -> (u32, usize) {
        let (kind, text) = (kind.to_owned(), text.to_owned());
        self.add(subject, Schema { kind, text, references: references.clone() })
    }

    fn add(&mut self, subject: &str, schema: Schema) -> (u32, usize) {
        let id = self.id_of(&schema).unwrap_or_else(|| {
            self.next_id += 1;
            self.by_id.insert(self.next_id - 1, schema);
            self.next_id - 1
        });
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        let at = versions.iter().position(|known| *known == id).unwrap_or_else(|| {
            versions.push(id);
            versions.len() - 1
        });
        (id, at + 1)
    }

    fn id_of(&self, schema: &Schema) -> Option<u32> {
        self.by_id.iter().find(|(_, known)| *known == schema).map(|(id, _)| *id)
    }

    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let path = request.path.trim_start_matches('/');
        let parts: Vec<String> = path.split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => self.schema(id),
            ("GET", ["schemas", "ids", id, "versions"]) => self.versions_of(id),
            ("GET", ["subjects", subject, "versions", version]) => self.version(subject, version),
            ("POST", ["subjects", subject]) => self.find(subject, &Schema::of(&request.body)),
            ("POST", ["subjects", subject, "versions"]) => {
                let (id, _) = self.add(subject, Schema::of(&request.body));
                Answer::of(&json!({ "id": id }))
            }
            _ => Answer::error(404, 404, "HTTP 404 Not Found"),
        }
    }

    fn schema(&self, id: &str) -> Answer {
        match id.parse().ok().and_then(|id: u32| self.by_id.get(&id)) {
            Some(schema) => Answer::of(&schema.members()),
            None => Answer::error(404, 40403, "Schema not found"),
        }
    }

    fn versions_of(&self, id: &str) -> Answer {
        let Ok(id) = id.parse::<u32>() else {
            return Answer::error(404, 40403, "Schema not found");
        };
        let mut found = Vec::new();
        for (subject, ids) in &self.subjects {
            let at = ids.iter().position(|known| *known == id);
            found.extend(at.map(|at| json!({ "subject": subject, "version": at + 1 })));
        }
        Answer::of(&found.into())
    }

    fn version(&self, subject: &str, version: &str) -> Answer {
        let Some(ids) = self.subjects.get(subject) else {
            return Answer::error(404, 40401, &format!("Subject '{subject}' not found."));
        };
        let at = if version == "latest" { ids.len() } else { version.parse().unwrap_or(0) };
        let id = at.checked_sub(1).and_then(|at| ids.get(at));
        match id {
            Some(id) => self.shown(subject, at, *id),
            None => Answer::error(404, 40402, &format!("Version {version} not found.")),
        }
    }

    fn find(&self, subject: &str, schema: &Schema) -> Answer {
        let Some(ids) = self.subjects.get(subject) else {
            return Answer::error(404, 40401, &format!("Subject '{subject}' not found."));
        };
        let id = self.id_of(schema);
        match ids.iter().position(|known| Some(*known) == id) {
            Some(at) => self.shown(subject, at + 1, ids[at]),
            None => Answer::error(404, 40403, "Schema not found"),
        }
    }

    fn shown(&self, subject: &str, version: usize, id: u32) -> Answer {
        let mut shown = self.by_id[&id].members();
        shown["subject"] = subject.into();
        shown["version"] = version.into();
        shown["id"] = id.into();
        Answer::of(&shown)
    }
}

fn decoded(part: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first == b'%'
            && let Some(hex) = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok())
            && let Ok(byte) = u8::from_str_radix(hex, 16)
        {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
