//! A process that dies between any two writes leaves no ACL behind that it would not remove, and takes none of others with it.

use std::time::Duration;

use kafka_client::{Acl, AclOperation};
use kafka_sim::{Fault, FaultAction};
use kafka_wire::messages::ApiKey;
use tokio::time::timeout;

use super::world::{World, allow};

/// Longer than every look, shorter than for ever.
const LOOK: Duration = Duration::from_secs(60);

/// A task whose source has two ACLs, one of which the target has by somebody else; and a third of theirs.
fn world() -> (World, Vec<Acl>) {
    let world = World::new();
    let (both, theirs) = (allow(AclOperation::Read, "a"), allow(AclOperation::Write, "b"));
    world.source.add_acl(both.clone());
    world.source.add_acl(allow(AclOperation::Read, "b"));
    world.source.add_acl(allow(AclOperation::All, "b"));
    world.target.add_acl(both.clone());
    world.target.add_acl(theirs.clone());
    let foreign = vec![both, theirs];
    (world, foreign)
}

/// Runs until the end or until it is dead; whether it came to its end.
async fn run_or_die(world: &World) -> bool {
    timeout(LOOK, world.run()).await.is_ok()
}

/// After all that, the source loses its ACLs: the target keeps those of others, and no other.
async fn nothing_is_left(world: &World, foreign: &[Acl], what: &str) {
    world.journal.stop_at(None);
    world.target.clear_faults();
    for acl in world.source.acls() {
        world.source.remove_acl(&acl);
    }
    world.run().await;
    assert_eq!(world.target.acls(), foreign, "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_death_at_any_write_leaves_nothing_behind() {
    for durable in [false, true] {
        let mut ended = false;
        for write in 0.. {
            let (world, foreign) = world();
            world.journal.stop_at(Some((write, durable)));
            ended = run_or_die(&world).await;
            nothing_is_left(&world, &foreign, &format!("made: write {write}, {durable}")).await;
            if ended {
                assert!(write > 1);
                break;
            }
        }
        assert!(ended);
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_while_removing_leaves_nothing_behind() {
    for durable in [false, true] {
        for write in 0.. {
            let (world, foreign) = world();
            world.run().await;
            for acl in world.source.acls() {
                world.source.remove_acl(&acl);
            }
            world.journal.stop_at(Some((write, durable)));
            let ended = run_or_die(&world).await;
            nothing_is_left(&world, &foreign, &format!("removed: write {write}, {durable}")).await;
            if ended {
                assert!(write > 0);
                break;
            }
        }
    }
}

/// The request may be carried out or not, and nobody says so.
#[tokio::test(start_paused = true)]
async fn a_death_after_a_request_leaves_nothing_behind() {
    for action in [FaultAction::Hang, FaultAction::CutBefore, FaultAction::LoseAnswer] {
        for api in [ApiKey::CreateAcls, ApiKey::DeleteAcls] {
            let (world, foreign) = world();
            if api == ApiKey::DeleteAcls {
                world.run().await;
                for acl in world.source.acls() {
                    world.source.remove_acl(&acl);
                }
            }
            world.target.add_fault(Fault { times: 100, ..Fault::once(api, action) });
            // It gives up on the target by itself, or is dead before.
            let _ = timeout(Duration::from_secs(2), world.run()).await;
            nothing_is_left(&world, &foreign, &format!("{api:?} {action:?}")).await;
        }
    }
}

/// The same without a death: the answer is lost, and the next look finds what there is.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_forgets_nothing() {
    let (world, foreign) = world();
    let mut sync = world.start();
    let lost = Fault { times: 100, ..Fault::once(ApiKey::CreateAcls, FaultAction::LoseAnswer) };
    world.target.add_fault(lost);
    sync.initial().await.unwrap();
    assert!(world.target.acls().len() > foreign.len());
    world.target.clear_faults();
    for acl in world.source.acls() {
        world.source.remove_acl(&acl);
    }
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), foreign);
}
