//! The one decoder of replies: `{1, STATUS, field, ...}` or `{0, code, detail, ...}`.
//!
//! It knows no client: a backend turns what its client library hands it into a [`Value`]. Every
//! number, word or id that is missing or malformed is a [`BugKind::Parse`] that names the function
//! and the field; nothing is ever read as 0 or as an empty text in silence. Fields past those that
//! are read are left alone, so a newer library may add some.

use crate::codes::{self, Subject};
use crate::pack::unpack;
use bytes::Bytes;
use ff_core::error::{BugKind, EngineError, EngineResult};
use ff_core::time::TimestampMs;
use std::fmt;
use std::str::FromStr;

/// Characters of a bad value that an error quotes.
const QUOTED_CHARS_MAX: usize = 64;

/// What a server may answer, whatever the client library calls it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// An integer.
    Int(i64),
    /// A bulk or a simple string: they are equal.
    Bytes(Bytes),
    /// A floating point number; no function of ours answers one.
    Double(f64),
    /// A truth value; no function of ours answers one.
    Bool(bool),
    /// Values in order.
    Array(Vec<Value>),
}

impl Value {
    /// Makes a string value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bytes(Bytes::from(text.into()))
    }
}

impl fmt::Display for Value {
    /// Shows the value, shortened, for an error message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nil"),
            Self::Int(number) => write!(f, "integer {number}"),
            Self::Double(number) => write!(f, "double {number}"),
            Self::Bool(truth) => write!(f, "boolean {truth}"),
            Self::Array(items) => write!(f, "array of {}", items.len()),
            Self::Bytes(bytes) => {
                let shown: String = bytes
                    .iter()
                    .flat_map(|byte| std::ascii::escape_default(*byte))
                    .map(char::from)
                    .take(QUOTED_CHARS_MAX)
                    .collect();
                write!(f, "string of {} \"{shown}\"", bytes.len())
            }
        }
    }
}

/// A reply whose envelope was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The function did it.
    Success(Success),
    /// The function refused; nothing has changed.
    Refused(Refusal),
}

/// A status and the fields that follow it.
#[derive(Clone, Debug, PartialEq)]
pub struct Success {
    status: Bytes,
    fields: Fields,
}

/// A code and its details.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The function that refused.
    pub function: &'static str,
    /// The code, as it came.
    pub code: String,
    /// The details, in order.
    pub details: Fields,
}

impl Reply {
    /// Reads the envelope.
    pub fn decode(function: &'static str, value: Value) -> EngineResult<Self> {
        let mut fields = match value {
            Value::Array(values) if !values.is_empty() => Fields::new(function, values),
            other => {
                let expected = "an array that is not empty";
                return Err(parse(function, "reply", expected, &other));
            }
        };
        match fields.next("kind")? {
            Value::Int(1) => {
                let status = fields.bytes("status")?;
                Ok(Self::Success(Success { status, fields }))
            }
            Value::Int(0) => {
                let code = fields.text("code")?;
                let details = fields;
                Ok(Self::Refused(Refusal { function, code, details }))
            }
            other => Err(parse(function, "kind", "the integer 0 or 1", &other)),
        }
    }

    /// Returns the success, or the error that the refusal stands for.
    pub fn into_success(self, subject: &Subject) -> EngineResult<Success> {
        match self {
            Self::Success(success) => Ok(success),
            Self::Refused(refusal) => Err(codes::to_error(refusal, subject)),
        }
    }
}

impl Success {
    /// Returns the fields if the status is `OK`; any other is a parse error.
    pub fn ok(self) -> EngineResult<Fields> {
        self.one_of(&["OK"]).map(|(_, fields)| fields)
    }

    /// Returns the status and the fields if the status is one of those named.
    pub fn one_of(self, known: &[&'static str]) -> EngineResult<(&'static str, Fields)> {
        let Self { status, fields } = self;
        match known.iter().find(|word| word.as_bytes() == status) {
            Some(word) => Ok((word, fields)),
            None => {
                let function = fields.function;
                let got = Value::Bytes(status);
                Err(parse(function, "status", "a known status", &got))
            }
        }
    }
}

/// Fields of a reply, read one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    function: &'static str,
    values: std::collections::VecDeque<Value>,
}

impl Fields {
    /// Takes the fields of a reply of `function`.
    pub fn new(function: &'static str, values: Vec<Value>) -> Self {
        Self { function, values: values.into() }
    }

