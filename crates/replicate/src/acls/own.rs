//! The ACLs of the target that the task has made, or is about to make: only these are ever removed.
//!
//! An ACL is in the journal before it is asked for, so that none is forgotten whenever the process dies; and it leaves the journal only
//! when the target has said that it is gone, or that it was never made.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::Acl;
use serde::{Deserialize, Serialize};

use super::LookError;
use crate::journal::{Journal, JournalWrite};

/// The journal's note that holds them.
const NOTE: &str = "acls";

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// Each with the ACLs of the source that it comes from.
    pub(crate) acls: BTreeMap<Acl, BTreeSet<Acl>>,
    /// What the journal has.
    stored: BTreeMap<Acl, BTreeSet<Acl>>,
}

/// One of them in the journal.
#[derive(Serialize, Deserialize)]
struct Stored {
    acl: Acl,
    sources: BTreeSet<Acl>,
}

impl Own {
    /// # Errors
    /// [`LookError`]: a note that cannot be read is no empty one, or what is ours would stay for ever.
    pub(crate) async fn load(journal: &dyn Journal) -> Result<Self, LookError> {
        let Some(text) = journal.load_note(NOTE.to_owned()).await? else {
            return Ok(Self::default());
        };
        let stored: Vec<Stored> =
            serde_json::from_str(&text).map_err(|error| LookError::Note(error.to_string()))?;
        let acls: BTreeMap<_, _> = stored.into_iter().map(|one| (one.acl, one.sources)).collect();
        Ok(Self { stored: acls.clone(), acls })
    }

    /// Durable when this returns; nothing is written when nothing has changed.
    ///
    /// # Errors
    /// [`LookError`].
    pub(crate) async fn store(&mut self, journal: &dyn Journal) -> Result<(), LookError> {
        if self.acls == self.stored {
            return Ok(());
        }
        let stored: Vec<_> = self
            .acls
            .iter()
            .map(|(acl, sources)| Stored { acl: acl.clone(), sources: sources.clone() })
            .collect();
        let value =
            serde_json::to_string(&stored).map_err(|error| LookError::Note(error.to_string()))?;
        journal.write(vec![JournalWrite::Note { name: NOTE.to_owned(), value }]).await?;
        self.stored.clone_from(&self.acls);
        Ok(())
    }
}
