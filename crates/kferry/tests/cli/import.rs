//! `kferry import`.

use super::support::{kferry, write};

#[test]
fn a_mirror_maker_file_becomes_a_task_file_without_mistakes() {
    let directory = tempfile::tempdir().unwrap();
    let text = "clusters = old, new\nold.bootstrap.servers = h1:9092\nnew.bootstrap.servers = h2:9092, h3:9092\n\
        old->new.enabled = true\nold->new.topics = orders.*, it's\nnew->old.enabled = true\nnew->old.sync.group.offsets.enabled = true\n\
        new.security.protocol = SSL\nheartbeats.topic.replication.factor = 1\n";
    let path = write(directory.path(), "mm2.properties", text);
    let ran = kferry(&["import", "mm2", &path]);
    ran.expect(
        0,
        &[
            "- name: old-to-new",
            "include: ['orders.*', 'it''s']",
            "- name: new-to-old",
            "metadata_data_offsets",
            "mm2.properties:9: heartbeats.topic.replication.factor: no topics are made",
        ],
    );
    assert!(!ran.stdout.contains("mm2.properties:9"), "notes are no part of the file");
    let tasks = write(directory.path(), "tasks.yaml", &ran.stdout);
    kferry(&["sync", "-f", &tasks, "--check"]).expect(0, &["2 tasks: nothing wrong"]);
}

#[test]
fn what_is_no_mirror_maker_file_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "x.properties", "a = \\uZZ\n");
    kferry(&["import", "mm2", &path]).expect(2, &["x.properties:1:", "cure:"]);
    let path = write(directory.path(), "y.properties", "name = connector\n");
    kferry(&["import", "mm2", &path]).expect(2, &["names no clusters", "cure:"]);
    kferry(&["import", "mm2", "nowhere"]).expect(1, &["cannot read nowhere", "cure:"]);
    kferry(&["import", "mm1", &path]).expect(2, &["mm2"]);
}
