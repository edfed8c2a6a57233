//! Faults on demand: answers lost or late, connections cut, produces refused.
//!
//! Rules are matched in the order they were added; each one acts a number of times and is gone.

use std::collections::HashMap;
use std::time::Duration;

use kafka_wire::ErrorCode;
use kafka_wire::messages::ApiKey;

/// What happens to a request that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// The request is carried out, then the connection is cut instead of answering.
    LoseAnswer,
    /// The connection is cut before the request is looked at.
    CutBefore,
    /// The request is carried out, and this many bytes of the answer are sent before the cut.
    CutAfterBytes(usize),
    /// The answer waits this long (the connection is busy meanwhile).
    Delay(Duration),
    /// The request waits this long before it is carried out, and so do those behind it on the connection. They
    /// are carried out even when the client has gone meanwhile: the silent old connection (P2).
    Late(Duration),
    /// The request is carried out and never answered; the connection stays open and silent.
    Hang,
    /// The answer is sent twice: a broken peer.
    Duplicate,
}

/// Which requests get which fault, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Only this request; `None`: any but ApiVersions and SASL.
    pub api_key: Option<ApiKey>,
    /// Only on this broker.
    pub broker: Option<i32>,
    /// How many matching requests pass before the first one is hit.
    pub skip: u32,
    /// How many are hit.
    pub times: u32,
    /// Chance that a matching request is hit, drawn from the cluster's seed; 1.0 is always.
    pub probability: f64,
    /// What happens.
    pub action: FaultAction,
}

impl Fault {
    /// One hit on the next `api_key`, on any broker.
    #[must_use]
    pub const fn once(api_key: ApiKey, action: FaultAction) -> Self {
        Self { api_key: Some(api_key), broker: None, skip: 0, times: 1, probability: 1.0, action }
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct FaultRules {
    rules: Vec<Fault>,
    /// Codes that produces to a partition are refused with, and how often.
    refused: HashMap<(String, i32), (ErrorCode, u32)>,
}

impl FaultRules {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub(crate) fn refuse_produce(
        &mut self,
        topic: &str,
        partition: i32,
        code: ErrorCode,
        times: u32,
    ) {
        self.refused.insert((topic.to_owned(), partition), (code, times));
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
        self.refused.clear();
    }

    /// The fault that this request meets, if any.
    pub(crate) fn hit(
        &mut self,
        api_key: ApiKey,
        broker: i32,
        random: &mut fastrand::Rng,
    ) -> Option<FaultAction> {
        let handshake = matches!(
            api_key,
            ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate
        );
        for rule in &mut self.rules {
            let named = rule.api_key.map_or(!handshake, |key| key == api_key);
            if !named || rule.broker.is_some_and(|id| id != broker) || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if rule.probability < 1.0 && random.f64() >= rule.probability {
                continue;
            }
            rule.times -= 1;
            let action = rule.action;
            self.rules.retain(|rule| rule.times > 0);
            return Some(action);
        }
        None
    }

    /// The code that a produce to this partition is refused with, if a rule says so.
    pub(crate) fn produce_refused(&mut self, topic: &str, partition: i32) -> Option<ErrorCode> {
        if self.refused.is_empty() {
            return None;
        }
        let key = (topic.to_owned(), partition);
        let (code, times) = self.refused.get_mut(&key)?;
        let code = *code;
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.refused.remove(&key);
        }
        Some(code)
    }
}
