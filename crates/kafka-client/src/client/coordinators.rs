//! Which broker coordinates a group or a transactional id.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kafka_wire::{
    ErrorCode,
    messages::{ApiKey, FindCoordinatorRequest, FindCoordinatorResponse},
    protocol::StrBytes,
};

use super::Client;
use crate::{ClientError, connection::BrokerConnection};

/// What is coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// A consumer group.
    Group,
    /// A transactional id.
    Transaction,
}

impl CoordinatorKind {
    fn code(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

/// Remembered coordinators; bounded, since a cluster may have very many groups.
#[derive(Debug, Default)]
pub(super) struct Coordinators {
    known: Mutex<HashMap<(CoordinatorKind, String), i32>>,
}

/// Above this the cache is emptied: it is cheaper to ask again than to remember everything.
const KNOWN_MAX: usize = 100_000;

impl Coordinators {
    fn get(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.lock().get(&(kind, key.to_owned())).copied()
    }

    fn put(&self, kind: CoordinatorKind, key: &str, broker_id: i32) {
        let mut known = self.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert((kind, key.to_owned()), broker_id);
    }

    fn forget(&self, kind: CoordinatorKind, key: &str) {
        self.lock().remove(&(kind, key.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(CoordinatorKind, String), i32>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Forgets a coordinator: it answered NOT_COORDINATOR, or cannot be reached.
    pub(crate) fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.inner.coordinators.forget(kind, key);
    }

    /// The coordinator as it was found last.
    pub(crate) fn known_coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<i32> {
        self.inner.coordinators.get(kind, key)
    }

    /// Remembers a coordinator that was found among many.
    pub(crate) fn remember_coordinator(&self, kind: CoordinatorKind, key: &str, broker_id: i32) {
        self.inner.coordinators.put(kind, key, broker_id);
    }

    /// Forgets the controller: it answered NOT_CONTROLLER, or cannot be reached.
    pub(crate) fn forget_controller(&self) {
        self.inner.cache.forget_controller();
    }
}

/// The connection to the remembered coordinator, or to the one that is found now. One try.
pub(super) async fn find(
    client: &Client,
    kind: CoordinatorKind,
    key: &str,
) -> Result<BrokerConnection, ClientError> {
    let cache = &client.inner.coordinators;
    let broker_id = match cache.get(kind, key) {
        Some(broker_id) => broker_id,
        None => {
            let found = ask(client, kind, key).await?;
            cache.put(kind, key, found);
            found
        }
    };
    let opened = client.broker(broker_id).await;
    if opened.is_err() {
        // FindCoordinator names a dead broker until its session ends (broker-probes P18): ask again next time.
        cache.forget(kind, key);
    }
    opened
}

async fn ask(client: &Client, kind: CoordinatorKind, key: &str) -> Result<i32, ClientError> {
    let connection = client.any_broker().await?;
    let version = connection.version_for::<FindCoordinatorRequest>(None)?;
    if kind == CoordinatorKind::Transaction && version < 1 {
        return Err(connection.unsupported(ApiKey::FindCoordinator, Some(1)));
    }
    let name = StrBytes::from_string(key.to_owned());
    let mut request = FindCoordinatorRequest::default();
    if version >= 1 {
        request.key_type = kind.code();
    }
    if version >= 4 {
        request.coordinator_keys = vec![name];
    } else {
        request.key = name;
    }
    let response = connection.call(request).await?;
    let (code, message, broker_id) = answer_for(&response, version, key)?;
    code.ok().map_err(|code| {
        ClientError::of_code(ApiKey::FindCoordinator, key, code, message.as_deref())
    })?;
    Ok(broker_id)
}

fn answer_for(
    response: &FindCoordinatorResponse,
    version: i16,
    key: &str,
) -> Result<(ErrorCode, Option<String>, i32), ClientError> {
    if version < 4 {
        let message = response.error_message.as_deref().map(ToOwned::to_owned);
        return Ok((ErrorCode(response.error_code), message, response.node_id.0));
    }
    let missing =
        || ClientError::Incomplete { api: ApiKey::FindCoordinator, about: key.to_owned() };
    let found =
        response.coordinators.iter().find(|found| &*found.key == key).ok_or_else(missing)?;
    let message = found.error_message.as_deref().map(ToOwned::to_owned);
    Ok((ErrorCode(found.error_code), message, found.node_id.0))
}
