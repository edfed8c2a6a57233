//! The registries of one task, and what is known of their schemas.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{
    client::RegistryClient,
    error::{Away, RegistryError, Unresolved},
    needs::Needs,
};

/// How long it is believed that a schema is not there.
const REFUSED_TIME: Duration = Duration::from_secs(60);
/// Of how many schemas that is remembered.
const REFUSED_MAX: usize = 4096;

/// The registries of a task with a rule. All workers share them: each schema is asked for once, and one after the other, so that ids
/// that nobody registered make no storm.
#[derive(Debug)]
pub struct Registries {
    pub(super) source: Option<RegistryClient>,
    pub(super) target: Option<RegistryClient>,
    pub(super) needs: Needs,
    /// The task's topics with those of the target.
    pub(super) topics: BTreeMap<String, String>,
    /// One question at a time.
    pub(super) gate: tokio::sync::Mutex<()>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    known: HashSet<u32>,
    refused: HashMap<u32, Refused>,
    /// Ids that were refused, longest ago first.
    order: VecDeque<u32>,
    /// Since when a registry has been away.
    away_since: Option<Instant>,
}

#[derive(Debug)]
struct Refused {
    until: Instant,
    cause: String,
}

/// What is known of a schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing, or nothing any more.
    No,
    /// The rule has it.
    Yes,
    /// It cannot be had, and why.
    Refused(String),
}

impl Registries {
    /// For a rule with these needs, and topics with those of the target.
    #[must_use]
    pub fn new(
        needs: Needs,
        source: Option<RegistryClient>,
        target: Option<RegistryClient>,
        topics: BTreeMap<String, String>,
    ) -> Self {
        let gate = tokio::sync::Mutex::new(());
        Self { source, target, needs, topics, gate, book: Mutex::default() }
    }

    /// Whether schemas can be asked for.
    pub(crate) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn known(&self, id: u32) -> Known {
        let book = self.book();
        if book.known.contains(&id) {
            return Known::Yes;
        }
        match book.refused.get(&id).filter(|refused| Instant::now() < refused.until) {
            Some(refused) => Known::Refused(refused.cause.clone()),
            None => Known::No,
        }
    }

    pub(super) fn note(&self, id: u32, result: &Result<(), Unresolved>) {
        let mut book = self.book();
        match result {
            Ok(()) => {
                book.known.insert(id);
            }
            Err(Unresolved::Refused { cause, cure }) => {
                let cause =
                    if cure.is_empty() { cause.clone() } else { format!("{cause}; {cure}") };
                let until = Instant::now() + REFUSED_TIME;
                if book.refused.insert(id, Refused { until, cause }).is_none() {
                    book.order.push_back(id);
                }
                while book.order.len() > REFUSED_MAX {
                    let oldest = book.order.pop_front();
                    oldest.and_then(|oldest| book.refused.remove(&oldest));
                }
            }
            Err(Unresolved::Away(_)) => return,
        }
        book.away_since = None;
    }

    /// A registry gave no answer.
    pub(super) fn away(&self, registry: &'static str, error: RegistryError) -> Unresolved {
        let mut book = self.book();
        let is_news = book.away_since.is_none();
        let since = *book.away_since.get_or_insert_with(Instant::now);
        Unresolved::Away(Box::new(Away { registry, error, since, is_news }))
    }

    /// The registries answer again.
    pub(super) fn note_back(&self) {
        self.book().away_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Result<(), Unresolved> {
        Err(Unresolved::Refused { cause: "gone".into(), cure: "look".into() })
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_remembered_for_a_while_and_so_many() {
        let registries = Registries::new(Needs::default(), None, None, BTreeMap::new());
        registries.note(7, &refused());
        assert_eq!(registries.known(7), Known::Refused("gone; look".into()));
        tokio::time::advance(REFUSED_TIME).await;
        assert_eq!(registries.known(7), Known::No);
        for id in 0..10_000 {
            registries.note(id, &refused());
        }
        let book = registries.book();
        assert_eq!((book.refused.len(), book.order.len()), (REFUSED_MAX, REFUSED_MAX));
        assert!(book.refused.contains_key(&9_999));
        drop(book);
        registries.note(9_999, &Ok(()));
        assert_eq!(registries.known(9_999), Known::Yes);
    }
}
