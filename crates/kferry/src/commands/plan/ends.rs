//! Both clusters of a task that is only looked at, and its state.

use std::{path::Path, sync::Arc};

use kafka_client::{
    Client,
    preflight::{self, Options, Outcome, Role, StepKind},
};
use replicate::{
    journal::{Journal, JournalError, RedbJournal},
    plan::Problem,
    spec::{AclSync, SyncMode},
};

use crate::{
    commands::{check, sync},
    config::{Connection, TaskSetup},
    failure::Failure,
    output::Output,
};

/// Rights on the target of which it depends on the topics whether they are needed: a topic that needs one and does not get it is a
/// finding of its own.
const SOMETIMES: [&str; 3] = ["CREATE on", "ALTER on", "ALTER_CONFIGS on"];

/// The plan itself tells when ACLs cannot be read.
const READ_ACLS: &str = "DESCRIBE on the cluster (ACLs)";

/// Both clusters.
pub(crate) struct Ends {
    pub(crate) source: Client,
    pub(crate) target: Client,
    /// Rights that the task lacks.
    pub(crate) denied: Vec<Problem>,
}

impl Ends {
    /// Validates both up to the brokers, and the rights where they matter, at the same time.
    ///
    /// # Errors
    /// A [`Failure`] with the step that failed.
    pub(crate) async fn reach(
        setup: &TaskSetup,
        rights: bool,
        output: &Output,
    ) -> Result<Self, Failure> {
        let (source, target) = tokio::join!(
            reach("--source", Role::Source, &setup.source, setup, rights, output),
            reach("--target", Role::Target, &setup.target, setup, rights, output)
        );
        let ((source, mut denied), (target, more)) = (source?, target?);
        denied.extend(more);
        Ok(Self { source, target, denied })
    }

    pub(crate) async fn close(self) {
        self.source.close().await;
        self.target.close().await;
    }
}

async fn reach(
    flag: &str,
    role: Role,
    connection: &Connection,
    setup: &TaskSetup,
    rights: bool,
    output: &Output,
) -> Result<(Client, Vec<Problem>), Failure> {
    let client = check::client(connection)?;
    let mut options = Options::reach(role);
    options.permissions = rights;
    let topics = setup.spec.topics.clone();
    options = options.with_topics(Arc::new(move |name| topics.matches(name)));
    if setup.spec.sync == SyncMode::MetadataDataOffsets {
        options = options.with_groups();
    }
    if setup.spec.acl_sync != AclSync::None {
        options = options.with_acls();
    }
    let report = preflight::run(&connection.config, &options, &mut |_| {}).await;
    let mut denied = Vec::new();
    for step in report.failures() {
        let Outcome::Failed { cause, cure } = &step.outcome else { continue };
        if step.kind != StepKind::Permission {
            return Err(sync::unusable(flag, &connection.config.name, step));
        }
        if step.subject == READ_ACLS {
            continue;
        }
        denied.push(Problem::PermissionMissing {
            role: role.to_string(),
            permission: step.subject.clone(),
            cause: cause.clone(),
            remedy: cure.clone(),
            is_needed: !SOMETIMES.iter().any(|start| step.subject.starts_with(start)),
        });
    }
    sync::remark(role, &connection.config.name, &report, output);
    Ok((client, denied))
}

/// What is known of the task's earlier runs.
#[derive(Debug)]
pub(crate) enum State {
    /// It never ran.
    New,
    /// It ran before.
    Known(RedbJournal),
    /// It runs now.
    InUse,
}

impl State {
    /// Opens the state in `directory` if there is one; makes none.
    ///
    /// # Errors
    /// A [`Failure`] when it is there and cannot be read.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join(sync::STATE_FILE);
        if !file.exists() {
            return Ok(Self::New);
        }
        match RedbJournal::open(&file) {
            Ok(journal) => Ok(Self::Known(journal)),
            Err(JournalError::AlreadyOpen { .. }) => Ok(Self::InUse),
            Err(error) => Err(Failure::failed(format!("--state {}", directory.display()))
                .because(&error)
                .maybe_cure(error.cure())),
        }
    }

    pub(crate) fn journal(&self) -> Option<&dyn Journal> {
        match self {
            Self::Known(journal) => Some(journal),
            Self::New | Self::InUse => None,
        }
    }
}
