//! ACLs: those of the topics that travel, and if asked for those of groups and transactional ids, follow the source.
//!
//! An ACL of the target is made where the source's says so (`translate`), and removed when the source no longer has what it comes from:
//! but only if this task made it (`own`). `survey` looks and decides, for the sync as for the plan; `AclKeeper` acts. What
//! cannot be done is told, and the rest of the task goes on.

mod own;
mod survey;
mod tell;
mod translate;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kafka_client::{Acl, AclFilter, AclPermission, Client, ClientError, TopicError};
use kafka_wire::{ErrorCode, Retry};
use serde::Serialize;

pub(crate) use self::own::Own;
pub(crate) use self::survey::{Survey, survey};
use self::tell::Teller;
pub use self::translate::LeaveReason;
use crate::event::EventSink;
use crate::journal::{Journal, JournalError};
use crate::spec::{AclSync, TaskSpec};
use crate::task::{Role, TaskError};

/// ACLs in one request, and in one entry of the journal before it.
const ACLS_MAX: usize = 500;

/// An ACL of the source that does not travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// The ACL.
    pub acl: Acl,
    /// Why.
    pub reason: LeaveReason,
}

/// Why ACLs could not be looked at.
#[derive(Debug)]
pub(crate) enum LookError {
    /// A cluster does not answer, or refuses.
    Client(Role, ClientError),
    /// The journal does not.
    Journal(JournalError),
    /// What the journal says of our ACLs is no list of ACLs.
    Note(String),
}

impl From<JournalError> for LookError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // What brokers say beside a refusal is the request's number, connection and buffer: another text each time.
            Self::Client(role, ClientError::Code { api, code, .. })
                if code_cure(*role, *code).is_some() =>
            {
                write!(f, "{api:?}: {code}")
            }
            Self::Client(_, error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Note(cause) => write!(f, "the state's list of our ACLs cannot be read: {cause}"),
        }
    }
}

impl LookError {
    /// `source`, `target`, or nothing.
    pub(crate) fn cluster(&self) -> Option<&'static str> {
        match self {
            Self::Client(Role::Source, _) => Some("source"),
            Self::Client(Role::Target, _) => Some("target"),
            Self::Journal(_) | Self::Note(_) => None,
        }
    }

    /// What an operator can do.
    pub(crate) fn cure(&self) -> Option<String> {
        match self {
            Self::Client(role, error) => cure_of(*role, error),
            Self::Journal(error) => error.cure(),
            Self::Note(_) => Some("use the release that wrote the state".to_owned()),
        }
    }
}

fn cure_of(role: Role, error: &ClientError) -> Option<String> {
    if matches!(error, ClientError::Unsupported { .. }) {
        let text = "ACLs travel between clusters of Kafka 2.0 or later: set acl_sync to none";
        return Some(text.to_owned());
    }
    error.code().and_then(|code| code_cure(role, code)).or_else(|| error.cure())
}

/// What to do about a cluster that refuses to show or to make ACLs.
fn code_cure(role: Role, code: ErrorCode) -> Option<String> {
    let operations = match role {
        Role::Source => "--operation Describe",
        // It includes DESCRIBE.
        Role::Target => "--operation Alter",
    };
    match code {
        ErrorCode::SECURITY_DISABLED => Some(format!(
            "the {role} has no authorizer and so no ACLs: set acl_sync to none, or give its brokers one (authorizer.class.name)"
        )),
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => Some(format!(
            "grant it at the {role}: kafka-acls.sh --add --allow-principal User:NAME {operations} --cluster"
        )),
        _ => None,
    }
}

/// Keeps the target's ACLs in step with the source's.
pub(crate) struct AclKeeper {
    spec: TaskSpec,
    source: Client,
    target: Client,
    journal: Arc<dyn Journal>,
    tell: Teller,
    /// What is ours on the target; none before the journal was asked.
    own: Option<Own>,
}

impl AclKeeper {
    /// For a task whose ACLs travel.
    pub(crate) fn new(
        spec: &TaskSpec,
        (source, target): (&Client, &Client),
        journal: &Arc<dyn Journal>,
        sink: &EventSink,
    ) -> Option<Self> {
        (spec.acl_sync != AclSync::None).then(|| Self {
            spec: spec.clone(),
            source: source.clone(),
            target: target.clone(),
            journal: Arc::clone(journal),
            tell: Teller::new(spec.name.clone(), Arc::clone(sink)),
            own: None,
        })
    }

