//! Fetch sessions (KIP-227) against a broker's own bookkeeping.

use kafka_client::{
    FetchPartition, FetchSession, FetchSessionError, FetchSettings, FetchedPartition,
};
use kafka_sim::Release;
use kafka_wire::record::split;

use super::env::{Env, appended, fetch_once, plain};

/// Three partitions on one broker: topics whose only partition has the same leader.
async fn neighbours(env: &Env) -> Vec<FetchPartition> {
    let mut wanted: Vec<FetchPartition> = Vec::new();
    let mut leader = None;
    while wanted.len() < 3 {
        let topic = env.topic(1, &[]).await;
        let led = env.leader(&topic, 0).await.broker_id();
        if *leader.get_or_insert(led) == led {
            wanted.push(env.wanted(&topic, 0, 0).await);
        }
    }
    wanted
}

/// Partition, first offset and next offset of what came, in the order of the topics.
fn summary(
    wanted: &[FetchPartition],
    mut found: Vec<FetchedPartition>,
) -> Vec<(usize, Option<i64>)> {
    found.sort_by(|a, b| a.topic.cmp(&b.topic));
    found
        .into_iter()
        .map(|partition| {
            assert!(partition.error.is_ok(), "{partition:?}");
            let index = wanted.iter().position(|wanted| wanted.topic == partition.topic).unwrap();
            let last = split(partition.records).map(|batch| batch.unwrap().next_offset()).last();
            (index, last)
        })
        .collect()
}

pub(super) async fn session_asks_only_for_what_changed(env: &Env) {
    let mut wanted = neighbours(env).await;
    wanted.sort_by(|a, b| a.topic.cmp(&b.topic));
    let topics: Vec<_> = wanted.iter().map(|partition| partition.topic.clone()).collect();
    let connection = env.leader(&topics[0], 0).await;
    let settings = FetchSettings { max_wait_ms: 100, ..FetchSettings::default() };
    let mut session = FetchSession::new();
    appended(&env.produce(&topics[0], plain(&["a", "b"])).await);

    let found = fetch_once(&connection, &mut session, &settings, &wanted[..2]).await.unwrap();
    assert_eq!(summary(&wanted, found), [(0, Some(2)), (1, None)]);
    assert_eq!(session.is_incremental(), env.release >= Release::V1_1);
    wanted[0].offset = 2;
    if !session.is_incremental() {
        return;
    }
    let found = fetch_once(&connection, &mut session, &settings, &wanted[..2]).await.unwrap();
    assert_eq!(summary(&wanted, found), []);

    // One more partition, and news of one that was not named again.
    appended(&env.produce(&topics[1], plain(&["c"])).await);
    appended(&env.produce(&topics[2], plain(&["d", "e", "f"])).await);
    let (request, _) = session.clone().request(connection.versions(), &settings, &wanted);
    assert_eq!(request.topics.len(), 1, "only the new partition is named");
    let found = fetch_once(&connection, &mut session, &settings, &wanted).await.unwrap();
    let mut found = summary(&wanted, found);
    // The answer may leave without the partition whose news was not looked for again.
    wanted[2].offset = 3;
    if !found.iter().any(|(index, _)| *index == 1) {
        let more = fetch_once(&connection, &mut session, &settings, &wanted).await.unwrap();
        found.extend(summary(&wanted, more));
    }
    found.sort_unstable();
    assert_eq!(found, [(1, Some(1)), (2, Some(3))]);
    wanted[1].offset = 1;

    // One fewer: news of it must not come.
    appended(&env.produce(&topics[0], plain(&["g"])).await);
    appended(&env.produce(&topics[2], plain(&["h"])).await);
    let found = fetch_once(&connection, &mut session, &settings, &wanted[..2]).await.unwrap();
    assert_eq!(summary(&wanted, found), [(0, Some(3))]);
    assert!(session.is_incremental());
}

pub(super) async fn session_is_reset_when_out_of_step(env: &Env) {
    if env.release < Release::V1_1 {
        return;
    }
    let wanted = neighbours(env).await;
    let topic = wanted[0].topic.clone();
    appended(&env.produce(&topic, plain(&["a"])).await);
    let connection = env.leader(&topic, 0).await;
    let settings = FetchSettings { max_wait_ms: 100, ..FetchSettings::default() };
    let mut session = FetchSession::new();
    fetch_once(&connection, &mut session, &settings, &wanted).await.unwrap();
    // The same epoch twice, as if our answer had been lost and we had not noticed.
    let mut twin = session.clone();
    fetch_once(&connection, &mut twin, &settings, &wanted).await.unwrap();
    let error = fetch_once(&connection, &mut session, &settings, &wanted).await.unwrap_err();
    assert!(matches!(error, FetchSessionError::Reset { .. }), "{error}");
    let found = fetch_once(&connection, &mut session, &settings, &wanted).await.unwrap();
    assert_eq!(found.len(), 3, "a full fetch answers for every partition");
    assert!(session.is_incremental());
}
