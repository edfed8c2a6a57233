//! What the client and a cluster do together: each behaviour runs on the simulator and on real Kafka.
//!
//! So the two cannot drift apart: whatever a behaviour asserts was answered by real brokers, release by release. As
//! `behaviour::sim::NAME` it runs always, on every release that the simulator imitates; as
//! `behaviour::real::RELEASE::NAME` with the feature `real-kafka`.

mod env;
#[cfg(feature = "real-kafka")]
mod security;
#[cfg(feature = "real-kafka")]
mod shared;

mod acls;
mod configs;
mod fence;
mod fetch;
mod groups;
mod metadata;
mod offsets;
mod partitions;
mod records;
mod refused;
mod sequences;
mod session;
mod topics;

/// Makes one test per behaviour on the simulator, and one per behaviour and release on real Kafka.
macro_rules! behaviours {
    ($($module:ident :: $name:ident),* $(,)?) => {
        mod sim {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                for release in kafka_sim::Release::ALL {
                    eprintln!("simulated {release}");
                    let env = super::env::Env::simulated(release, stringify!($name));
                    super::$module::$name(&env).await;
                }
            })*
        }

        #[cfg(feature = "real-kafka")]
        mod real {
            behaviours!(@release v0_11, V0_11, V0_11_0_3, $($module::$name),*);
            behaviours!(@release v1_1, V1_1, V1_1_1, $($module::$name),*);
            behaviours!(@release v2_8, V2_8, V2_8_2, $($module::$name),*);
            behaviours!(@release v3_9, V3_9, V3_9_1, $($module::$name),*);
            behaviours!(@release v4_1, V4_1, V4_1_1, $($module::$name),*);
            behaviours!(@release v4_2, V4_2, V4_2_0, $($module::$name),*);
        }
    };
    (@release $version:ident, $simulated:ident, $real:ident, $($module:ident :: $name:ident),*) => {
        mod $version {
            $(#[tokio::test]
            async fn $name() {
                let cluster = super::super::shared::cluster(xtask::kafka::Release::$real);
                let release = kafka_sim::Release::$simulated;
                let env = super::super::env::Env::real(&cluster.bootstrap(), release, stringify!($name));
                super::super::$module::$name(&env).await;
                env.client.close().await;
            })*
        }
    };
}

behaviours!(
    acls::without_an_authorizer_acls_are_refused,
    configs::configs_are_read_and_changed,
    fence::a_marker_by_hand_fences_the_old_epoch,
    fence::empty_transaction_fences_the_old_epoch,
    fetch::diverging_epoch_shows_truncation,
    fetch::leader_epochs_are_checked,
    fetch::recreated_topic_is_noticed,
    groups::group_offsets_are_committed_and_read,
    groups::minus_one_makes_a_group_without_position,
    metadata::metadata_names_brokers_topics_and_leaders,
    metadata::unknown_topics_are_not_created,
    offsets::offsets_are_listed_by_time,
    partitions::partitions_grow,
    records::records_come_back_as_they_went,
    records::deleted_records_move_the_start,
    refused::refused_batches,
    refused::one_bad_partition_does_not_spoil_the_others,
    sequences::a_repeat_is_acknowledged_with_its_first_offset,
    sequences::a_gap_is_out_of_order,
    sequences::a_new_epoch_begins_at_zero,
    sequences::many_requests_keep_their_order,
    session::session_asks_only_for_what_changed,
    session::session_is_reset_when_out_of_step,
    topics::topics_are_created_and_deleted,
);
