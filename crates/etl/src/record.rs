//! A record as it comes, and as it goes.

/// Name and value of a record header; the value may be absent.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// One record of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in order; names may repeat.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Source topic.
    pub topic: &'a str,
    /// Source partition.
    pub partition: i32,
    /// Source offset.
    pub offset: i64,
}

impl<'a> Record<'a> {
    /// A record that has only a value.
    pub fn from_value(value: &'a [u8]) -> Self {
        Self {
            key: None,
            value: Some(value),
            headers: &[],
            timestamp_ms: 0,
            topic: "",
            partition: 0,
            offset: 0,
        }
    }
}

/// One record for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in order.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since 1970, as on the source.
    pub timestamp_ms: i64,
    /// The topic that the rule's route names; `None`: the topic of the task.
    pub topic: Option<&'a str>,
    /// Whether the rule made the key, so that the partition must follow it.
    pub is_rekeyed: bool,
    /// How often the record is written, adjacent.
    pub copies: u32,
}

/// Why a record gives no output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// The filter, or a chain's condition for the whole record.
    Filtered,
    /// The guard drops tombstones or empty values.
    Guard,
    /// The array has no elements.
    EmptyArray,
    /// Left out by a sample.
    Sampled,
    /// Seen before.
    Duplicate,
    /// Above the rate.
    Throttled,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outputs<'a> {
    /// The records to write, in order. Empty: the record is done without output, which is a success.
    pub records: &'a [Output<'a>],
    /// Why there is no output; `None` when there is one.
    pub dropped: Option<DropReason>,
    /// The guard passed the record on as it came.
    pub is_untouched: bool,
    /// Elements of an array that the mode `single` does not process.
    pub array_elements_dropped: u32,
    /// Elements that the filter took out of an array.
    pub array_elements_filtered: u32,
}
