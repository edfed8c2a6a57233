//! The REST interface of schema registries, as far as it is needed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use hyper::Method;
use kafka_client::{ConnectError, Connector};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    RegistryConfig,
    error::RegistryError,
    http::{ANSWER_BYTES_MAX, Http},
};

/// How deep references of schemas may lead.
const DEPTH_MAX: usize = 16;
/// How many schemas one may refer to, all in all.
const REFERENCES_MAX: usize = 256;
/// How much text that may be.
const REFERENCES_BYTES_MAX: usize = 4 * ANSWER_BYTES_MAX;

/// A schema as registries write it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Schema {
    /// Its text.
    #[serde(rename = "schema")]
    pub(super) text: String,
    /// `AVRO`, `PROTOBUF` or `JSON`.
    #[serde(rename = "schemaType", default = "avro")]
    pub(super) kind: String,
    /// Schemas that it uses by name.
    #[serde(default)]
    pub(super) references: Vec<Reference>,
}

/// A schema that another one uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Reference {
    /// The name it is used by.
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) version: i64,
}

/// A schema that another one uses, and by which name.
pub(super) type Used = (Reference, Version);

/// A schema under a subject.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Version {
    pub(super) id: u32,
    pub(super) version: i64,
    #[serde(flatten)]
    pub(super) schema: Schema,
}

#[derive(Deserialize)]
struct SubjectVersion {
    subject: String,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

fn avro() -> String {
    "AVRO".to_owned()
}

/// Asks one registry.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    http: Http,
}

impl RegistryClient {
    /// A client over TCP, or TLS if the URL says so. Opens nothing yet.
    ///
    /// # Errors
    /// [`ConnectError`] for TLS settings that cannot be used.
    pub fn new(config: RegistryConfig) -> Result<Self, ConnectError> {
        Ok(Self { http: Http::new(config)? })
    }

    /// A client over streams of another kind.
    #[must_use]
    pub fn with_connector(config: RegistryConfig, connector: Arc<dyn Connector>) -> Self {
        Self { http: Http::with_connector(config, connector) }
    }

    /// Where the registry is.
    #[must_use]
    pub fn url(&self) -> String {
        self.http.url().to_string()
    }

    pub(super) async fn schema(&self, id: u32) -> Result<Schema, RegistryError> {
        self.ask(Method::GET, &format!("/schemas/ids/{id}"), None).await
    }

    /// The subjects that have a schema, in order.
    pub(super) async fn subjects(&self, id: u32) -> Result<BTreeSet<String>, RegistryError> {
        let path = format!("/schemas/ids/{id}/versions");
        let found: Vec<SubjectVersion> = self.ask(Method::GET, &path, None).await?;
        Ok(found.into_iter().map(|found| found.subject).collect())
    }

    /// The newest schema of a subject.
    pub(super) async fn latest(&self, subject: &str) -> Result<Version, RegistryError> {
        let path = format!("/subjects/{}/versions/latest", encoded(subject));
        self.ask(Method::GET, &path, None).await
    }

    async fn version(&self, reference: &Reference) -> Result<Version, RegistryError> {
        let subject = encoded(&reference.subject);
        let path = format!("/subjects/{subject}/versions/{}", reference.version);
        self.ask(Method::GET, &path, None).await
    }

    /// The schema as it stands under a subject, if it does.
    async fn find(&self, subject: &str, schema: &Schema) -> Result<Option<Version>, RegistryError> {
        let path = format!("/subjects/{}", encoded(subject));
        match self.ask(Method::POST, &path, Some(&body_of(schema))).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that a schema stands under a subject, and returns it with its id. Nothing is written where it stands already.
    pub(super) async fn register(
        &self,
        subject: &str,
        schema: &Schema,
    ) -> Result<Version, RegistryError> {
        if let Some(found) = self.find(subject, schema).await? {
            return Ok(found);
        }
        let path = format!("/subjects/{}/versions", encoded(subject));
        let made: Registered = self.ask(Method::POST, &path, Some(&body_of(schema))).await?;
        // Its version is not in the answer of all registries.
        let found = self.find(subject, schema).await?;
        Ok(found.unwrap_or_else(|| Version { id: made.id, version: -1, schema: schema.clone() }))
    }

    /// All that a schema uses, directly and indirectly, each behind what it uses itself.
    pub(super) async fn references(&self, schema: &Schema) -> Result<Vec<Used>, RegistryError> {
        // Depth first, without recursion: what is open, and how far each is.
        let mut open: Vec<(Option<Used>, Vec<Reference>)> =
            vec![(None, schema.references.iter().rev().cloned().collect())];
        let mut seen = BTreeSet::new();
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some((_, waiting)) = open.last_mut() {
            let Some(next) = waiting.pop() else {
                found.extend(open.pop().and_then(|(own, _)| own));
                continue;
            };
            if !seen.insert(next.clone()) {
                continue;
            }
            let version = self.version(&next).await?;
            bytes += version.schema.text.len();
            if open.len() > DEPTH_MAX || seen.len() > REFERENCES_MAX || bytes > REFERENCES_BYTES_MAX
            {
                let url = format!("{}/subjects/{}", self.http.url(), encoded(&next.subject));
                let message = "the schema refers to more than is taken".to_owned();
                return Err(RegistryError::Refused {
                    url,
                    status: 422,
                    code: None,
                    message: Some(message),
                });
            }
            let waiting = version.schema.references.iter().rev().cloned().collect();
            open.push((Some((next, version)), waiting));
        }
        Ok(found)
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RegistryError> {
        let answer = self.http.call(method, path, body).await?;
        serde_json::from_value(answer).map_err(|error| RegistryError::Garbage {
            url: format!("{}{path}", self.http.url()),
            message: error.to_string(),
        })
    }
}

fn body_of(schema: &Schema) -> Value {
    let mut body = json!({ "schema": schema.text });
    if schema.kind != "AVRO" {
        body["schemaType"] = schema.kind.as_str().into();
    }
    if !schema.references.is_empty() {
        let references = schema.references.iter().map(
            |Reference { name, subject, version }| json!({ "name": name, "subject": subject, "version": version }),
        );
        body["references"] = references.collect();
    }
    body
}

/// A subject as a part of a path.
fn encoded(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
