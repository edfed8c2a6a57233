//! What can be wrong in a task file, and what is right.

use std::path::Path;

use clap::Parser as _;
use replicate::spec::{StartPosition, SyncMode, TaskSpec, TopicSelection};

use super::{TaskSetup, read, schema, tasks};
use crate::{
    cli::{Cli, Command},
    failure::Failure,
};

/// The text of a secret that a file holds by mistake: no message may have it.
const SECRET: &str = "hunter2";

fn parse(text: &str) -> Result<Vec<TaskSetup>, Failure> {
    let env = |name: &str| (name == "SET").then(|| format!("{SECRET}!"));
    read::parse(Path::new("dir/t.yaml"), text, &env)
}

/// Both ends, then `rest`.
fn task(rest: &str) -> String {
    format!("source: a:1\ntarget: b:1\n{rest}\n")
}

fn command_line(rest: &str) -> Result<TaskSpec, String> {
    let line = format!("kferry sync --source a:1 --target b:1 {rest}");
    match Cli::try_parse_from(line.split_whitespace()).unwrap().command {
        Command::Sync(args) => tasks(&args.task)
            .map(|mut setups| setups.remove(0).spec)
            .map_err(|failure| failure.to_string()),
        _ => panic!("not a sync"),
    }
}

/// The file, its place in `dir/t.yaml` (`None` where no line is at fault), and what the message and the cure must hold.
struct Case(String, Option<&'static str>, &'static str, &'static str);

fn case(
    text: impl Into<String>,
    at: &'static str,
    message: &'static str,
    cure: &'static str,
) -> Case {
    Case(text.into(), Some(at), message, cure)
}

fn names_and_words() -> Vec<Case> {
    vec![
        case(task("topcis: a"), "3:1", "unknown field `topcis`\n", "did you mean topics?"),
        case(task("max-bytes-per-second: 1MB"), "3:1", "unknown field", "max_bytes_per_second?"),
        case(task("colour: red"), "3:1", "unknown field `colour`", "known here: "),
        case("taks: []", "1:1", "unknown field `taks`", "did you mean tasks?"),
        case(task("topics: a\ntopics: b"), "4:1", "duplicate", "once"),
        case(task(&format!("name: {}", "x".repeat(65))), "3:7", "65", "up to 64"),
        case(task("name: a/b"), "3:7", "character 2 is '/'", "letters, digits"),
        case(task("name: ''"), "3:7", "this one has 0", "letters, digits"),
        case(task("name: {a: b}"), "3:7", "expected", "docs/task.md"),
        case(task("sync: metdata"), "3:7", "none of metadata, ", "did you mean metadata?"),
        case(task("sync: everything"), "3:7", "none of metadata, ", "known here: "),
        case(task("config_sync: folow"), "3:14", "none of once, follow", "did you mean follow?"),
        case(task("acl_sync: topic"), "3:11", "none of none, topics, all", "did you mean topics?"),
        case(task("acl_write: yes"), "3:12", "none of withhold, copy", "known here: withhold"),
        case(task("on_truncation: skip"), "3:16", "none of stop, continue", "known here: stop"),
        case(task("on_refused_record: skp"), "3:20", "none of stop, skip", "did you mean skip?"),
        case(task("on_unknown_target: adapt"), "3:20", "none of stop", "did you mean adopt?"),
        case(task("on_retention: never"), "3:15", "none of stop, continue", "stop, continue"),
        case(task("on_recreated: [stop]"), "3:15", "expected", "docs/task.md"),
    ]
}

fn values() -> Vec<Case> {
    vec![
        case(task("topics: 'ab(c'"), "3:9", "at character 3", "mend the expression"),
        case(task("topics: '[z-a]'"), "3:9", "at character 2", "mend the expression"),
        case(task("include: ['ab(c']"), "3:11", "at character 3", "mend the expression"),
        case(task("exclude: [a, '*']"), "3:14", "at character 1", "mend the expression"),
        case(task("exclude: a"), "3:10", "expected", "docs/task.md"),
        case(task("rename: {prefix: 'a/'}"), "3:18", "has '/'", "letters, digits"),
        case(task("rename: {sufix: a}"), "3:10", "unknown field `sufix`", "did you mean suffix?"),
        case(task("rename: {match: '(a)'}"), "3:17", "go together", "write both"),
        case(task("rename: {to: a}"), "3:14", "go together", "write both"),
        case(task("rename: {match: '(a', to: b}"), "3:17", "at character 1", "mend"),
        case(task("rename: {match: '(a)', to: '$1x'}"), "3:28", "names the group \"1x\"", "${1}"),
        case(task("sync: metadata\nexclude: [a]"), "4:11", "metadata_data", "leave topics"),
        case(task("start: soon"), "3:8", "2025-01-31T14:00:00Z", "leave start out"),
        case(task("start: -5"), "3:8", "before 1970", "leave start out"),
        case(task("same_partition: perhaps"), "3:17", "invalid boolean", "docs/task.md"),
        case(task("once: 3"), "3:7", "invalid boolean", "docs/task.md"),
        case(task("max_bytes_per_second: lots"), "3:23", "expected a size", "20MB"),
        case(task("max_bytes_per_second: 0"), "3:23", "above 0", "20MB"),
        case(task("max_bytes_per_second: -1MB"), "3:23", "expected a size", "20MB"),
        case(task("max_records_per_second: 0"), "3:25", "zero", "above 0"),
        case(task("max_records_per_second: 1.5"), "3:25", "invalid digit", "above 0"),
        case(task("buffer: 32 elephants"), "3:9", "expected a size", "64MiB"),
        case(task("concurrency: 0"), "3:14", "zero", "above 0"),
        case(task("concurrency: many"), "3:14", "invalid digit", "above 0"),
        case(task("request_lifetime: 2h"), "3:19", "up to 1h", "30s"),
        case(task("request_lifetime: ages"), "3:19", "expected a duration", "30s"),
        case(task("metadata_interval: 0s"), "3:20", "at least 5 s", "leave it out for 3m"),
        case(task("metadata_interval: 5 parsecs"), "3:20", "expected a duration", "24h"),
        case(task("discovery_interval: 0"), "3:21", "above 0", "leave it out for 10s"),
        case(task("group_interval: 100ms"), "3:17", "at least 500 ms", "leave it out for 2s"),
        case(task("group_keep_alive: 0"), "3:19", "at least 1 min", "leave it out for 24h"),
        case(task("group_keep_alive: -1h"), "3:19", "expected a duration", "24h"),
        case(task("state: ''"), "3:8", "the path is empty", "kferry-state/NAME"),
    ]
}

fn what_does_not_go_together() -> Vec<Case> {
    vec![
        case(task("sync: metadata_data_offsets\ntopics: a"), "4:9", "all topics", "leave topics, "),
        case(task("topics: a\nsync: metadata"), "3:9", "metadata_data", "leave topics, "),
        case(task("sync: metadata\nstart: latest"), "4:8", "none are copied", "leave start out"),
        case(task("sync: metadata\nstart: earliest"), "4:8", "none are copied", "leave start out"),
        case("source: a:1\ntarget: c:1,a:1\n", "2:9", "both name a:1", "two different clusters"),
        case("tasks: []", "1:8", "is empty", "at least one"),
        case("tasks: {a: b}", "1:8", "expected", "docs/task.md"),
        case(
            "tasks:\n- {name: x, source: 'a:1', target: 'b:1'}\n- {name: x, source: 'a:1', target: 'c:1'}\n",
            "3:10",
            "two tasks are named x: the other one is on line 2",
            "name of its own",
        ),
        case(
            "tasks:\n- {source: 'a:1', target: 'b:1'}\n- {source: 'a:1', target: 'c:1'}\n",
            "3:3",
            "two tasks are named sync",
            "name of its own",
        ),
        case(
            "tasks:\n- {name: x, state: s, source: 'a:1', target: 'b:1'}\n- {name: y, state: s, source: 'a:1', target: 'c:1'}\n",
            "3:20",
            "is the state of task x already",
            "directory of its own",
        ),
        case(
            "tasks:\n- {buffer: 8MiB, source: 'a:1', target: 'b:1'}\n",
            "2:12",
            "share one buffer",
            "beside tasks",
        ),
        case(
            "buffer: none\ntasks:\n- {source: 'a:1', target: 'b:1'}\n",
            "1:9",
            "expected a size",
            "64MiB",
        ),
        case(
            "name: x\ntasks:\n- {source: 'a:1', target: 'b:1'}\n",
            "1:1",
            "unknown field `name`",
            "tasks",
        ),
    ]
}

fn ends() -> Vec<Case> {
    vec![
        case("source: a:1\n", "1:1", "missing field `target`", "docs/task.md"),
        case("source: a\ntarget: b:1\n", "1:9", "no port", "HOST:PORT"),
        case(
            "source: 9092\ntarget: b:1\n",
            "1:9",
            "neither addresses nor a connection",
            "HOST:PORT",
        ),
        case("source: none.yaml\ntarget: b:1\n", "1:9", "dir/none.yaml", "where the task file is"),
        case("source: {bootstrap: []}\ntarget: b:1\n", "1:21", "is empty", "HOST:PORT"),
        case(
            "source: {bootstrp: [a:1]}\ntarget: b:1\n",
            "1:10",
            "unknown field `bootstrp`",
            "did you mean bootstrap?",
        ),
        case(
            "source: {name: a}\ntarget: b:1\n",
            "1:10",
            "missing field `bootstrap`",
            "docs/task.md",
        ),
        case(
            "source: {name: ' ', bootstrap: [a:1]}\ntarget: b:1\n",
            "1:16",
            "the name is empty",
            "give it a name",
        ),
        case(
            "source: {kind: far, bootstrap: [a:1]}\ntarget: b:1\n",
            "1:16",
            "far",
            "known here: direct",
        ),
        case(
            "source: {bootstrap: [a:1], tls: {ca: no.pem}}\ntarget: b:1\n",
            "1:38",
            "dir/no.pem",
            "readable",
        ),
        case("source: {bootstrap: [a:1], tls: {cert: c.pem}}\ntarget: b:1\n", "1:40", "key", "key"),
        case(
            "source: {bootstrap: [a:1], tls: {key: c.pem}}\ntarget: b:1\n",
            "1:39",
            "cert",
            "cert",
        ),
        case(
            "source: {bootstrap: [a:1], tls: {server_name: ''}}\ntarget: b:1\n",
            "1:47",
            "empty",
            "server_name",
        ),
        case(
            "source: a:1\ntarget:\n  kind: cross_network\n  bootstrap: [b:1]\n",
            "3:9",
            "can only be a source",
            "kind direct",
        ),
    ]
}

fn secrets() -> Vec<Case> {
    let sasl = |rest: &str| {
        format!(
            "target: b:1\nsource:\n  bootstrap: [a:1]\n  sasl:\n    mechanism: PLAIN\n    username: me\n    {rest}\n"
        )
    };
    let literal = "the password itself must not stand";
    vec![
        case(sasl("password: hunter2"), "7:15", literal, "{env: VARIABLE}"),
        case(sasl("password: \"hunter2\""), "7:15", literal, "{env: VARIABLE}"),
        case(sasl("password: [hunter2]"), "7:15", literal, "{env: VARIABLE}"),
        case(sasl("pasword: hunter2"), "7:5", "unknown field `pasword`", "did you mean password?"),
        case(sasl("password: {env: UNSET}"), "7:15", "UNSET", "export UNSET"),
        case(sasl("password: {file: none}"), "7:15", "dir/none", "readable"),
        case(sasl("password: {value: hunter2}"), "7:15", "exactly one source", "{env: VARIABLE}"),
        case(
            "source: {bootstrap: [a:1], sasl: {mechanism: DIGEST, username: me, password: {env: SET}}}\ntarget: b:1\n",
            "1:46",
            "DIGEST",
            "SCRAM-SHA-512",
        ),
        case(
            "source: {bootstrap: [a:1], sasl: {mechanism: PLAIN, username: '', password: {env: SET}}}\ntarget: b:1\n",
            "1:63",
            "user name is empty",
            "username",
        ),
        case(
            "source: {bootstrap: [a:1], sasl: {mechanism: PLAIN, username: me, password: hunter2}}\ntarget: b:1\n",
            "1:77",
            literal,
            "{env: VARIABLE}",
        ),
        case(task("password: hunter2"), "3:1", "unknown field `password`", "known here"),
        case("source: [a:1\ntarget: b", "2:7", "illegal placement", "docs/task.md"),
        case("", "", "", "docs/task.md"),
        case("- source: a:1\n", "1:1", "expected", "docs/task.md"),
    ]
}

#[test]
fn everything_wrong_has_its_place_cause_and_cure() {
    let mut wrong = Vec::new();
    let cases = [names_and_words(), values(), what_does_not_go_together(), ends(), secrets()];
    for Case(text, at, message, cure) in cases.into_iter().flatten() {
        let Err(failure) = parse(&text) else {
            wrong.push(format!("{text}\n--- is taken"));
            continue;
        };
        let told = failure.to_string();
        let (before, after) = told.rsplit_once("\n  cure: ").unwrap_or((&told, ""));
        let place = at.filter(|at| !at.is_empty()).map(|at| format!("dir/t.yaml:{at}: "));
        let is_right = before.starts_with(place.as_deref().unwrap_or("dir/t.yaml"))
            && before.contains(message)
            && (at == Some("") || before.contains("\n    | ") && before.ends_with('^'))
            && after.contains(cure)
            && !after.is_empty()
            && !told.contains(SECRET);
        if !is_right {
            wrong.push(format!("{text}--- wanted {at:?} {message:?} {cure:?}, found\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n=====\n"), wrong.len());
}

#[test]
fn what_is_not_said_is_as_on_the_command_line() {
    let setups = parse(&task("")).unwrap();
    assert_eq!(setups[0].spec, command_line("").unwrap());
    assert_eq!(setups[0].state, Path::new("kferry-state/sync"));
    // The defaults that the schema names are those that hold.
    let schema = schema();
    let fields = schema["$defs"]["Task"]["properties"].as_object().unwrap();
    let lines: Vec<_> = fields
        .iter()
        .filter_map(|(name, field)| Some(format!("{name}: {}\n", field.get("default")?)))
        .collect();
    assert!(lines.len() > 15, "{lines:?}");
    assert_eq!(parse(&task(&lines.concat())).unwrap()[0].spec, setups[0].spec);
}

#[test]
fn every_setting_means_what_it_means_on_the_command_line() {
    let settings = [
        ("name", "eu"),
        ("sync", "metadata_data"),
        ("topics", "orders.*"),
        ("start", "2025-01-31T00:00:00Z"),
        ("same_partition", "false"),
        ("config_sync", "follow"),
        ("acl_sync", "all"),
        ("acl_write", "copy"),
        ("on_refused_record", "skip"),
        ("on_retention", "stop"),
        ("on_truncation", "continue"),
        ("on_recreated", "continue"),
        ("on_unknown_target", "adopt"),
        ("max_bytes_per_second", "20MB"),
        ("max_records_per_second", "1000"),
        ("merge_batches", "false"),
        ("buffer", "64MiB"),
        ("concurrency", "3"),
        ("request_lifetime", "5m"),
        ("metadata_interval", "10s"),
        ("discovery_interval", "700ms"),
        ("group_interval", "1s"),
        ("group_keep_alive", "1h"),
        ("position_group", "false"),
    ];
    let lines: String = settings.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let lines = format!(
        "{lines}include: [x.*, y]\nexclude: [z]\n\
         rename: {{prefix: p., suffix: -s, match: '(a)b', to: 'c${{1}}'}}\n"
    );
    let mut flags: Vec<_> = settings
        .iter()
        .map(|(name, value)| format!("--{} {value}", name.replace('_', "-")))
        .collect();
    flags.push(
        "--include x.* --include y --exclude z --rename-prefix p. --rename-suffix=-s --rename-match (a)b --rename-to c${1}"
            .to_owned(),
    );
    let setups = parse(&task(&format!("{lines}state: s\nonce: true"))).unwrap();
    let mut expected = command_line(&flags.join(" ")).unwrap();
    expected.once = true;
    assert_eq!(setups[0].spec, expected);
    assert_ne!(setups[0].spec.limits, command_line("").unwrap().limits);
    assert_eq!(setups[0].state, Path::new("dir/s"));
    assert!(!setups[0].has_position_group && parse(&task("")).unwrap()[0].has_position_group);
    // Nothing that there is was left out above.
    let schema = schema();
    let known = schema["$defs"]["Task"]["properties"].as_object().unwrap();
    let others = ["source", "target", "once", "state", "include", "exclude", "rename", "process"];
    assert_eq!(known.len(), settings.len() + others.len(), "{known:?}");
}

#[test]
fn the_command_line_has_no_setting_that_a_file_lacks() {
    use clap::CommandFactory as _;
    let schema = schema();
    let known = schema["$defs"]["Task"]["properties"].as_object().unwrap();
    let renames = schema["$defs"]["Rename"]["properties"].as_object().unwrap();
    let command = Cli::command();
    let sync = command.find_subcommand("sync").unwrap();
    let names: Vec<_> = sync.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    // What is the process's and no task's.
    let others = ["file", "check", "output", "metrics"];
    for name in names.iter().filter(|name| !others.contains(name)) {
        let is_known = match name.strip_prefix("rename_") {
            Some(name) => renames.contains_key(name),
            None => known.contains_key(*name),
        };
        assert!(is_known, "no field {name}");
    }
    // `rename` is four options, `process` none.
    assert_eq!(names.len(), known.len() - 1 + renames.len() - 1 + others.len());
}

#[test]
fn tasks_of_a_list_have_their_own_pace_and_one_buffer() {
    let setups = parse(
        "buffer: 8MiB\ntasks:\n\
         - {name: a, source: 'a:1', target: 'b:1', max_bytes_per_second: 1MB}\n\
         - name: b\n  source: {name: eu, bootstrap: ['c:1'], sasl: {mechanism: PLAIN, username: me, password: {env: SET}}}\n  \
           target: {bootstrap: ['d:1'], group_auto_create: false}\n  topics: 'x.*'\n",
    )
    .unwrap();
    let [a, b] = setups.as_slice() else { panic!("{setups:?}") };
    assert_eq!((a.spec.name.as_str(), b.spec.name.as_str()), ("a", "b"));
    for setup in &setups {
        assert_eq!(setup.spec.limits.in_flight_bytes_max, 8 << 20);
    }
    assert!(a.spec.limits.rate.bytes_per_second.is_some());
    assert!(b.spec.limits.rate.bytes_per_second.is_none());
    assert_eq!((b.source.config.name.as_str(), b.target.config.name.as_str()), ("eu", "target"));
    assert!(a.spec.group_auto_create && !b.spec.group_auto_create);
    assert!(!format!("{setups:?}").contains(SECRET));
    assert_ne!(a.state, b.state);
}

#[test]
fn connection_files_are_found_beside_the_task_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.yaml");
    std::fs::write(directory.path().join("c.yaml"), "kind: cross_network\nbootstrap: [far:1]\n")
        .unwrap();
    let read = |text: &str| read::parse(&path, text, &|_| None);
    let setups = read("source: c.yaml\ntarget: b:1\n").unwrap();
    assert_eq!(setups[0].source.config.bootstrap[0].to_string(), "far:1");
    let error = read("source: b:1\ntarget: c.yaml\n").unwrap_err().to_string();
    assert!(error.contains("t.yaml:2:9: target: a connection of kind cross_network"), "{error}");
    std::fs::write(directory.path().join("c.yaml"), "bootstrap: [far]\n").unwrap();
    let error = read("source: c.yaml\ntarget: b:1\n").unwrap_err().to_string();
    assert!(error.contains("c.yaml:1:13") && error.contains("cure:"), "{error}");
}

#[test]
fn what_does_not_go_together_on_a_command_line() {
    let spec = command_line("--topics a|b --same-partition false --start 5").unwrap();
    assert!(spec.topics.matches("a") && !spec.topics.matches("ab"));
    assert_eq!((spec.same_partition, spec.start), (false, StartPosition::Timestamp(5)));
    let spec = command_line("--sync metadata_data_offsets").unwrap();
    assert_eq!((spec.sync, spec.topics), (SyncMode::MetadataDataOffsets, TopicSelection::All));
    for (line, expected) in [
        ("--sync metadata_data_offsets --topics a", "all topics"),
        ("--sync metadata --topics a", "metadata_data"),
        ("--sync metadata --start latest", "none are copied"),
        ("--metadata-interval 1s", "at least 5 s"),
    ] {
        let error = command_line(line).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
}

/// The rows of one table of the page.
fn rows(object: &serde_json::Value) -> String {
    use std::fmt::Write as _;
    let mut rows = String::from("| field | meaning | default |\n| --- | --- | --- |\n");
    let required = object["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in object["properties"].as_object().unwrap() {
        let default = match field.get("default") {
            Some(serde_json::Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
            None if required.contains(&name.as_str().into()) => "required".to_owned(),
            None => "none".to_owned(),
        };
        let meaning = field["description"].as_str().unwrap();
        let words = field["enum"].as_array().map(|words| {
            let words: Vec<_> =
                words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
            format!(" One of {}.", words.join(", "))
        });
        writeln!(rows, "| `{name}` | {meaning}{} | {default} |", words.unwrap_or_default())
            .unwrap();
    }
    rows
}

#[test]
fn the_page_has_every_field_of_the_schema() {
    const PAGE: &str = include_str!("../../../../../docs/task.md");
    const RULES_PAGE: &str = include_str!("../../../../../docs/etl.md");
    let schema = schema();
    for name in [
        "Task",
        "Process",
        "TableTopic",
        "Rename",
        "Tasks",
        "Connection",
        "Tls",
        "Sasl",
        "Password",
        "Registries",
        "Registry",
    ] {
        let rows = rows(&schema["$defs"][name]);
        assert!(PAGE.contains(&rows), "docs/task.md lacks the table of {name}:\n{rows}");
    }
    let examples = |page: &'static str| {
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap())
    };
    let tasks = examples(RULES_PAGE).filter(|example| example.contains("\n  tables:"));
    let examples = examples(PAGE).chain(tasks);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("source.yaml"), "bootstrap: [far:1]\n").unwrap();
    std::fs::write(directory.path().join("ca.pem"), "").unwrap();
    let rule = "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [{analyse: {mode: json}}]}}";
    std::fs::write(directory.path().join("rule.yaml"), rule).unwrap();
    std::fs::write(directory.path().join("decode.yaml"), DECODES).unwrap();
    std::fs::write(directory.path().join("registry.password"), SECRET).unwrap();
    let rule = "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json}}, {kind: lookup, table: users, key: user, fields: [name]}]}}";
    std::fs::write(directory.path().join("lookup.yaml"), rule).unwrap();
    let mut count = 0;
    for example in examples {
        let env = |name: &str| (name == "KFERRY_PASSWORD").then(|| SECRET.to_owned());
        read::parse(&directory.path().join("t.yaml"), example, &env)
            .unwrap_or_else(|error| panic!("{error}\n{example}"));
        count += 1;
    }
    assert!(count >= 5);
}

const DECODES: &str = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: avro}]}}";

