//! The lists in which requests are handed to a connection, to be filled again once they are written.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Lists that are kept, and their most entries: a request of thousands of batches is rare.
const LISTS_MAX: usize = 32;
const ENTRIES_MAX: usize = 256;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct SpareLists(Mutex<Vec<Vec<Bytes>>>);

impl SpareLists {
    /// An empty list with room.
    pub(super) fn take(&self) -> Option<Vec<Bytes>> {
        self.lists().pop()
    }

    /// Takes a list back.
    pub(super) fn give_back(&self, mut list: Vec<Bytes>) {
        list.clear();
        let mut lists = self.lists();
        if lists.len() < LISTS_MAX && list.capacity() <= ENTRIES_MAX {
            lists.push(list);
        }
    }

    fn lists(&self) -> MutexGuard<'_, Vec<Vec<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
