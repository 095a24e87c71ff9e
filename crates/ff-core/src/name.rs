//! Names that people choose: lanes, namespaces, workers, kinds, capabilities.
//!
//! A name is 1 to 64 bytes and holds no `:`, `{`, `}`, white space or control character, so it
//! can stand inside a key. Each kind of name is a type of its own; cloning one is cheap.

use crate::error::{EngineError, ValidationKind};
use crate::limits::NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

fn check(what: &'static str, text: &str, forbidden: &[char]) -> Result<(), EngineError> {
    let reason = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > NAME_BYTES_MAX {
        format!("is {} bytes, the limit is {NAME_BYTES_MAX}", text.len())
    } else if let Some(bad) =
        text.chars().find(|c| c.is_control() || c.is_whitespace() || forbidden.contains(c))
    {
        format!("holds {bad:?}; white space, control characters and {forbidden:?} are refused")
    } else {
        return Ok(());
    };
    Err(EngineError::validation(ValidationKind::Name, format!("{what} {reason}")))
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $forbidden:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the text; see the module's rules.
            pub fn new(text: impl AsRef<str>) -> Result<Self, EngineError> {
                check($what, text.as_ref(), $forbidden)?;
                Ok(Self(text.as_ref().into()))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = EngineError;
            fn from_str(text: &str) -> Result<Self, EngineError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = EngineError;
            fn try_from(text: String) -> Result<Self, EngineError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

const PLAIN: &[char] = &[':', '{', '}'];
const TOKEN: &[char] = &[':', '{', '}', ','];

names! {
    /// The isolation boundary: who may see and touch a lane.
    Namespace = "namespace", PLAIN;
    /// A queue of executions inside a namespace.
    LaneId = "lane", PLAIN;
    /// What an execution does; picks the handler.
    ExecutionKind = "execution kind", PLAIN;
    /// A tenant among those that share a lane.
    FairnessKey = "fairness key", PLAIN;
    /// The name of a worker as its operator knows it; instances may share it.
    WorkerId = "worker id", PLAIN;
    /// One running process (or part of one) of a worker; unique while it lives.
    WorkerInstanceId = "worker instance id", PLAIN;
    /// Something that an execution requires and a worker offers; holds no comma either.
    Capability = "capability", TOKEN;
    /// The caller's name for a waitpoint, unique among the open ones of an execution.
    WaitpointKey = "waitpoint key", PLAIN;
    /// The id of a key in the keyring; holds no dot either.
    KeyId = "key id", &[':', '{', '}', ',', '.'];
    /// What a budget counts, such as `input_tokens`; holds no comma either.
    Dimension = "dimension", TOKEN;
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}

impl Default for LaneId {
    fn default() -> Self {
        Self("default".into())
    }
}

/// Checks a lower_snake_case word of at most 64 bytes: error categories and reason codes.
pub fn check_snake_case(what: &'static str, word: &str) -> Result<(), EngineError> {
    let legal = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let starts = word.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if legal && starts && word.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(EngineError::validation(
        ValidationKind::Name,
        format!("{what} {word:?} is not lower_snake_case of 1 to {NAME_BYTES_MAX} bytes"),
    ))
}

/// Checks free text: at most `bytes_max` bytes and no control characters.
pub fn check_label(what: &'static str, text: &str, bytes_max: usize) -> Result<(), EngineError> {
    if text.len() > bytes_max {
        return Err(EngineError::validation(
            ValidationKind::TooLarge,
            format!("{what} is {} bytes, the limit is {bytes_max}", text.len()),
        ));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(EngineError::validation(
            ValidationKind::Name,
            format!("{what} holds a control character"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_refuses_what_a_key_cannot_hold() {
        for bad in ["", "a:b", "{a", "a}", "a b", "a\u{7}", "\u{a0}", &"x".repeat(65)] {
            assert!(LaneId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(LaneId::new("a,b").map(String::from).as_deref().ok(), Some("a,b"));
        assert!(Capability::new("a,b").is_err());
    }

    #[test]
    fn a_category_is_lower_snake_case() {
        assert!(check_snake_case("category", "rate_limited").is_ok());
        for bad in ["", "_x", "Rate", "a-b", "1a", &"x".repeat(65)] {
            assert!(check_snake_case("category", bad).is_err(), "{bad:?}");
        }
    }
}
