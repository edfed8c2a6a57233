//! A schema registry in memory, with faults on demand.
//!
//! It answers what Confluent's REST interface answers, for the requests that a client of schemas makes, over in-memory streams
//! ([`SchemaRegistry::connector`]) or any other ([`SchemaRegistry::serve`]). Schemas are text to it: whether they are valid or
//! compatible it does not judge.

mod http;
mod store;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kafka_client::{BoxFuture, BrokerAddress, ConnectError, Connector, Stream};
use tokio::io::{AsyncWriteExt as _, duplex};

use self::{
    http::{Answer, Request},
    store::Store,
};

/// What a stream holds.
const STREAM_BYTES: usize = 64 << 10;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RegistryFault {
    /// This status with this body.
    Status(u16, &'static str),
    /// These bytes instead of an answer.
    Bytes(&'static [u8]),
    /// The answer comes late.
    Late(Duration),
    /// The answer ends in its middle.
    Cut,
    /// The answer has this many bytes.
    Huge(usize),
    /// No connection.
    Refused,
}

/// A schema registry in memory; clones are one registry.
#[derive(Clone, Debug, Default)]
pub struct SchemaRegistry {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    store: Store,
    faults: VecDeque<RegistryFault>,
    is_away: bool,
    authorization: Option<String>,
    requests: Vec<String>,
}

impl SchemaRegistry {
    /// Empty; the first schema gets the id `first_id`.
    #[must_use]
    pub fn new(first_id: u32) -> Self {
        let registry = Self::default();
        registry.state().store = Store::new(first_id);
        registry
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a schema under a subject and returns its id. `kind` is `AVRO`, `PROTOBUF` or `JSON`; `references` are names with subjects and
    /// versions.
    pub fn register(
        &self,
        subject: &str,
        kind: &str,
        text: &str,
        references: &[(&str, &str, i64)],
    ) -> u32 {
        let references = references.iter().map(|(name, subject, version)| {
            serde_json::json!({ "name": name, "subject": subject, "version": version })
        });
        self.state().store.register(subject, kind, text, &references.collect()).0
    }

    /// The subjects, in order, each with the ids of its versions.
    #[must_use]
    pub fn subjects(&self) -> Vec<(String, Vec<u32>)> {
        self.state().store.subjects()
    }

    /// The subjects and versions that a schema refers to.
    #[must_use]
    pub fn references(&self, id: u32) -> Vec<(String, i64)> {
        self.state().store.references(id)
    }

    /// What was asked so far, such as `GET /schemas/ids/7`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Has something go wrong with the next request, behind what goes wrong already.
    pub fn add_fault(&self, fault: RegistryFault) {
        self.state().faults.push_back(fault);
    }

    /// Whether nobody listens.
    pub fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// The `Authorization` that requests must have.
    pub fn set_authorization(&self, authorization: &str) {
        self.state().authorization = Some(authorization.to_owned());
    }

    /// Opens in-memory streams to it, whatever the address.
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(self.clone())
    }

    /// Answers one request of `stream`.
    pub async fn serve(&self, mut stream: impl Stream) {
        let (answer, fault) = match http::read(&mut stream).await {
            Some(request) => self.answer(&request),
            None => (Answer::error(400, 400, "Bad Request"), None),
        };
        let mut bytes = answer.bytes();
        match fault {
            Some(RegistryFault::Late(time)) => tokio::time::sleep(time).await,
            Some(RegistryFault::Cut) => bytes.truncate(bytes.len() - 5),
            Some(RegistryFault::Bytes(instead)) => bytes = instead.to_vec(),
            _ => {}
        }
        // Who asked may have gone away.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }

    fn answer(&self, request: &Request) -> (Answer, Option<RegistryFault>) {
        let mut state = self.state();
        state.requests.push(format!("{} {}", request.method, request.path));
        let fault = state.faults.pop_front();
        let answer = match &fault {
            Some(RegistryFault::Status(status, body)) => {
                Answer { status: *status, body: (*body).to_owned() }
            }
            Some(RegistryFault::Huge(bytes)) => {
                Answer { status: 200, body: format!("{:?}", "x".repeat(*bytes)) }
            }
            _ if state.authorization.is_some() && state.authorization != request.authorization => {
                Answer::error(401, 401, "Unauthorized")
            }
            _ => state.store.answer(request),
        };
        (answer, fault)
    }

    fn open(&self, address: &BrokerAddress) -> Result<Box<dyn Stream>, ConnectError> {
        let mut state = self.state();
        let is_refused = matches!(state.faults.front(), Some(RegistryFault::Refused));
        if is_refused {
            state.faults.pop_front();
        }
        if is_refused || state.is_away {
            return Err(ConnectError::Tcp {
                address: address.clone(),
                socket: None,
                kind: std::io::ErrorKind::ConnectionRefused,
                message: "connection refused".to_owned(),
            });
        }
        let (ours, theirs) = duplex(STREAM_BYTES);
        let registry = self.clone();
        tokio::spawn(async move { registry.serve(theirs).await });
        Ok(Box::new(ours))
    }
}

impl Connector for SchemaRegistry {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move { self.open(address) })
    }
}
