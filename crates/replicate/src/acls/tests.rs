//! What ACLs of the source are on the target.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::{Acl, AclOperation, AclPattern, AclPermission, AclResource};

use super::translate::{Desired, LeaveReason, Scope};
use crate::spec::{AclSync, AclWrite, Rename};

/// A task with three topics, of which the source has others as well.
struct World {
    sync: AclSync,
    write: AclWrite,
    rename: Rename,
    travelling: Vec<(&'static str, &'static str)>,
    visible: Vec<&'static str>,
}

impl World {
    fn new() -> Self {
        Self {
            sync: AclSync::All,
            write: AclWrite::Copy,
            rename: Rename::default(),
            travelling: vec![("a.1", "a.1"), ("a.2", "a.2"), ("b", "b")],
            visible: vec!["a.1", "a.2", "b"],
        }
    }

    fn prefixed() -> Self {
        Self {
            rename: Rename { prefix: "eu.".to_owned(), ..Rename::default() },
            travelling: vec![("a.1", "eu.a.1"), ("a.2", "eu.a.2"), ("b", "eu.b")],
            ..Self::new()
        }
    }

    fn suffixed() -> Self {
        Self {
            rename: Rename { suffix: "-x".to_owned(), ..Rename::default() },
            travelling: vec![("a.1", "a.1-x"), ("a.2", "a.2-x"), ("b", "b-x")],
            ..Self::new()
        }
    }

    fn of(&self, text: &str) -> Desired {
        let pairs = self.travelling.iter();
        let travelling: BTreeMap<_, _> =
            pairs.map(|(name, target)| ((*name).to_owned(), (*target).to_owned())).collect();
        let visible: BTreeSet<_> = self.visible.iter().map(|name| (*name).to_owned()).collect();
        let scope = Scope {
            sync: self.sync,
            write: self.write,
            rename: &self.rename,
            travelling: &travelling,
            visible: &visible,
        };
        Desired::of(&[acl(text)], &scope)
    }

    /// What the ACL is on the target.
    #[track_caller]
    fn check(&self, text: &str, expected: &[&str]) {
        let desired = self.of(text);
        let found: Vec<_> = desired.wanted.keys().map(short).collect();
        let mut expected: Vec<_> = expected.iter().map(|text| short(&acl(text))).collect();
        expected.sort_by_key(|text| acl(text));
        assert_eq!(found, expected, "{text}");
        assert!(desired.left_out.is_empty(), "{text}: {:?}", desired.left_out);
        let from = BTreeSet::from([acl(text)]);
        assert!(desired.wanted.values().all(|found| *found == from));
    }

    /// Why it is left out.
    #[track_caller]
    fn leaves(&self, text: &str, reason: LeaveReason) {
        let desired = self.of(text);
        assert!(desired.wanted.is_empty(), "{text}: {:?}", desired.wanted);
        let left: Vec<_> = desired.left_out.into_iter().collect();
        assert_eq!(left, [(reason, acl(text))]);
    }
}

/// `ALLOW READ topic a.1`, with `…` behind the name of a prefixed one.
fn acl(text: &str) -> Acl {
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap();
    let permission = match word() {
        "ALLOW" => AclPermission::Allow,
        _ => AclPermission::Deny,
    };
    let operation = word();
    let operation = (2..=99)
        .map(AclOperation::from_code)
        .find(|known| known.to_string() == operation)
        .unwrap_or(AclOperation::Other(99));
    let resource = match word() {
        "topic" => AclResource::Topic,
        "group" => AclResource::Group,
        "id" => AclResource::TransactionalId,
        _ => AclResource::Cluster,
    };
    let name = word();
    let (name, pattern) = match name.strip_suffix('…') {
        Some(prefix) => (prefix, AclPattern::Prefixed),
        None => (name, AclPattern::Literal),
    };
    let (name, host) = (name.to_owned(), "10.1.2.3".to_owned());
    let principal = "User:CN=alice,O=x".to_owned();
    Acl { resource, name, pattern, principal, host, operation, permission }
}

fn short(acl: &Acl) -> String {
    let resource = match acl.resource {
        AclResource::TransactionalId => "id".to_owned(),
        other => other.to_string(),
    };
    let end = if acl.pattern == AclPattern::Prefixed { "…" } else { "" };
    format!("{} {} {resource} {}{end}", acl.permission, acl.operation, acl.name)
}

#[test]
fn acls_of_topics_that_travel_travel() {
    let world = World::new();
    world.check("ALLOW READ topic a.1", &["ALLOW READ topic a.1"]);
    world.check("DENY ALL topic b", &["DENY ALL topic b"]);
    world.check("ALLOW READ topic elsewhere", &[]);
    world.check("ALLOW READ topic a", &[]);
    let world = World::prefixed();
    world.check("ALLOW READ topic a.1", &["ALLOW READ topic eu.a.1"]);
    World::suffixed().check("ALLOW READ topic a.1", &["ALLOW READ topic a.1-x"]);
}

#[test]
fn prefixes_travel_where_a_prefix_says_it() {
    World::new().check("ALLOW READ topic a.…", &["ALLOW READ topic a.…"]);
    World::prefixed().check("ALLOW READ topic a.…", &["ALLOW READ topic eu.a.…"]);
    World::new().check("ALLOW READ topic c…", &[]);
    World::suffixed().leaves("ALLOW READ topic a.…", LeaveReason::Renamed);
    let mut world = World::new();
    world.visible.push("a.3");
    world.leaves("ALLOW READ topic a.…", LeaveReason::Partly);
    world.check("ALLOW READ topic b…", &["ALLOW READ topic b…"]);
    let mut world = World::new();
    world.rename.replace = Some(("c".parse().unwrap(), "d".to_owned()));
    world.leaves("ALLOW READ topic a.…", LeaveReason::Renamed);
}

