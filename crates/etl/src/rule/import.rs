//! The JSON of the vendor's API as a rule. Names are those of its model `ckafka 2019-08-19`.

use super::{
    Analyse, AnalyseMode, ArrayOutput, Chain, ChainBody, Condition, DateInput, DelimiterMode, Dlq,
    Failure, Filter, FilterMode, FilterRule, OnMissing, Op, Operate, Output, Process, Row,
    RowOutput, RowsMode, Rule, Secondary, ValueType, fields::Fields, node::Node, read::delimiter,
};
use crate::error::{ErrorCode, RuleError};

/// Results of tests that the console stores beside the rule, and switches without meaning here.
const IGNORED: [&str; 9] = [
    "Content",
    "Result",
    "AnalyseResult",
    "SecondaryAnalyseResult",
    "AnalyseJsonResult",
    "SecondaryAnalyseJsonResult",
    "OriginalValue",
    "UseEventBus",
    "SourceType",
];

fn ignore(fields: &mut Fields<'_, '_>) {
    for name in IGNORED {
        let _ = fields.node(name);
    }
    fields.finish();
}

pub(super) fn transforms(node: &Node) -> (Rule, Vec<RuleError>) {
    let mut errors = Vec::new();
    // As it stands in a task, or alone.
    let inner = node.get("TransformsParam").or_else(|| node.get("TransformParam"));
    let node = inner.unwrap_or(node);
    let mut top = Fields::open(node, "", &mut errors);
    let mut rule = Rule::default();
    if top.has("AnalysisFormat") {
        old(&mut top, &mut rule);
    } else {
        new(&mut top, &mut rule);
    }
    output(&mut top, &mut rule);
    rule.failure = failure(&mut top);
    rule.metadata_fields.keep = top.flag("KeepMetadata", false);
    ignore(&mut top);
    (rule, errors)
}

fn new(top: &mut Fields<'_, '_>, rule: &mut Rule) {
    for (index, node) in top.list("FieldChain").iter().enumerate() {
        let mut fields = Fields::open(node, format!("chains[{index}]"), top.errors);
        let process = chain(&mut fields, index == 0);
        ignore(&mut fields);
        rule.chains.push(Chain { when: None, body: ChainBody::Process(process) });
    }
    rule.filter = filter(top);
    let mut batch = top.inner("BatchAnalyse");
    let formats = [("ONE_BY_ONE", ArrayOutput::Each), ("MERGE", ArrayOutput::Multi)];
    let output = batch.choice("Format", &formats);
    batch.finish();
    if let (Some(output), Some(Chain { body: ChainBody::Process(process), .. })) =
        (output, rule.chains.first_mut())
    {
        process.analyse.mode = AnalyseMode::JsonArray { output, path: None };
    }
}

/// `TransformParam`: one chain, and a row for each field of the target.
fn old(top: &mut Fields<'_, '_>, rule: &mut Rule) {
    let mode = analyse_mode(top, "AnalysisFormat");
    let mut rows = Vec::new();
    for (index, node) in top.list("MapParam").iter().enumerate() {
        let mut fields = Fields::open(node, format!("chains[0].rows[{index}]"), top.errors);
        let key = fields.needed("Key");
        let value = fields.text_or("Value", "");
        let operate = match fields.text_or("Type", "DEFAULT").to_ascii_uppercase().as_str() {
            "DEFAULT" => Operate::Mapping(key.clone()),
            "MAPPING" => Operate::Mapping(value),
            "JSONPATH" => Operate::JsonPath(value),
            "DATE" => Operate::SystemTime,
            _ => Operate::Custom(value),
        };
        fields.finish();
        rows.push(plain_row(key, operate));
    }
    let analyse = Analyse { mode, input: None };
    let process = Process { analyse, secondary: None, rows_mode: RowsMode::Project, rows };
    rule.chains.push(Chain { when: None, body: ChainBody::Process(process) });
    rule.filter = filter(top);
}

fn plain_row(key: String, operate: Operate) -> Row {
    Row {
        key,
        operate,
        value_type: ValueType::Original,
        truncate: false,
        on_missing: OnMissing::Null,
        ops: Vec::new(),
        when: None,
    }
}