    /// Returns the function whose reply this is.
    pub const fn function(&self) -> &'static str {
        self.function
    }

    /// Tells whether every field was read.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns how many fields are left.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Makes the parse error for a field of this reply.
    pub fn bad(&self, field: &'static str, expected: &'static str, got: &Value) -> EngineError {
        parse(self.function, field, expected, got)
    }

    /// Returns the next field, whatever it is.
    pub fn next(&mut self, field: &'static str) -> EngineResult<Value> {
        self.values.pop_front().ok_or_else(|| {
            BugKind::Parse {
                function: self.function,
                field,
                expected: "a value",
                got: "the end of the reply".to_owned(),
            }
            .into()
        })
    }

    /// Reads bytes.
    pub fn bytes(&mut self, field: &'static str) -> EngineResult<Bytes> {
        match self.next(field)? {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(self.bad(field, "a string", &other)),
        }
    }

    /// Reads text.
    pub fn text(&mut self, field: &'static str) -> EngineResult<String> {
        let bytes = self.bytes(field)?;
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => Ok(text),
            Err(_) => Err(self.bad(field, "text in UTF-8", &Value::Bytes(bytes))),
        }
    }

    /// Reads text; `None` for the empty one.
    pub fn optional_text(&mut self, field: &'static str) -> EngineResult<Option<String>> {
        self.text(field).map(|text| (!text.is_empty()).then_some(text))
    }

    /// Reads bytes where none differs from empty ones: nothing for none, else `=` and the bytes.
    pub fn maybe_bytes(&mut self, field: &'static str) -> EngineResult<Option<Bytes>> {
        let bytes = self.bytes(field)?;
        match bytes.first() {
            None => Ok(None),
            Some(b'=') => Ok(Some(bytes.slice(1..))),
            Some(_) => Err(self.bad(field, "'' or = and bytes", &Value::Bytes(bytes))),
        }
    }

    /// As [`maybe_bytes`](Self::maybe_bytes), for text.
    pub fn maybe_text(&mut self, field: &'static str) -> EngineResult<Option<String>> {
        match self.maybe_bytes(field)? {
            None => Ok(None),
            Some(bytes) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.bad(field, "text in UTF-8", &Value::Bytes(bytes))),
            },
        }
    }

    /// Reads a packed list of texts.
    pub fn packed(&mut self, field: &'static str) -> EngineResult<Vec<String>> {
        let bytes = self.bytes(field)?;
        let texts = unpack(&bytes).and_then(|parts| {
            let text = |part: &[u8]| String::from_utf8(part.to_vec()).ok();
            parts.into_iter().map(text).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.bad(field, "a packed list of texts", &Value::Bytes(bytes)))
    }

    /// Reads texts joined by commas, each by `FromStr`.
    pub fn joined<T: FromStr, C: FromIterator<T>>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> EngineResult<C> {
        let text = self.text(field)?;
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts
            .map(|part| part.parse().ok())
            .collect::<Option<C>>()
            .ok_or_else(|| self.bad(field, expected, &Value::text(text)))
    }

    /// Reads a number that is not negative: an integer, or its digits.
    pub fn u64(&mut self, field: &'static str) -> EngineResult<u64> {
        let value = self.next(field)?;
        unsigned(&value).ok_or_else(|| self.bad(field, "a whole number", &value))
    }

    /// Reads a number of at most 32 bits.
    pub fn u32(&mut self, field: &'static str) -> EngineResult<u32> {
        let value = self.next(field)?;
        unsigned(&value)
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| self.bad(field, "a whole number of 32 bits", &value))
    }

    /// Reads a signed number.
    pub fn i64(&mut self, field: &'static str) -> EngineResult<i64> {
        let value = self.next(field)?;
        signed(&value).ok_or_else(|| self.bad(field, "an integer", &value))
    }

    /// Reads a number; `None` for the empty text.
    pub fn optional_u64(&mut self, field: &'static str) -> EngineResult<Option<u64>> {
        let value = self.next(field)?;
        if is_empty_text(&value) {
            return Ok(None);
        }
        unsigned(&value).map(Some).ok_or_else(|| self.bad(field, "a whole number or ''", &value))
    }

    /// Reads a signed number; `None` for the empty text.
    pub fn optional_i64(&mut self, field: &'static str) -> EngineResult<Option<i64>> {
        let value = self.next(field)?;
        if is_empty_text(&value) {
            return Ok(None);
        }
        signed(&value).map(Some).ok_or_else(|| self.bad(field, "an integer or ''", &value))
    }

    /// Reads `0` or `1`.
    pub fn flag(&mut self, field: &'static str) -> EngineResult<bool> {
        let value = self.next(field)?;
        match unsigned(&value) {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(self.bad(field, "0 or 1", &value)),
        }
    }

    /// Reads a time.
    pub fn time(&mut self, field: &'static str) -> EngineResult<TimestampMs> {
        self.u64(field).map(TimestampMs::from_millis)
    }

    /// Reads a time; `None` for the empty text.
    pub fn optional_time(&mut self, field: &'static str) -> EngineResult<Option<TimestampMs>> {
        Ok(self.optional_u64(field)?.map(TimestampMs::from_millis))
    }

    /// Reads an id, a name or anything else with a text form of its own.
    pub fn parsed<T: FromStr>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> EngineResult<T> {
        let text = self.text(field)?;
        text.parse().map_err(|_| self.bad(field, expected, &Value::text(text)))
    }

    /// As [`parsed`](Self::parsed); `None` for the empty text.
    pub fn optional_parsed<T: FromStr>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> EngineResult<Option<T>> {
        match self.optional_text(field)? {
            None => Ok(None),
            Some(text) => match text.parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(self.bad(field, expected, &Value::text(text))),
            },
        }
    }

    /// Reads one word of a fixed set.
    pub fn word<T>(
        &mut self,
        field: &'static str,
        parse_word: impl FnOnce(&str) -> Option<T>,
    ) -> EngineResult<T> {
        let text = self.text(field)?;
        parse_word(&text).ok_or_else(|| self.bad(field, "a known word", &Value::text(text)))
    }

    /// As [`word`](Self::word); `None` for the empty text.
    pub fn optional_word<T>(
        &mut self,
        field: &'static str,
        parse_word: impl FnOnce(&str) -> Option<T>,
    ) -> EngineResult<Option<T>> {
        match self.optional_text(field)? {
            None => Ok(None),
            Some(text) => match parse_word(&text) {
                Some(word) => Ok(Some(word)),
                None => Err(self.bad(field, "a known word or ''", &Value::text(text))),
            },
        }
    }

    /// Reads an array.
    pub fn array(&mut self, field: &'static str) -> EngineResult<Self> {
        match self.next(field)? {
            Value::Array(values) => Ok(Self::new(self.function, values)),
            other => Err(self.bad(field, "an array", &other)),
        }
    }

    /// Reads an array whose elements are arrays, each by `read`.
    pub fn list<T>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> EngineResult<T>,
    ) -> EngineResult<Vec<T>> {
        let mut items = self.array(field)?;
        let mut list = Vec::with_capacity(items.len());
        while !items.is_empty() {
            list.push(read(&mut items.array(field)?)?);
        }
        Ok(list)
    }

    /// Reads an array that is empty for none, else a row that `read` reads.
    pub fn optional_row<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Self) -> EngineResult<T>,
    ) -> EngineResult<Option<T>> {
        let mut row = self.array(field)?;
        if row.is_empty() {
            return Ok(None);
        }
        read(&mut row).map(Some)
    }

    /// Reads an array of whole replies.
    pub fn replies(&mut self, field: &'static str) -> EngineResult<Vec<Reply>> {
        let function = self.function;
        self.each(field, |items| Reply::decode(function, items.next(field)?))
    }

    /// Reads an array of sub-replies: `None` for the integer 1, which says that all went as it was
    /// asked for.
    pub fn sub_replies(&mut self, field: &'static str) -> EngineResult<Vec<Option<Reply>>> {
        let function = self.function;
        self.each(field, |items| match items.next(field)? {
            Value::Int(1) => Ok(None),
            other => Reply::decode(function, other).map(Some),
        })
    }

    /// Reads an array of plain values, each by `read`.
    pub fn each<T>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> EngineResult<T>,
    ) -> EngineResult<Vec<T>> {
        let mut items = self.array(field)?;
        let mut list = Vec::with_capacity(items.len());
        while !items.is_empty() {
            list.push(read(&mut items)?);
        }
        Ok(list)
    }
}

fn is_empty_text(value: &Value) -> bool {
    matches!(value, Value::Bytes(bytes) if bytes.is_empty())
}

fn unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        // `parse` takes a leading plus sign; a reply never has one.
        Value::Bytes(bytes) if bytes.first().is_some_and(u8::is_ascii_digit) => {
            std::str::from_utf8(bytes).ok()?.parse().ok()
        }
        _ => None,
    }
}

fn signed(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Bytes(bytes) if bytes.first() != Some(&b'+') => {
            std::str::from_utf8(bytes).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Makes the error for a field that is not of the agreed form.
pub fn parse(
    function: &'static str,
    field: &'static str,
    expected: &'static str,
    got: &Value,
) -> EngineError {
    BugKind::Parse { function, field, expected, got: got.to_string() }.into()
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
