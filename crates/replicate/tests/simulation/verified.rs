//! `kferry verify` over what a history left behind: where the judge finds nothing, it must find nothing either.

use std::num::NonZeroUsize;
use std::sync::Arc;

use kafka_client::{Client, ConnectionConfig};
use kafka_sim::Cluster;
use replicate::journal::MemoryJournal;
use replicate::spec::TopicSelection;
use replicate::verify::{Verify, VerifyError};
use tokio_util::sync::CancellationToken;

use crate::group_story::BUSY;
use crate::history::At;
use crate::oracle::{Finding, Kind};

/// All that it finds, as findings of the judge.
pub(crate) async fn findings(
    source: &Cluster,
    target: &Cluster,
    journal: MemoryJournal,
) -> Vec<Finding> {
    let client = |cluster: &Cluster| {
        let config = ConnectionConfig::new(cluster.bootstrap());
        Client::with_connector(config, cluster.connector())
    };
    let verify = Verify {
        source: client(source),
        target: client(target),
        books: Arc::new(journal),
        topics: TopicSelection::All,
        bytes_per_second: None,
        concurrency: NonZeroUsize::MIN,
        group_looks: 1,
        found: Vec::new(),
        note: Arc::new(|_| ()),
        stop: CancellationToken::new(),
    };
    let say = |at: At, what: String| Finding { kind: Kind::Verify, at, what };
    let nowhere = || (String::new(), 0);
    let report = match verify.run().await {
        Ok(report) => report,
        // A task that has not begun anything leaves nothing to compare.
        Err(VerifyError::Empty(_)) => return Vec::new(),
        Err(error) => return vec![say(nowhere(), error.to_string())],
    };
    let mut findings: Vec<Finding> = report.errors().map(|error| say(nowhere(), error)).collect();
    for partition in &report.partitions {
        let at = (partition.source_topic.clone(), partition.source_partition);
        let found = partition.differences.iter();
        findings.extend(found.map(|found| say(at.clone(), format!("{found:?}"))));
    }
    // Others use the busy ones on the target, and may have done so since the task looked last.
    for off in report.groups.iter().flat_map(|groups| &groups.differences) {
        if !BUSY.contains(&off.group.as_str()) {
            let at = (off.source_topic.clone(), off.source_partition);
            findings.push(say(at, format!("{off:?}")));
        }
    }
    findings
}