fn analyse_mode(fields: &mut Fields<'_, '_>, name: &str) -> AnalyseMode {
    let regex = fields.text_or("Regex", "");
    match fields.text_or(name, "JSON").to_ascii_uppercase().as_str() {
        "JSON" => AnalyseMode::Json,
        "SOURCE" => AnalyseMode::Source,
        "DELIMITER" => AnalyseMode::Delimiter(DelimiterMode {
            delimiter: delimiter(&regex),
            ..DelimiterMode::default()
        }),
        "REGULAR" => AnalyseMode::Regex { regex, no_match_empty: false },
        other => {
            let cause = format!("{other:?} is none of JSON, DELIMITER, REGULAR, SOURCE");
            fields.error(name, ErrorCode::TemplateValue, cause);
            AnalyseMode::Json
        }
    }
}

fn chain(fields: &mut Fields<'_, '_>, is_first: bool) -> Process {
    let mut inner = fields.inner("Analyse");
    let mode = analyse_mode(&mut inner, "Format");
    let input = inner.text("InputValue").filter(|input| !input.is_empty() && !is_first);
    let _ = inner.node("InputValueType");
    ignore(&mut inner);
    let secondary = fields.node("SecondaryAnalyse").is_some().then(|| {
        let mut inner = fields.inner("SecondaryAnalyse");
        let text = inner.text_or("Regex", "");
        ignore(&mut inner);
        Secondary { delimiter: delimiter(&text), is_regex: false, keep_original: true }
    });
    let mut rows = Vec::new();
    for (index, node) in fields.list("SMT").iter().enumerate() {
        let path = format!("{}.rows[{index}]", fields.path);
        let mut inner = Fields::open(node, path, fields.errors);
        rows.push(row(&mut inner));
        ignore(&mut inner);
    }
    let analyse = Analyse { mode, input };
    Process {
        analyse,
        secondary: secondary.filter(|found| !found.delimiter.is_empty()),
        rows_mode: RowsMode::Project,
        rows,
    }
}

fn row(fields: &mut Fields<'_, '_>) -> Row {
    let key = fields.needed("Key");
    let value = fields.text_or("Value", "");
    let operate = match fields.text_or("Operate", "MAPPING").to_ascii_uppercase().as_str() {
        "DATE" => Operate::SystemTime,
        "CUSTOMIZE" => Operate::Custom(value),
        "MAPPING" => Operate::Mapping(value),
        "JSONPATH" => Operate::JsonPath(value),
        other => {
            let cause = format!("{other:?} is none of DATE, CUSTOMIZE, MAPPING, JSONPATH");
            fields.error("Operate", ErrorCode::TemplateValue, cause);
            Operate::Custom(value)
        }
    };
    let mut row = plain_row(key, operate);
    let types = super::read_chain::TYPES;
    row.value_type = fields.choice("SchemeType", &types).unwrap_or_default();
    let list = fields.list("ValueOperates");
    let single = fields.node("ValueOperate");
    let nodes: Vec<&Node> =
        if list.is_empty() { single.into_iter().collect() } else { list.iter().collect() };
    for (index, node) in nodes.into_iter().enumerate() {
        let path = format!("{}.ops[{index}]", fields.path);
        let mut inner = Fields::open(node, path, fields.errors);
        row.ops.extend(op(&mut inner));
        ignore(&mut inner);
    }
    row
}

fn op(fields: &mut Fields<'_, '_>) -> Option<Op> {
    let kind = fields.needed("Type").to_ascii_uppercase();
    let op = match kind.as_str() {
        "REPLACE" => {
            let mut inner = fields.inner("Replace");
            let op = Op::Replace {
                old: inner.text_or("OldValue", ""),
                new: inner.text_or("NewValue", ""),
            };
            inner.finish();
            op
        }
        "SUBSTR" => {
            let mut inner = fields.inner("Substr");
            let op = Op::Substr {
                start: inner.integer("Start").unwrap_or(0),
                end: inner.integer("End"),
            };
            inner.finish();
            op
        }
        "DATE" => date(&mut fields.inner("Date")),
        "TRIM" => Op::Trim,
        "LOWERCASE" => Op::Lowercase,
        "REGEX_REPLACE" => {
            let mut inner = fields.inner("RegexReplace");
            let op = Op::RegexReplace {
                regex: inner.text_or("Regex", ""),
                new: inner.text_or("NewValue", ""),
            };
            inner.finish();
            op
        }
        "SPLIT" => {
            let mut inner = fields.inner("Split");
            let op =
                Op::Split { delimiter: delimiter(&inner.text_or("Regex", "")), is_regex: false };
            inner.finish();
            op
        }
        "KV" => {
            let mut inner = fields.inner("KV");
            let op = Op::Kv {
                delimiter: delimiter(&inner.text_or("Delimiter", "")),
                separator: delimiter(&inner.text_or("Regex", "")),
                keep_original_key: matches!(
                    inner.text_or("KeepOriginalKey", "false").as_str(),
                    "true" | "TRUE"
                ),
            };
            inner.finish();
            op
        }
        "JSON_PATH_REPLACE" => {
            let mut inner = fields.inner("JsonPathReplace");
            let op = Op::JsonPathReplace {
                old: inner.text_or("OldValue", ""),
                new: inner.text_or("NewValue", ""),
            };
            inner.finish();
            op
        }
        "URL_DECODE" => {
            let mut inner = fields.inner("UrlDecode");
            let op = Op::UrlDecode { charset: inner.text_or("CharsetName", "utf-8") };
            inner.finish();
            op
        }
        other => {
            fields.error(
                "Type",
                ErrorCode::TemplateValue,
                format!("{other:?} is no known operation"),
            );
            return None;
        }
    };
    // Parameters of operations that are not chosen are stored, too.
    for name in [
        "Replace",
        "Substr",
        "Date",
        "RegexReplace",
        "Split",
        "KV",
        "JsonPathReplace",
        "UrlDecode",
        "Lowercase",
        "Trim",
        "Result",
    ] {
        let _ = fields.node(name);
    }
    Some(op)
}

