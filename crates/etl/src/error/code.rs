//! The kinds of errors: stable names, stage and cure of each.

use std::fmt;

/// Where in the pipeline a record failed, in the words of Kafka Connect's error headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The value could not be read.
    Parse,
    /// Rows, filter or output failed.
    Transform,
    /// The target refused the record.
    Produce,
    /// The rule itself is wrong; never happens to a record.
    Rule,
}

impl Stage {
    /// The value of the header `__connect.errors.stage`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "VALUE_CONVERTER",
            Self::Transform => "TRANSFORMATION",
            Self::Produce => "TASK_PUT",
            Self::Rule => "RULE",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $stage:ident $cure:literal;)*) => {
        /// Kind of an error; [`ErrorCode::as_str`] is its stable name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* #[doc = concat!(" Name: `", $name, "`.")] $variant,)*
        }

        impl ErrorCode {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// In which stage it happens.
            pub fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage,)* }
            }

            /// What to do about it.
            pub fn cure(self) -> &'static str {
                match self { $(Self::$variant => $cure,)* }
            }
        }
    };
}

codes! {
    /// The record has no value and the guard refuses that.
    Tombstone "tombstone" Parse "set guard.tombstone to pass or drop if tombstones are expected";
    /// The value has no bytes.
    EmptyValue "empty_value" Parse "set guard.empty to pass or drop if empty values are expected";
    /// The value is not UTF-8, or not of the charset that the guard names.
    InvalidUtf8 "invalid_utf8" Parse "set guard.charset to what the producer writes, or guard.invalid to replace";
    /// The text is not JSON.
    JsonSyntax "json_syntax" Parse "correct the producer, or choose the parsing mode that fits the messages";
    /// Something follows the JSON value.
    JsonTrailingData "json_trailing_data" Parse "write one JSON value per record";
    /// The JSON value is no object.
    JsonRootNotObject "json_root_not_object" Parse "use the mode json_array for arrays, delimiter or regex for plain text";
    /// A string holds half of a surrogate pair.
    JsonInvalidUnicode "json_invalid_unicode" Parse "correct the producer: \\ud800 to \\udfff come in pairs";
    /// Nested deeper than 128.
    JsonDepth "json_depth" Parse "flatten the message at the producer";
    /// In array mode the root, or what the path leads to, is no array.
    ArrayRootNotArray "array_root_not_array" Parse "use the mode json for objects, or correct analyse.path";
    /// An element of the array is no object.
    ArrayElementNotObject "array_element_not_object" Parse "correct the producer: every element must be an object";
    /// The array has more elements than one record may become.
    ArrayTooLong "array_too_long" Parse "split the array at the producer";
    /// The expression does not match the text.
    RegexNoMatch "regex_no_match" Parse "correct the expression, or set no_match to empty";
    /// A quoted field is not closed.
    DelimiterQuote "delimiter_quote" Parse "correct the producer, or leave analyse.quote out";
    /// The field that the chain parses is missing or null.
    InputMissing "input_missing" Parse "correct analyse.input, or guard the chain with when: exists";
    /// Schema framing (magic byte and id) is missing or broken.
    SchemaFraming "schema_framing" Parse "leave the decode step out for topics without schema ids";
    /// The schema id is not known.
    SchemaUnknown "schema_unknown" Parse "check the registry of the source and whether the subject still exists";
    /// The bytes do not fit the schema.
    SchemaDecode "schema_decode" Parse "check that the producer writes what its schema says";
    /// The document does not fit the schema of the target.
    SchemaEncode "schema_encode" Transform "add rows that make the document fit the target schema";

    /// A field or path that the row needs is missing.
    FieldMissing "field_missing" Transform "correct the row's value, or set on_missing to null or skip";
    /// A header that the row needs is missing.
    HeaderMissing "header_missing" Transform "correct the row's value, or set on_missing to null or skip";
    /// An operation met a type that it cannot work on.
    OpType "op_type" Transform "convert first, or take a field of the right type";
    /// The text is no date of the given forms.
    DateParse "date_parse" Transform "add the pattern of the messages to input";
    /// The date is outside the years 0001 to 9999.
    DateRange "date_range" Transform "check the unit of the time: seconds, milliseconds, microseconds or nanoseconds";
    /// A percent escape is broken, or the bytes are not of the charset.
    UrlDecode "url_decode" Transform "check the charset of the op, and that the field is URL-encoded once";
    /// The text is not base64.
    Base64Decode "base64_decode" Transform "check that the field is base64";
    /// Bytes that must become text are not UTF-8.
    NotText "not_text" Transform "leave bytes encoded, for example as base64";
    /// A function met arguments that it cannot work on.
    JsonpathFunction "jsonpath_function" Transform "check that the path leads to what the function takes";
    /// A path that must lead to one place may lead to several.
    JsonpathNotDefinite "jsonpath_not_definite" Transform "use a path without *, .., slices, unions and filters";
    /// The path leads to more places than allowed.
    JsonpathLimit "jsonpath_limit" Transform "use a narrower path than * and .. in a row";
    /// The text inside a field is not JSON.
    JsonInString "json_in_string" Transform "check that the field holds JSON text";
    /// The value cannot become the wanted type.
    TypeConversion "type_conversion" Transform "choose another type, or make the value fit with an op first";
    /// An expression met a type that it cannot work on.
    MathType "math_type" Transform "convert the fields, or use coalesce for missing ones";
    /// Division by zero or a result outside the range.
    MathDomain "math_domain" Transform "guard the expression with if(b == 0, null, a / b)";
    /// The key is not in the lookup table.
    LookupMissing "lookup_missing" Transform "add the key to the table, or set on_missing to null or skip";
    /// The topic that the route makes is no legal name.
    RouteTopic "route_topic" Transform "check the fields that the route uses: 1 to 249 of letters, digits, . _ -";
    /// A field that a route, a header or the key needs is missing.
    TemplateField "template_field" Transform "use a field that every message has, or guard with a filter exists";
    /// A header name or value cannot be made.
    HeaderValue "header_value" Transform "use a field that holds text or a number";
    /// Working on the record takes more memory than allowed.
    WorkLimit "work_limit" Transform "check ops that make values longer; the limit is in the task's settings";
    /// The output is larger than allowed.
    RecordTooLarge "record_too_large" Transform "leave fields out, or raise the limit of output and target topic";
    /// The target refused the record.
    InvalidRecord "invalid_record" Produce "check the target topic: a compacted topic wants a key";

    /// The rule is no YAML or JSON.
    TemplateSyntax "template_syntax" Rule "correct the text of the rule";
    /// `apiVersion` or `kind` is not known.
    TemplateVersion "template_version" Rule "write apiVersion: etl/v1 and kind: EtlTemplate";
    /// A field that no rule has.
    TemplateUnknownField "template_unknown_field" Rule "correct the name or remove the field";
    /// A field that is needed is missing.
    TemplateMissingField "template_missing_field" Rule "add the field that the cause names";
    /// A field has the wrong shape.
    TemplateType "template_type" Rule "write the shape that the cause names";
    /// A field has a value that is not known.
    TemplateValue "template_value" Rule "write one of the values that the cause names";
    /// The rule has more parts than allowed.
    TemplateLimit "template_limit" Rule "split the rule over several chains or tasks";
    /// Chain 1 cannot take the result of a chain before it.
    SourceInFirstChain "source_in_first_chain" Rule "choose json, delimiter, regex or json_array for the first chain";
    /// A later chain parses only a field, or takes all.
    InputRequired "input_required" Rule "add input: with the field to parse, or use mode: source";
    /// The array mode belongs to chain 1.
    ArrayNotFirst "array_not_first" Rule "use json_array in the first chain; parse a field with type: array";
    /// Two rows write the same key.
    DuplicateKey "duplicate_key" Rule "give each row a key of its own";
    /// A key is empty.
    EmptyKey "empty_key" Rule "give the row the key that the output shall have";
    /// A delimiter is empty.
    EmptyDelimiter "empty_delimiter" Rule "give at least one character";
    /// A parameter of an op is outside what it takes.
    OpParameter "op_parameter" Rule "write a parameter that the cause allows";
    /// `kv` makes several fields and can only be the last op.
    KvNotLast "kv_not_last" Rule "move kv to the end of ops";
    /// A part of the expression that RE2 does not have.
    RegexUnsupported "regex_unsupported" Rule "write the expression without look-around and back-references (RE2 syntax)";
    /// The expression is broken.
    RegexSyntax "regex_syntax" Rule "correct the expression (RE2 syntax)";
    /// The compiled expression is larger than 10 MiB.
    RegexTooLarge "regex_too_large" Rule "use smaller repetition counts";
    /// The replacement names a group that the expression does not have.
    RegexGroup "regex_group" Rule "use $1, ${1} or ${name} of a group of the expression; $$ is a dollar";
    /// The path is broken.
    JsonpathSyntax "jsonpath_syntax" Rule "correct the path: it starts with $, names with special characters stand in ['…']";
    /// The function of a path is not known.
    JsonpathUnknownFunction "jsonpath_unknown_function" Rule "use min max sum avg stddev length keys first last index append concat";
    /// A numeric filter is broken.
    FilterNumberSyntax "filter_number_syntax" Rule "write comparisons such as >=10&<=20";
    /// An IP filter is broken.
    FilterIpSyntax "filter_ip_syntax" Rule "write addresses or CIDR blocks such as 10.0.0.0/8, separated by commas";
    /// A filter has no value.
    FilterValueEmpty "filter_value_empty" Rule "give the filter rule a value to compare with";
    /// ROW output of keys and values needs delimiters.
    RowDelimiterNone "row_delimiter_none" Rule "choose a delimiter between key and value and one between entries";
    /// Dead letters would come back as records.
    DlqLoop "dlq_loop" Rule "choose a topic for dead letters that is neither source nor target";
    /// The time zone is not known.
    ZoneUnknown "zone_unknown" Rule "write UTC, GMT+8, +08:00 or a name such as Asia/Shanghai";
    /// The date pattern is broken.
    DateFormat "date_format" Rule "write a pattern such as yyyy-MM-dd HH:mm:ss, or unix, unix_ms, unix_us, unix_ns";
    /// The charset is not known.
    CharsetUnknown "charset_unknown" Rule "write utf-8, gbk, gb18030, big5, shift_jis, latin1, utf-16le or utf-16be";
    /// An expression is broken.
    MathSyntax "math_syntax" Rule "correct the expression";
    /// The secret is not known.
    SecretUnknown "secret_unknown" Rule "define the secret, or correct its name";
    /// The lookup table is not known.
    TableUnknown "table_unknown" Rule "define the table, or correct its name";
    /// A template text is broken.
    TemplateText "template_text" Rule "write ${topic}, ${partition}, ${field:name}, ${header:name} or ${ts:yyyyMMdd}; $$ is a dollar";
    /// A header or topic name that Kafka does not take.
    NameInvalid "name_invalid" Rule "topics: 1 to 249 of letters, digits, . _ -";
    /// Selections of a sample overlap or are outside it.
    SelectionInvalid "selection_invalid" Rule "mark parts of the sample that do not overlap, in code points";
    /// No expression gives back what was marked.
    SelectionAmbiguous "selection_ambiguous" Rule "mark other borders: two marks need a separator between them";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorCode, Stage};

    #[test]
    fn names_are_unique_and_have_cures() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        assert!(ErrorCode::ALL.iter().all(|code| code.cure().len() > 15));
        let record = ErrorCode::ALL.iter().filter(|code| code.stage() != Stage::Rule);
        assert!(record.count() >= 40);
    }
}
