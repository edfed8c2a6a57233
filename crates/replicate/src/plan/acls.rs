//! What would be done about ACLs.

use std::collections::BTreeMap;

use kafka_client::Acl;
use serde::Serialize;

use super::{Action, Plan, Planner, Problem};
use crate::acls::{LeftOut, LookError, survey};
use crate::spec::{AclSync, AclWrite};
use crate::task::TaskError;

/// What would be done about ACLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AclPlan {
    /// Which travel.
    pub sync: AclSync,
    /// What becomes of the right to write to topics.
    pub write: AclWrite,
    /// ACLs that the target lacks: they are made, in this order.
    pub make: Vec<Acl>,
    /// ACLs that the task made and that come from nothing on the source any more: they are removed, in this order.
    pub remove: Vec<Acl>,
    /// How many that are wanted the target has already.
    pub existing: usize,
    /// ACLs of the source of which the right to write does not travel.
    pub withheld: Vec<Acl>,
    /// ACLs of the source that do not travel.
    pub left_out: Vec<LeftOut>,
}

impl Planner<'_> {
    pub(super) async fn acls(&self, plan: &mut Plan) -> Result<(), TaskError> {
        if self.spec.acl_sync == AclSync::None {
            return Ok(());
        }
        let travelling: BTreeMap<_, _> = plan
            .topics
            .iter()
            .filter(|topic| topic.action != Action::Refuse)
            .map(|topic| (topic.topic.clone(), topic.target_topic.clone()))
            .collect();
        let ends = (self.source, self.target);
        let own = match self.known.own_acls() {
            Ok(own) => own,
            Err(error) => {
                plan.acls_unreadable(error);
                return Ok(());
            }
        };
        match survey(self.spec, ends, &travelling, own, self.is_one_cluster).await {
            Ok(survey) => {
                let existing = survey.desired.wanted.len().saturating_sub(survey.make.len());
                let left_out = survey.desired.left_out.into_iter();
                let shown = survey.shown;
                plan.acls = Some(AclPlan {
                    sync: self.spec.acl_sync,
                    write: self.spec.acl_write,
                    existing,
                    make: survey.make,
                    remove: survey.remove.into_iter().filter(|acl| shown.contains(acl)).collect(),
                    withheld: survey.desired.withheld.into_iter().collect(),
                    left_out: left_out.map(|(reason, acl)| LeftOut { acl, reason }).collect(),
                });
            }
            Err(LookError::Journal(error)) => return Err(error.into()),
            Err(error) => plan.acls_unreadable(&error),
        }
        Ok(())
    }
}

impl Plan {
    fn acls_unreadable(&mut self, error: &LookError) {
        let role = error.cluster().unwrap_or("state").to_owned();
        let (cause, remedy) = (error.to_string(), error.cure());
        self.find(None, Problem::AclsUnreadable { role, cause, remedy });
    }
}
