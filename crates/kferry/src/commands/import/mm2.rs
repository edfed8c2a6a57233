//! What MirrorMaker 2 is told, as tasks.
//!
//! The defaults are those of Kafka 4.2 (`MirrorConnectorConfig`, `DefaultTopicFilter`, `DefaultGroupFilter`): what the file does not
//! say still holds, so the task says it.

use std::fmt::Write as _;

use replicate::spec::TopicPattern;

use super::Note;
use super::connection::connection;
use super::properties::Properties;

/// The topics that MirrorMaker 2 leaves out unless told otherwise. Internal ones (`__…`) are left out here anyway.
const EXCLUDED: [&str; 2] = [r"mm2.*\.internal", r".*\.replica"];

/// A task file, and what it does not say.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) yaml: String,
    pub(super) notes: Vec<Note>,
}

/// Settings that have nothing to do here, by how they end or begin, and why.
const NOT_NEEDED: [(&str, &str); 9] = [
    (
        "emit.heartbeats",
        "the progress and consumer group `kferry-NAME` on the source show that the copy lives",
    ),
    ("emit.checkpoints", "positions are translated exactly, without checkpoints"),
    ("refresh.groups", "new groups are seen within `group_interval`"),
    ("heartbeats.topic", "no topics are made for the copy's own use"),
    ("checkpoints.topic", "no topics are made for the copy's own use"),
    ("offset-syncs.topic", "no topics are made for the copy's own use"),
    ("storage.replication.factor", "no topics are made for the copy's own use"),
    ("producer.", "batches pass as they are; nothing is produced anew"),
    ("consumer.", "`buffer` says how much memory the copy may use"),
];

/// Converts the properties.
///
/// # Errors
/// What is missing, and the cure.
pub(super) fn convert(mut properties: Properties) -> Result<Converted, (String, &'static str)> {
    let Some((_, clusters, line)) = properties.take(&["clusters".to_owned()]) else {
        return Err((
            "it names no clusters".to_owned(),
            "give the file of `connect-mirror-maker.sh`: it has a line `clusters = …`; connector configurations in JSON are not read",
        ));
    };
    let clusters: Vec<&str> =
        clusters.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut notes = Vec::new();
    let mut tasks = String::new();
    for source in &clusters {
        for target in clusters.iter().filter(|target| *target != source) {
            if is_enabled(&mut properties, source, target) {
                let mut flow =
                    Flow { source, target, properties: &mut properties, notes: &mut notes };
                tasks.push_str(&flow.task()?);
            }
        }
    }
    if tasks.is_empty() {
        return Err((
            format!("line {line}: none of the ways between {} is enabled", clusters.join(", ")),
            "a line such as `a->b.enabled = true` enables the way from a to b",
        ));
    }
    tell_unused(&properties, &mut notes);
    notes.sort_by_key(|note| note.line);
    notes.dedup();
    Ok(Converted { yaml: format!("tasks:\n{tasks}"), notes })
}

fn is_enabled(properties: &mut Properties, source: &str, target: &str) -> bool {
    let found = properties.take(&[format!("{source}->{target}.enabled")]);
    found.is_some_and(|(_, value, _)| value.eq_ignore_ascii_case("true"))
}

fn tell_unused(properties: &Properties, notes: &mut Vec<Note>) {
    for (key, line) in properties.unused() {
        let why = NOT_NEEDED.iter().find(|(part, _)| key.contains(part));
        let why = why.map_or("has no counterpart here", |(_, why)| why);
        notes.push(Note { line: Some(line), text: format!("{key}: {why}") });
    }
}

/// The way from one cluster to another.
struct Flow<'a> {
    source: &'a str,
    target: &'a str,
    properties: &'a mut Properties,
    notes: &'a mut Vec<Note>,
}

