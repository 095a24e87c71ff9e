//! What a server replies in RESP2, and how it is decoded.

use std::borrow::Cow;

use crate::client::ClientError;
use crate::frame::{announced, line_at};

/// How deeply a reply may nest.
const DEPTH_MAX: usize = 32;

/// One reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A status such as `OK`.
    Simple(String),
    /// A refusal, with its code as the first word.
    Error(String),
    /// A whole number.
    Integer(i64),
    /// Bytes, exactly as the server holds them.
    Bulk(Vec<u8>),
    /// Nothing: a missing key or an empty wait.
    Null,
    /// Replies in a row.
    Array(Vec<Value>),
}

impl Value {
    /// Turns a refusal into [`ClientError::Refused`] and leaves every other reply as it is.
    pub fn into_result(self) -> Result<Self, ClientError> {
        match self {
            Self::Error(message) => Err(ClientError::Refused { message }),
            other => Ok(other),
        }
    }

    /// Returns the text of a status, a refusal or bytes; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Simple(text) | Self::Error(text) => Some(Cow::Borrowed(text)),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes)),
            Self::Integer(_) | Self::Null | Self::Array(_) => None,
        }
    }

    /// Returns the bytes of a bulk reply.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the number of an integer reply.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the elements of an array reply.
    pub fn array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }
}

/// Decodes one reply from bytes that hold exactly one.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, ClientError> {
    let mut decoder = Decoder { bytes, position: 0 };
    let value = decoder.value(0)?;
    if decoder.position == bytes.len() { Ok(value) } else { Err(garbled("bytes follow the reply")) }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Decoder<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, ClientError> {
        if depth > DEPTH_MAX {
            return Err(garbled("a reply nests too deeply"));
        }
        let line = line_at(self.bytes, self.position)
            .map_err(|error| garbled(&error.to_string()))?
            .ok_or_else(|| garbled("a line without an end"))?;
        self.position += line.len() + 2;
        let (&kind, rest) = line.split_first().ok_or_else(|| garbled("an empty line"))?;
        let text = || String::from_utf8_lossy(rest).into_owned();
        match kind {
            b'+' => Ok(Value::Simple(text())),
            b'-' => Ok(Value::Error(text())),
            b':' => {
                text().parse().map(Value::Integer).map_err(|_| garbled("an integer that is none"))
            }
            b'$' => self.bulk(length(rest)?),
            b'*' => self.array(length(rest)?, depth),
            other => Err(garbled(&format!("a reply of type {:?}", char::from(other)))),
        }
    }

    fn bulk(&mut self, length: Option<usize>) -> Result<Value, ClientError> {
        let Some(length) = length else {
            return Ok(Value::Null);
        };
        let bytes = self
            .position
            .checked_add(length)
            .and_then(|end| self.bytes.get(self.position..end))
            .ok_or_else(|| garbled("a bulk reply without an end"))?
            .to_vec();
        self.position += length + 2;
        Ok(Value::Bulk(bytes))
    }

    fn array(&mut self, length: Option<usize>, depth: usize) -> Result<Value, ClientError> {
        let Some(length) = length else {
            return Ok(Value::Null);
        };
        (0..length).map(|_| self.value(depth + 1)).collect::<Result<_, _>>().map(Value::Array)
    }
}

fn length(digits: &[u8]) -> Result<Option<usize>, ClientError> {
    announced(digits, usize::MAX).map_err(|error| garbled(&error.to_string()))
}

fn garbled(reason: &str) -> ClientError {
    ClientError::Garbled { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_keeps_every_kind_apart() {
        let bytes = b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$2\r\n\xff\x00\r\n$-1\r\n*0\r\n";
        let expected = Value::Array(vec![
            Value::Simple("OK".into()),
            Value::Error("ERR no".into()),
            Value::Integer(-7),
            Value::Bulk(vec![0xff, 0]),
            Value::Null,
            Value::Array(vec![]),
        ]);
        assert_eq!(decode(bytes).expect("a reply"), expected);
    }

    #[test]
    fn decode_refuses_damaged_replies() {
        let deep = "*1\r\n".repeat(DEPTH_MAX + 2);
        for bytes in ["", "+OK", ":x\r\n", "$5\r\nab\r\n", "*2\r\n:1\r\n", "+a\r\n+b\r\n", &deep] {
            let error = decode(bytes.as_bytes());
            assert!(matches!(error, Err(ClientError::Garbled { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn into_result_turns_only_refusals_into_errors() {
        assert!(Value::Error("ERR no".into()).into_result().is_err());
        assert_eq!(Value::Null.into_result().expect("no refusal"), Value::Null);
    }
}
