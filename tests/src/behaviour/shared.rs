//! One real cluster at a time, shared by the tests of its release: starting brokers takes longer than the tests.

use std::sync::{Arc, Mutex, PoisonError};

use xtask::kafka::{KafkaCluster, Options, Release};

static CURRENT: Mutex<Option<(Release, Arc<KafkaCluster>)>> = Mutex::new(None);

/// The running cluster of a release. The one before it ends with the last test that uses it, the last one with the
/// process (its watchdog sees to that).
pub(super) fn cluster(release: Release) -> Arc<KafkaCluster> {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((running, cluster)) = &*current
        && *running == release
    {
        return Arc::clone(cluster);
    }
    drop(current.take());
    let cluster = Arc::new(KafkaCluster::start(release, Options::default()).unwrap());
    *current = Some((release, Arc::clone(&cluster)));
    cluster
}