#[test]
fn a_prefix_is_not_what_single_names_say() {
    let mut world = World::new();
    world.rename.names = BTreeMap::from([("a.1".to_owned(), "z".to_owned())]);
    world.travelling[0].1 = "z";
    world.leaves("ALLOW READ topic a.…", LeaveReason::Renamed);
    world.check("ALLOW READ topic a.1", &["ALLOW READ topic z"]);
    world.check("DENY READ topic a.…", &["DENY READ topic z", "DENY READ topic a.2"]);
}

/// What a rule makes is no copy.
#[test]
fn acls_do_not_go_with_a_rule() {
    let rule = "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [{analyse: {mode: json}}]}}";
    let rule = etl::Rule::parse(rule).unwrap();
    let mut spec = crate::spec::TaskSpec::new("t".parse().unwrap());
    spec.transform = Some(crate::spec::Transform::new(crate::spec::TransformSpec {
        rule: etl::Compiled::new(&rule, &etl::Resources::new()).unwrap(),
        partitioning: crate::spec::Partitioning::Keep,
        compression: None,
        create_dead_letter_topic: false,
        registries: None,
        tables: Vec::new(),
    }));
    assert_eq!(spec.validate(), Ok(()));
    spec.acl_sync = AclSync::Topics;
    assert_eq!(spec.validate(), Err(crate::spec::SpecError::AclsNeedCopies));
}

/// It keeps the name that it got first.
#[test]
fn a_prefix_is_not_what_a_later_renaming_says() {
    let mut world = World::prefixed();
    world.travelling[0].1 = "a.1";
    world.leaves("ALLOW READ topic a.…", LeaveReason::Renamed);
    world.check("ALLOW READ topic b…", &["ALLOW READ topic eu.b…"]);
}

#[test]
fn all_names_are_allowed_behind_a_prefix_only() {
    World::new().leaves("ALLOW READ topic *", LeaveReason::Wildcard);
    World::prefixed().check("ALLOW READ topic *", &["ALLOW READ topic eu.…"]);
    World::suffixed().leaves("ALLOW READ topic *", LeaveReason::Renamed);
    World::new().leaves("ALLOW READ group *", LeaveReason::Wildcard);
    World::new().leaves("ALLOW WRITE id *", LeaveReason::Wildcard);
}

#[test]
fn what_is_denied_travels_always() {
    World::new().check("DENY READ topic *", &["DENY READ topic *"]);
    World::prefixed().check("DENY READ topic *", &["DENY READ topic eu.…"]);
    World::suffixed()
        .check("DENY READ topic a.…", &["DENY READ topic a.1-x", "DENY READ topic a.2-x"]);
    let mut world = World::new();
    world.visible.push("z");
    let each = ["DENY READ topic a.1", "DENY READ topic a.2", "DENY READ topic b"];
    world.check("DENY READ topic *", &each);
    world.write = AclWrite::Withhold;
    world.check("DENY WRITE topic b", &["DENY WRITE topic b"]);
    world.check("DENY ALL topic b", &["DENY ALL topic b"]);
    world.check("DENY READ group *", &["DENY READ group *"]);
}

#[test]
fn the_right_to_write_is_withheld() {
    let mut world = World::new();
    world.check("ALLOW WRITE topic b", &["ALLOW WRITE topic b"]);
    world.check("ALLOW ALL topic b", &["ALLOW ALL topic b"]);
    world.write = AclWrite::Withhold;
    for text in ["ALLOW WRITE topic b", "ALLOW WRITE topic a.…", "ALLOW WRITE topic *"] {
        world.check(text, &[]);
        assert_eq!(world.of(text).withheld, BTreeSet::from([acl(text)]));
    }
    let operations =
        ["READ", "CREATE", "DELETE", "ALTER", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"];
    let each = operations.map(|operation| format!("ALLOW {operation} topic a.…"));
    world.check("ALLOW ALL topic a.…", &each.each_ref().map(String::as_str));
    assert_eq!(world.of("ALLOW ALL topic a.…").withheld.len(), 1);
    // What does not travel anyway is not told as withheld.
    assert!(world.of("ALLOW WRITE topic elsewhere").withheld.is_empty());
    // Transactional ids are no records.
    world.check("ALLOW WRITE id x", &["ALLOW WRITE id x"]);
    world.check("ALLOW ALL group g", &["ALLOW ALL group g"]);
}

#[test]
fn groups_and_ids_travel_when_asked_for() {
    let mut world = World::prefixed();
    world.check("ALLOW READ group g", &["ALLOW READ group g"]);
    world.check("ALLOW READ group g…", &["ALLOW READ group g…"]);
    world.check("ALLOW WRITE id x…", &["ALLOW WRITE id x…"]);
    world.check("ALLOW ALTER cluster kafka-cluster", &[]);
    world.sync = AclSync::Topics;
    world.check("ALLOW READ group g", &[]);
    world.check("ALLOW WRITE id x", &[]);
    world.check("DENY READ group g", &[]);
    world.check("ALLOW READ group *", &[]);
}

#[test]
fn what_is_not_known_is_left_out() {
    World::new().leaves("ALLOW SOMETHING topic a.1", LeaveReason::Unknown);
    World::new().leaves("DENY SOMETHING group g", LeaveReason::Unknown);
}
