//! Runs one case.

use etl::{
    Compiled, DeadLetterContext, DropReason, ErrorCode, Limits, Output, Record, RecordError,
    Resources, Rule, RuleErrors, Scratch, Selection, StepStatus, dead_letter, generate_regex,
    rule::Failure,
};

use super::{Case, Texts};

fn rule(case: &Case) -> Result<Rule, RuleErrors> {
    if let Some(json) = &case.import {
        return Rule::import_api(json);
    }
    if let Some(text) = &case.template {
        return Rule::parse(text);
    }
    let spec = case.spec.as_deref().expect("spec, template or import");
    let indented = spec.replace('\n', "\n  ");
    Rule::parse(&format!("apiVersion: etl/v1\nkind: EtlTemplate\nspec:\n  {indented}"))
}

pub(crate) fn case(case: &Case, at: &str) {
    if let Some(generate) = &case.generate {
        let selections: Vec<Selection> = generate
            .selections
            .iter()
            .map(|part| Selection { start: part.start, end: part.end, name: part.name.clone() })
            .collect();
        let generated = generate_regex(&generate.sample, &selections).unwrap();
        assert_eq!(generated.regex, generate.regex, "{at}");
        return;
    }
    let rule = match (rule(case), &case.config) {
        (Ok(rule), None) => rule,
        (Ok(_), Some(code)) => panic!("{at}: the rule was taken, expected {code}"),
        (Err(errors), None) => panic!("{at}: the rule was refused: {errors}"),
        (Err(errors), Some(code)) => {
            let wanted =
                |path: &str| case.config_path.as_deref().is_none_or(|wanted| wanted == path);
            let found =
                errors.iter().any(|error| error.code.as_str() == code && wanted(&error.path));
            assert!(found, "{at}: expected {code}, found {errors}");
            return;
        }
    };
    // What is exported reads as the same rule, and exports as the same bytes.
    for text in [rule.to_yaml(), rule.to_json()] {
        let again = Rule::parse(&text).unwrap_or_else(|errors| panic!("{at}: {errors}\n{text}"));
        assert_eq!(again, rule, "{at}\n{text}");
        assert_eq!(again.to_yaml(), rule.to_yaml(), "{at}");
    }
    record(case, &rule, at);
}

fn record(case: &Case, rule: &Rule, at: &str) {
    let mut compiled = Compiled::new(rule, &Resources::new()).unwrap();
    compiled.set_limits(Limits { work_bytes_max: 16 << 20, ..Limits::default() });
    compiled.set_multiplier(case.multiplier.unwrap_or(1));
    let value = match (&case.input, &case.in_hex) {
        _ if case.in_null => None,
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(hex)) => Some(unhex(hex)),
        (None, None) => panic!("{at}: no message"),
    };
    let headers: Vec<etl::Header<'_>> =
        case.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes()))).collect();
    let record = Record {
        key: case.key.as_deref().map(str::as_bytes),
        value: value.as_deref(),
        headers: &headers,
        timestamp_ms: case.timestamp_ms,
        topic: case.topic.as_deref().unwrap_or("source"),
        partition: case.partition,
        offset: case.offset,
    };
    let now = case.now.as_deref().unwrap_or("2022-06-27T03:14:49Z").parse().unwrap();
    let mut scratch = Scratch::new();
    {
        let explanation = compiled.explain(&record, now, &mut scratch);
        for (path, status) in &case.steps {
            let wanted = match status.as_str() {
                "ok" => StepStatus::Ok,
                "skipped" => StepStatus::Skipped,
                _ => StepStatus::Failed,
            };
            let found = explanation.steps.iter().find(|step| step.path == *path);
            assert_eq!(
                found.map(|step| step.status),
                Some(wanted),
                "{at}: {:?}",
                explanation.steps
            );
        }
    }
    // Whether somebody watches makes no difference, nor does a scratch that was used before.
    let watched = format!("{:?}", compiled.explain(&record, now, &mut scratch).result);
    let result = compiled.apply(&record, now, &mut scratch);
    assert_eq!(format!("{result:?}"), watched, "{at}");
    match result {
        Err(error) => check_error(case, rule, &record, &error, at),
        Ok(outputs) => {
            assert!(case.error.is_none(), "{at}: expected {:?}, found {outputs:?}", case.error);
            let reason = outputs.dropped.map(|reason| match reason {
                DropReason::Filtered => "filtered",
                DropReason::Guard => "guard",
                DropReason::EmptyArray => "empty_array",
                DropReason::Sampled => "sampled",
                DropReason::Duplicate => "duplicate",
                DropReason::Throttled => "throttled",
            });
            assert_eq!(reason, case.dropped.as_deref(), "{at}");
            check_outputs(case, outputs.records, at);
        }
    }
}

