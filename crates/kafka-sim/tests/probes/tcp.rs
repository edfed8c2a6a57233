//! The same cluster on loopback TCP.

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::metadata_request::MetadataRequest;
use kafka_wire::{ErrorCode, Uuid};
use tokio::net::TcpStream;

use crate::wire::{FetchOptions, Wire, batch};

async fn connect(address: &str) -> Wire {
    let stream = TcpStream::connect(address).await.unwrap();
    Wire::over(Box::new(stream), Release::V4_2)
}

#[tokio::test]
async fn tcp_clients_are_told_tcp_addresses() {
    let cluster = Cluster::new(ClusterConfig { brokers: 2, ..ClusterConfig::default() });
    cluster.create_topic("t", 2, &[]).unwrap();
    let listening = cluster.listen().await.unwrap();
    let addresses: Vec<String> = listening.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(listening.bootstrap(), addresses.join(","));
    let mut wire = connect(&addresses[0]).await;
    let metadata = wire.call(12, MetadataRequest::default().with_topics(None)).await;
    let told: Vec<String> = metadata
        .brokers
        .iter()
        .map(|broker| format!("{}:{}", broker.host.as_str(), broker.port))
        .collect();
    assert_eq!(told, addresses);
    let memory = Wire::to(&cluster).await.call(12, MetadataRequest::default()).await;
    assert_eq!(memory.brokers[0].host.as_str(), cluster.bootstrap()[0].host);

    let leader = cluster.leader("t", 1).unwrap();
    let mut wire = connect(&addresses[usize::try_from(leader - 1).unwrap()]).await;
    assert_eq!(wire.produce("t", 1, batch(2)).await, (ErrorCode::NONE, 0));
}

#[tokio::test]
async fn large_batches_pass_through_tcp() {
    let cluster = Cluster::new(ClusterConfig::default());
    cluster.create_topic("t", 1, &[("max.message.bytes", "20000000")]).unwrap();
    let listening = cluster.listen().await.unwrap();
    let mut wire = connect(&listening.bootstrap()).await;
    let mut records = crate::wire::records(200);
    records.iter_mut().for_each(|record| record.value = Some(vec![7; 50_000].into()));
    let sent = kafka_wire::record::encode_batch(&Default::default(), &records).unwrap();
    assert_eq!(wire.produce("t", 0, sent.clone()).await, (ErrorCode::NONE, 0));
    let options =
        FetchOptions { version: Some(12), bytes_max: 50 << 20, ..FetchOptions::default() };
    let read = wire.fetch("t", Uuid::nil(), 0, options).await.records.unwrap();
    assert_eq!(read[61..], sent[61..]);
}

#[tokio::test]
async fn a_killed_broker_resets_its_connections() {
    let cluster = Cluster::new(ClusterConfig::default());
    let listening = cluster.listen().await.unwrap();
    let mut wire = connect(&listening.bootstrap()).await;
    wire.call(12, MetadataRequest::default()).await;
    cluster.kill_broker(1);
    assert!(wire.frame().await.is_none());
    let mut refused = connect(&listening.bootstrap()).await;
    assert!(refused.frame().await.is_none());
    cluster.start_broker(1);
    let mut wire = connect(&listening.bootstrap()).await;
    wire.call(12, MetadataRequest::default()).await;
}
