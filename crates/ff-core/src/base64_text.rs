//! Payload bytes as base64 text, for documents that people read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Writes the bytes, if there are any.
pub(crate) fn serialize<S: Serializer>(
    bytes: &Option<Bytes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
}

/// Reads the bytes back.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Bytes>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let decoded = text.map(|text| STANDARD.decode(text)).transpose();
    decoded.map(|bytes| bytes.map(Bytes::from)).map_err(de::Error::custom)
}