impl Flow<'_> {
    /// What holds for this way, with its line: its own setting, or the one for all.
    fn take(&mut self, key: &str) -> Option<(String, usize)> {
        let keys = [format!("{}->{}.{key}", self.source, self.target), key.to_owned()];
        self.properties.take(&keys).map(|(_, value, line)| (value, line))
    }

    fn is_on(&mut self, key: &str, default: bool) -> (bool, Option<usize>) {
        match self.take(key) {
            Some((value, line)) => (value.eq_ignore_ascii_case("true"), Some(line)),
            None => (default, None),
        }
    }

    fn note(&mut self, line: Option<usize>, text: impl Into<String>) {
        self.notes.push(Note { line, text: text.into() });
    }

    fn task(&mut self) -> Result<String, (String, &'static str)> {
        let mut yaml = format!("- name: {}\n", task_name(self.source, self.target));
        for (role, cluster) in [("source", self.source), ("target", self.target)] {
            let Some(lines) = connection(cluster, self.properties, self.notes) else {
                return Err((
                    format!("cluster {cluster} has no addresses"),
                    "a line such as `NAME.bootstrap.servers = HOST:PORT` gives them",
                ));
            };
            _ = write!(yaml, "  {role}:\n    name: {}\n{lines}", quoted(cluster));
        }
        yaml.push_str(&self.selection());
        yaml.push_str(&self.names());
        yaml.push_str(&self.settings());
        Ok(yaml)
    }

    /// What travels.
    fn selection(&mut self) -> String {
        let (topics, exclude) = (self.patterns("topics"), self.patterns("topics.exclude"));
        let is_all = topics.is_empty() || topics == [".*"];
        let (with_offsets, line) = self.is_on("sync.group.offsets.enabled", false);
        for key in ["groups", "groups.exclude"] {
            if let Some((value, line)) = self.take(key).filter(|(value, _)| value != ".*") {
                self.note(
                    Some(line),
                    format!("{key} = {value}: all groups of the topics travel, or none"),
                );
            }
        }
        if with_offsets && is_all && exclude.is_empty() {
            self.note(
                line,
                format!(
                    "positions of groups travel with all topics only: {} are copied, too",
                    EXCLUDED.join(" and ")
                ),
            );
            return "  sync: metadata_data_offsets\n".to_owned();
        }
        if with_offsets {
            self.note(line, "positions of groups travel with all topics only: leave out topics, include and exclude and say `sync: metadata_data_offsets` to have them");
        }
        let mut yaml = String::new();
        if !is_all {
            _ = writeln!(yaml, "  include: {}", list(&topics));
        }
        let defaults = || EXCLUDED.map(str::to_owned).to_vec();
        let exclude = if exclude.is_empty() { defaults() } else { exclude };
        _ = writeln!(yaml, "  exclude: {}", list(&exclude));
        yaml
    }

    /// A list of expressions, without those that are read differently here.
    fn patterns(&mut self, key: &str) -> Vec<String> {
        let Some((value, line)) = self.take(key) else { return Vec::new() };
        let mut patterns = Vec::new();
        for pattern in value.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()) {
            match pattern.parse::<TopicPattern>() {
                Ok(_) => patterns.push(pattern.to_owned()),
                Err(error) => {
                    self.note(Some(line), format!("{key}: {pattern} is left out: {error}"));
                }
            }
        }
        patterns
    }

    /// What topics are called on the target.
    fn names(&mut self) -> String {
        let class = self.take("replication.policy.class");
        let separator = self.take("replication.policy.separator");
        match class {
            Some((class, _)) if class.ends_with("IdentityReplicationPolicy") => String::new(),
            Some((class, line)) if !class.ends_with("DefaultReplicationPolicy") => {
                self.note(Some(line), format!("{class} is not known: say under `rename` what topics are called on the target"));
                String::new()
            }
            _ => {
                let separator = separator.map_or_else(|| ".".to_owned(), |(value, _)| value);
                format!(
                    "  rename: {{prefix: {}}}\n",
                    quoted(&format!("{}{separator}", self.source))
                )
            }
        }
    }

    /// All other fields.
    fn settings(&mut self) -> String {
        let mut yaml = String::new();
        if self.is_on("sync.topic.configs.enabled", true).0 {
            yaml.push_str("  config_sync: follow\n");
        }
        match self.is_on("sync.topic.acls.enabled", true) {
            (true, Some(_)) => yaml.push_str("  acl_sync: topics\n"),
            (true, None) => {
                self.note(None, "MirrorMaker 2 copies ACLs of topics unless told otherwise: write acl_sync: topics if they are wanted");
            }
            (false, _) => {}
        }
        if let Some((_, line)) = self.take("replication.factor") {
            self.note(Some(line), "replication.factor: topics get the replicas that they have on the source, where the target has as many brokers");
        }
        let seconds = [
            ("refresh.topics.interval.seconds", "discovery_interval"),
            ("sync.topic.configs.interval.seconds", "metadata_interval"),
            ("sync.group.offsets.interval.seconds", "group_interval"),
        ];
        for (key, field) in seconds {
            match self.take(key).map(|(value, line)| (value.parse::<u64>(), line)) {
                Some((Ok(value), _)) if value > 0 => {
                    let least = if field == "metadata_interval" { 5 } else { 1 };
                    _ = writeln!(yaml, "  {field}: {}s", value.max(least));
                }
                Some((_, line)) => {
                    self.note(Some(line), format!("{key} is left out: it is no number of seconds"))
                }
                None => {}
            }
        }
        if let Some((value, _)) = self.take("tasks.max")
            && let Ok(count) = value.parse::<u32>()
        {
            _ = writeln!(yaml, "  concurrency: {}", count.max(1));
        }
        let resets = [
            format!("{}->{}.consumer.auto.offset.reset", self.source, self.target),
            format!("{}.consumer.auto.offset.reset", self.source),
            "consumer.auto.offset.reset".to_owned(),
        ];
        if let Some((_, value, _)) = self.properties.take(&resets)
            && value == "latest"
        {
            yaml.push_str("  start: latest\n");
        }
        yaml
    }
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A YAML string that nothing can be read into.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name that a task may have.
fn task_name(source: &str, target: &str) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let name = format!("{source}-to-{target}");
    name.chars().map(|char| if fits(char) { char } else { '-' }).take(64).collect()
}

#[cfg(test)]
mod tests;
