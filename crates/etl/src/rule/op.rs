//! The value ops of a row.

/// One change of a value. Every op leaves null alone, except `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Every literal occurrence of `old`.
    Replace {
        /// Not empty.
        old: String,
        /// What stands there then.
        new: String,
    },
    /// Code points from `start` to before `end`.
    Substr {
        /// From 0.
        start: i64,
        /// `None`: to the end.
        end: Option<i64>,
    },
    /// A time in another form.
    Date {
        /// Pattern of the output, or `unix`, `unix_ms`, `unix_us`, `unix_ns`.
        format: String,
        /// How the input is read.
        input: DateInput,
        /// Zone of the output.
        zone: String,
        /// Zone of inputs without one; `None`: `zone`.
        input_zone: Option<String>,
    },
    /// White space off both ends.
    Trim,
    /// Every match of an expression (RE2).
    RegexReplace {
        /// The expression.
        regex: String,
        /// Text with `$1`, `${1}`, `${name}`, `$$`.
        new: String,
    },
    /// An array of the parts.
    Split {
        /// Literal, or an expression.
        delimiter: String,
        /// Whether it is an expression.
        is_regex: bool,
    },
    /// Fields from pairs; the last op of a row.
    Kv {
        /// Between pairs.
        delimiter: String,
        /// Between key and value, literal.
        separator: String,
        /// Whether the row stays and prefixes the new keys.
        keep_original_key: bool,
    },
    /// What a JSONPath leads to inside a value.
    JsonPathReplace {
        /// Places.
        old: String,
        /// JSONPath of the new value in the same document, or literal text.
        new: String,
    },
    /// Percent escapes and `+` decoded.
    UrlDecode {
        /// Charset of the bytes.
        charset: String,
    },
    /// Lower case of all letters.
    Lowercase,
    /// Upper case of all letters.
    Uppercase,
    /// A value for null, missing and empty text.
    Default {
        /// Text.
        value: String,
    },
    /// A digest in lower-case hexadecimal.
    Hash {
        /// The algorithm.
        algorithm: HashAlgorithm,
        /// Name of the secret for HMAC.
        secret: Option<String>,
    },
    /// Characters in the middle replaced.
    Mask {
        /// Code points that stay at the beginning.
        keep_first: u64,
        /// Code points that stay at the end.
        keep_last: u64,
        /// What stands for each other one.
        character: char,
    },
    /// Personal data inside a text replaced.
    Redact {
        /// What is looked for.
        kinds: Vec<RedactKind>,
        /// What stands there then.
        new: String,
    },
    /// Everything but letters, digits and `-._~` percent-encoded.
    UrlEncode,
    /// The UTF-8 bytes as base64.
    Base64Encode,
    /// base64 of UTF-8 text decoded.
    Base64Decode,
    /// The value as JSON text.
    JsonEncode,
    /// JSON text as a value.
    JsonDecode,
    /// An expression over the value (`value`) and the fields of the document.
    Math {
        /// The expression.
        expression: String,
    },
}

impl Op {
    /// The name in the template.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Replace { .. } => "replace",
            Self::Substr { .. } => "substr",
            Self::Date { .. } => "date",
            Self::Trim => "trim",
            Self::RegexReplace { .. } => "regex_replace",
            Self::Split { .. } => "split",
            Self::Kv { .. } => "kv",
            Self::JsonPathReplace { .. } => "json_path_replace",
            Self::UrlDecode { .. } => "url_decode",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
            Self::Default { .. } => "default",
            Self::Hash { .. } => "hash",
            Self::Mask { .. } => "mask",
            Self::Redact { .. } => "redact",
            Self::UrlEncode => "url_encode",
            Self::Base64Encode => "base64_encode",
            Self::Base64Decode => "base64_decode",
            Self::JsonEncode => "json_encode",
            Self::JsonDecode => "json_decode",
            Self::Math { .. } => "math",
        }
    }
}

/// How the op `date` reads its input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DateInput {
    /// ISO 8601, the known patterns, RFC 2822, or a unix time.
    #[default]
    Auto,
    /// A unix time; the number of digits tells the unit.
    Unix,
    /// These patterns in order.
    Patterns(Vec<String>),
}

/// Algorithm of the op `hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// HMAC with SHA-256 and a secret.
    HmacSha256,
    /// XXH3, 64 bits, seed 0.
    Xxh3,
}

/// What the op `redact` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedactKind {
    /// Payment cards: 13 to 19 digits whose check digit is right.
    Card,
    /// Chinese mobile numbers, and numbers that begin with `+`.
    Phone,
    /// E-mail addresses.
    Email,
    /// Chinese resident identity numbers (18 characters).
    NationalId,
}