fn check_outputs(case: &Case, records: &[Output<'_>], at: &str) {
    let written: Vec<&Output<'_>> = records
        .iter()
        .flat_map(|output| std::iter::repeat_n(output, output.copies as usize))
        .collect();
    let values: Vec<Option<&[u8]>> = written.iter().map(|output| output.value).collect();
    let hex = case.out_hex.as_deref().map(unhex);
    let wanted: Vec<Option<&[u8]>> = match (&case.out, &hex) {
        _ if case.out_null => vec![None],
        (Some(Texts::One(text)), _) => vec![Some(text.as_bytes())],
        (Some(Texts::Many(texts)), _) => texts.iter().map(|text| Some(text.as_bytes())).collect(),
        (None, Some(bytes)) => vec![Some(bytes)],
        (None, None) => Vec::new(),
    };
    let shown = |values: &[Option<&[u8]>]| -> Vec<String> {
        values
            .iter()
            .map(|value| String::from_utf8_lossy(value.unwrap_or(b"(null)")).into_owned())
            .collect()
    };
    assert!(values == wanted, "{at}: wrote {:?}, expected {:?}", shown(&values), shown(&wanted));
    for output in written {
        if let Some(topic) = &case.out_topic {
            assert_eq!(output.topic, Some(topic.as_str()), "{at}");
        }
        if let Some(key) = &case.out_key {
            assert_eq!(output.key, Some(key.as_bytes()), "{at}");
        }
        if let Some(headers) = &case.out_headers {
            let found: Vec<(String, String)> = output
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        (*name).to_owned(),
                        String::from_utf8(value.unwrap_or_default().to_vec()).unwrap(),
                    )
                })
                .collect();
            assert_eq!(&found, headers, "{at}");
        }
    }
}

fn check_error(case: &Case, rule: &Rule, record: &Record<'_>, error: &RecordError, at: &str) {
    assert_eq!(Some(error.code.as_str()), case.error.as_deref(), "{at}: {error}");
    assert!(ErrorCode::ALL.contains(&error.code));
    if let Some(path) = &case.error_path {
        assert_eq!(error.path, *path, "{at}");
    }
    if let Some(offset) = case.error_offset {
        assert_eq!(error.byte_offset, Some(offset), "{at}: {error}");
    }
    let policy = match &rule.failure {
        Failure::Discard => "discard",
        Failure::Retain => "retain",
        Failure::PassRaw => "pass_raw",
        Failure::Dlq(_) => "dlq",
    };
    if let Some(wanted) = &case.failure {
        assert_eq!(policy, wanted, "{at}");
    }
    let Failure::Dlq(dlq) = &rule.failure else { return };
    let context = DeadLetterContext {
        task_name: "task",
        task_id: "1",
        worker: 0,
        rule_version: rule.revision,
        failed_at: "2022-06-27T03:14:49Z".parse().unwrap(),
        attempts: 0,
    };
    let letter = dead_letter(record, error, dlq, &context);
    assert_eq!(letter.key.as_deref(), record.key, "{at}");
    assert_eq!(letter.value.as_deref(), record.value, "{at}");
    for (name, value) in &case.dlq_headers {
        let found = letter.headers.iter().find(|(found, _)| found == name);
        assert_eq!(
            found.and_then(|(_, value)| value.as_deref()),
            Some(value.as_bytes()),
            "{at}: {name}"
        );
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