    /// One comparison: makes what the target lacks, removes what is ours and comes from nothing any more.
    ///
    /// # Errors
    /// [`TaskError`] when the journal does not answer. What concerns a cluster or an ACL is an event.
    pub(crate) async fn look(
        &mut self,
        travelling: &BTreeMap<String, String>,
        is_one_cluster: bool,
    ) -> Result<(), TaskError> {
        let result = self.try_look(travelling, is_one_cluster).await;
        if let Err(error) = &result {
            self.tell.failed(error);
        }
        self.tell.end_look(result.is_ok());
        match result {
            Err(LookError::Journal(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn try_look(
        &mut self,
        travelling: &BTreeMap<String, String>,
        is_one_cluster: bool,
    ) -> Result<(), LookError> {
        let mut own = match self.own.take() {
            Some(own) => own,
            None => Own::load(self.journal.as_ref()).await?,
        };
        let ends = (&self.source, &self.target);
        let result = match survey(&self.spec, ends, travelling, &own, is_one_cluster).await {
            Ok(survey) => self.apply(survey, &mut own).await,
            Err(error) => Err(error),
        };
        self.own = Some(own);
        result
    }

    async fn apply(&mut self, survey: Survey, own: &mut Own) -> Result<(), LookError> {
        self.tell.limits(&survey.desired);
        own.acls.extend(survey.sources.clone());
        let (deny, mut allow): (Vec<_>, Vec<_>) =
            survey.make.iter().partition(|acl| acl.permission == AclPermission::Deny);
        let mut held = BTreeSet::new();
        for portion in deny.chunks(ACLS_MAX) {
            let refused = self.make(portion, &survey, own).await?;
            held.extend(refused.iter().map(|(acl, _)| acl.resource));
        }
        // What is denied on the source must not be allowed on the target for a moment.
        allow.retain(|acl| !held.contains(&acl.resource));
        for portion in allow.chunks(ACLS_MAX) {
            let refused = self.make(portion, &survey, own).await?;
            if refused.iter().any(|(_, error)| code_cure(Role::Target, error.code).is_some()) {
                break;
            }
        }
        for portion in survey.remove.chunks(ACLS_MAX) {
            self.remove(portion, own).await?;
        }
        own.store(self.journal.as_ref()).await
    }

    /// Makes ACLs, after the journal knows them. Returns those that the target refuses.
    async fn make(
        &mut self,
        portion: &[&Acl],
        survey: &Survey,
        own: &mut Own,
    ) -> Result<Vec<(Acl, TopicError)>, LookError> {
        for acl in portion {
            if let Some(sources) = survey.desired.wanted.get(*acl) {
                own.acls.insert((*acl).clone(), sources.clone());
            }
        }
        own.store(self.journal.as_ref()).await?;
        let asked: Vec<Acl> = portion.iter().map(|acl| (*acl).clone()).collect();
        let results = self.target.create_acls(&asked).await.map_err(refusing)?;
        let (mut made, mut refused) = (Vec::new(), Vec::new());
        for (acl, result) in portion.iter().zip(results) {
            match result {
                Ok(()) => made.push(*acl),
                Err(error) => {
                    if is_certain(&error) {
                        // It is not there by us: whoever makes it from now on keeps it.
                        own.acls.remove(*acl);
                    }
                    refused.push(((*acl).clone(), error));
                }
            }
        }
        self.tell.created(&made);
        self.tell.refused(&refused);
        Ok(refused)
    }

    /// Removes ACLs that are ours.
    async fn remove(&mut self, portion: &[Acl], own: &mut Own) -> Result<(), LookError> {
        let filters: Vec<_> = portion.iter().map(AclFilter::exactly).collect();
        let results = self.target.delete_acls(&filters).await.map_err(refusing)?;
        let (mut gone, mut refused) = (Vec::new(), Vec::new());
        for (acl, result) in portion.iter().zip(results) {
            match result {
                Ok(found) => {
                    own.acls.remove(acl);
                    gone.extend(found);
                }
                Err(error) => refused.push((acl.clone(), error)),
            }
        }
        self.tell.removed(&gone);
        self.tell.refused(&refused);
        Ok(())
    }
}

fn refusing(error: ClientError) -> LookError {
    LookError::Client(Role::Target, error)
}

/// Whether an ACL that was refused so was certainly not made.
fn is_certain(error: &TopicError) -> bool {
    error.retry() == Retry::Never && error.code != ErrorCode::UNKNOWN_SERVER_ERROR
}

#[cfg(test)]
mod tests;
