//! How records look in a journal: compact JSON, tolerant of fields that later releases add.

/// Ids as text, so that a dump of the file can be read.
pub(super) mod uuid_text {
    use kafka_wire::Uuid;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(
        id: &Option<Uuid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Uuid::try_parse(&text)).transpose().map_err(de::Error::custom)
    }
}

/// The leader epoch in records of versions that did not keep it.
pub(super) fn no_epoch() -> i32 {
    -1
}