/// Registries: what is wrong with them, and with rules that need other ones.
#[test]
fn registries_and_what_rules_need_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.yaml");
    let file = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    file("decode.yaml", DECODES);
    file(
        "avro.yaml",
        "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json}}], output: {format: avro, subject: s}}}",
    );
    file(
        "translate.yaml",
        "{apiVersion: etl/v1, spec: {output: {format: original, translate_schema_id: true}}}",
    );
    file("password", SECRET);
    file("r.avsc", r#""long""#);
    let read = |rule: &str, more: &str| {
        let text = format!(
            "source: a:1\ntarget: b:1\nprocess:\n  rule: {rule}.yaml\n  topics: {{a: b}}\n{more}"
        );
        let env = |name: &str| (name == "SET").then(|| SECRET.to_owned());
        read::parse(&path, &text, &env)
    };
    let source = |more: &str| format!("  registries:\n    source: {{url: 'http://r:1'{more}}}\n");
    let both = "  registries:\n    source: {url: 'https://r', username: me, password: {file: password}}\n    target: {url: 'http://[::1]:8081/x', token: {env: SET}}\n";
    for (rule, more) in [
        ("decode", source("")),
        ("decode", "  schemas: {1: r.avsc}\n".to_owned()),
        ("decode", both.to_owned()),
        ("avro", both.to_owned()),
        ("translate", both.to_owned()),
    ] {
        let setups = read(rule, &more).unwrap_or_else(|error| panic!("{rule} {more}: {error}"));
        assert!(!format!("{setups:?}").contains(SECRET));
    }
    let url = |url: &str| format!("  registries:\n    source: {{url: '{url}'}}\n");
    let no_source = "4:9: rule: it decodes AVRO and needs the schema registry of the source";
    let wrong = [
        ("decode", String::new(), no_source, "process.registries.source.url, or the files"),
        (
            "avro",
            source(""),
            "4:9: rule: it writes with the schema of the subject s and needs the schema registry of the target",
            "process.registries.target.url",
        ),
        (
            "translate",
            source(""),
            "4:9: rule: it translates schema ids and needs",
            "process.registries.target.url",
        ),
        ("decode", url("r:8081"), "7:19: url: it does not begin with", "http://HOST:PORT"),
        (
            "decode",
            url("http://me:hunter2@r"),
            "7:19: url: user and password do not belong",
            "beside it",
        ),
        ("decode", url("ftp://r"), "7:19: url: it is neither http nor https", "http://HOST:PORT"),
        ("decode", source(", username: me"), "username needs password", "add password"),
        ("decode", source(", password: {env: SET}"), "password needs username", "add username"),
        ("decode", source(", username: 'a:b', password: {env: SET}"), "it has a colon", "correct"),
        ("decode", source(", token: {env: SET}, username: me"), "in place of user", "leave out"),
        ("decode", source(", token: {env: UNSET}"), "UNSET", "export UNSET"),
        (
            "decode",
            source(", password: hunter2, username: me"),
            "must not stand",
            "{env: VARIABLE}",
        ),
        ("decode", source(", tls: {ca: none.pem}"), "none.pem", "readable file"),
        ("decode", source(", user: me"), "unknown field `user`", "username"),
        (
            "decode",
            "  registries: {sorce: {url: 'http://r'}}\n".to_owned(),
            "unknown field `sorce`",
            "source",
        ),
        (
            "decode",
            "  registries: {source: {}}\n".to_owned(),
            "missing field `url`",
            "docs/task.md",
        ),
    ];
    for (rule, more, message, cure) in wrong {
        let told = read(rule, &more).unwrap_err().to_string();
        let (before, after) = told.rsplit_once("\n  cure: ").unwrap_or((&told, ""));
        assert!(before.contains(message) && after.contains(cure), "{more}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
