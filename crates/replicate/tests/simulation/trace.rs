//! What happened, line by line: hashed always, shown when one seed is replayed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// The lines of one run; clones write to the same trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    hasher: DefaultHasher,
    is_shown: bool,
}

impl Trace {
    pub(crate) fn new(is_shown: bool) -> Self {
        let inner = Inner { started: Instant::now(), hasher: DefaultHasher::new(), is_shown };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    pub(crate) fn line(&self, text: impl FnOnce() -> String) {
        let mut inner = self.inner.lock().unwrap();
        let millis = inner.started.elapsed().as_millis();
        let text = text();
        (millis, &text).hash(&mut inner.hasher);
        if inner.is_shown {
            println!("{millis:>8} {text}");
        }
    }

    /// Adds bytes that are not worth a line.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        bytes.hash(&mut self.inner.lock().unwrap().hasher);
    }

    pub(crate) fn elapsed_ms(&self) -> u128 {
        self.inner.lock().unwrap().started.elapsed().as_millis()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.inner.lock().unwrap().hasher.finish()
    }
}
