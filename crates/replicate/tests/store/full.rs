//! A disk without space: the task ends and says what, where and the cure; with space it goes on as if nothing was.

use replicate::event::Event;
use replicate::journal::JournalError;
use replicate::task::TaskError;

use crate::copy::{CLOSING, World, in_runtime, op_count};
use crate::disk::{Disk, Rule};
use crate::step;

#[test]
fn a_full_disk_ends_the_task_with_the_cure_and_loses_nothing() {
    let count = op_count();
    for at in (0..count).step_by(step()) {
        in_runtime(async {
            let (world, disk) = (World::new(), Disk::new(Vec::new(), Rule::FullFrom(at)));
            let error = world.run(&disk).await.unwrap();
            if let Err(error) = error {
                check_error(at, &error);
                let events = std::mem::take(&mut *world.events.lock().unwrap());
                let told = events.iter().any(|event| matches!(event, Event::TaskFailed { .. }));
                assert!(told || events.is_empty(), "operation {at}: {events:?}");
            } else {
                // What closing the file would have written is not needed: the next opening repairs it.
                assert!(at + CLOSING >= count, "operation {at} of {count} was not noticed");
            }
            disk.set_rule(Rule::Never);
            let report = world.run(&disk).await.unwrap().unwrap();
            assert!(report.is_complete(), "operation {at}: {:#?}", world.events.lock().unwrap());
            world.check(&disk, &format!("full at operation {at} of {count}")).await;
        });
    }
}

fn check_error(at: usize, error: &TaskError) {
    let text = error.to_string();
    let TaskError::Journal(JournalError::Storage { .. } | JournalError::Open { .. }) = error else {
        panic!("operation {at}: {error:?}");
    };
    let cause = ["No space left on device", "Input/output error"];
    assert!(text.contains("state/task.redb"), "operation {at}: {text}");
    assert!(cause.iter().any(|cause| text.contains(cause)), "operation {at}: {text}");
    let cure = error.cure().unwrap();
    assert!(cure.contains("space"), "operation {at}: {cure}");
}