fn date(fields: &mut Fields<'_, '_>) -> Op {
    let format = fields.text_or("Format", "yyyy-MM-dd HH:mm:ss");
    let input = match fields.text_or("TargetType", "string").to_ascii_lowercase().as_str() {
        "unix" | "unix timestamp" | "timestamp" => DateInput::Unix,
        _ => DateInput::Auto,
    };
    let zone = fields.text_or("TimeZone", super::read_op::ZONE_DEFAULT);
    fields.finish();
    Op::Date { format, input, zone, input_zone: None }
}

fn filter(top: &mut Fields<'_, '_>) -> Filter {
    let mut rules = Vec::new();
    for (index, node) in top.list("FilterParam").iter().enumerate() {
        let mut fields = Fields::open(node, format!("filter.rules[{index}]"), top.errors);
        let modes: [(&str, FilterMode); 7] = [
            ("PREFIX", FilterMode::Prefix),
            ("SUFFIX", FilterMode::Suffix),
            ("CONTAINS", FilterMode::Contains),
            ("EXCEPT", FilterMode::Except),
            ("NUMBER", FilterMode::Number),
            ("IP", FilterMode::Ip),
            ("NOT_NULL", FilterMode::NotNull),
        ];
        let key = fields.needed("Key");
        let mode = fields.choice("MatchMode", &modes);
        let value = fields.text("Value");
        let _ = fields.node("Type");
        fields.finish();
        rules.extend(
            mode.map(|mode| Condition::Rule(FilterRule { key, mode, value, values: Vec::new() })),
        );
    }
    Filter { enabled: !rules.is_empty(), any: false, rules }
}

fn output(top: &mut Fields<'_, '_>, rule: &mut Rule) {
    let is_row = top.text_or("OutputFormat", "JSON").eq_ignore_ascii_case("ROW");
    let mut inner = top.inner("RowParam");
    let row = RowOutput {
        with_keys: inner.text_or("RowContent", "VALUE").eq_ignore_ascii_case("KEY_VALUE"),
        kv_delimiter: delimiter(&inner.text_or("KeyValueDelimiter", "none")),
        entry_delimiter: delimiter(&inner.text_or("EntryDelimiter", "none")),
        quote_csv: false,
    };
    inner.finish();
    if is_row {
        rule.output = Output::Row(row);
    }
}

fn failure(top: &mut Fields<'_, '_>) -> Failure {
    let mut inner = top.inner("FailureParam");
    let names = [("DROP", 0), ("IGNORE_ERROR", 1), ("DLQ", 2)];
    let kind = inner.choice("Type", &names).unwrap_or(1);
    let topic = {
        let mut param = inner.inner("TopicParam");
        param.text("Resource").or_else(|| param.text("Topic"))
    };
    let topic = topic.or_else(|| inner.inner("KafkaParam").text("Topic"));
    let retry_interval_ms = inner.count("RetryInterval", 1000);
    let max_retry_attempts = inner.count("MaxRetryAttempts", 5);
    let _ = inner.node("DlqType");
    inner.finish();
    match kind {
        0 => Failure::Discard,
        1 => Failure::Retain,
        _ => Failure::Dlq(Dlq {
            connection: "target".to_owned(),
            topic: topic.unwrap_or_default(),
            envelope: false,
            retry_interval_ms,
            max_retry_attempts,
        }),
    }
}
