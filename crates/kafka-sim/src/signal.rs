//! A value that tasks wait for. They wake in the order in which they began to wait: tokio's `watch` draws that order
//! by chance, and then one seed has more than one history.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Clones share the value.
#[derive(Clone, Debug)]
pub(crate) struct Signal<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy> Signal<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { shared: Arc::new(Shared { value: Mutex::new(value), changed: Notify::new() }) }
    }

    pub(crate) fn get(&self) -> T {
        *self.shared.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes everybody.
    pub(crate) fn update(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.shared.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.changed.notify_waiters();
    }

    /// Ends when the value is as wanted.
    pub(crate) async fn wait_for(&self, is_wanted: impl Fn(T) -> bool) {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if is_wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
