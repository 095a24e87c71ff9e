//! Partitions: which slot of the store holds what.
//!
//! Executions, their streams and timers live in `{fp:N}`, budgets in `{b:M}`. The braces are a
//! cluster hash tag, so that all keys of a partition stand in one slot.

use crate::error::{EngineError, ValidationKind};
use crate::limits::PARTITIONS_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

macro_rules! partitions {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(u16);

        impl $name {
            /// Takes a partition number below the largest count.
            pub fn new(number: u16) -> Result<Self, EngineError> {
                if number >= PARTITIONS_MAX {
                    return Err(EngineError::validation(
                        ValidationKind::Id,
                        format!("partition {number} is not below {PARTITIONS_MAX}"),
                    ));
                }
                Ok(Self(number))
            }

            /// Takes a number known to be below the count.
            pub const fn new_unchecked(number: u16) -> Self {
                Self(number)
            }

            /// Returns the number.
            pub const fn number(self) -> u16 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{{", $tag, ":{}}}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = EngineError;
            fn from_str(text: &str) -> Result<Self, EngineError> {
                text.strip_prefix(concat!("{", $tag, ":"))
                    .and_then(|rest| rest.strip_suffix('}'))
                    .and_then(|digits| {
                        digits.parse().ok().filter(|n: &u16| n.to_string() == digits)
                    })
                    .ok_or_else(|| {
                        EngineError::validation(
                            ValidationKind::Id,
                            format!(concat!("{:?} is not of the form {{", $tag, ":N}}"), text),
                        )
                    })
                    .and_then(Self::new)
            }
        }

        impl TryFrom<String> for $name {
            type Error = EngineError;
            fn try_from(text: String) -> Result<Self, EngineError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(partition: $name) -> String {
                partition.to_string()
            }
        }
    )*};
}

partitions! {
    /// A partition of executions, written `{fp:N}`.
    Partition = "fp";
    /// A partition of budgets, written `{b:M}`.
    BudgetPartition = "b";
}

/// How many partitions a store has, and where new work goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionMap {
    count: u16,
}

impl PartitionMap {
    /// Takes the number of partitions of each family, 1 to [`PARTITIONS_MAX`].
    pub fn new(count: u16) -> Result<Self, EngineError> {
        if count == 0 || count > PARTITIONS_MAX {
            return Err(EngineError::validation(
                ValidationKind::Argument,
                format!("partition count {count} is not between 1 and {PARTITIONS_MAX}"),
            ));
        }
        Ok(Self { count })
    }

    /// Returns the number of partitions.
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Lists the partitions of executions.
    pub fn iter(self) -> impl Iterator<Item = Partition> + Clone {
        (0..self.count).map(Partition)
    }

    /// Lists the partitions of budgets.
    pub fn budgets(self) -> impl Iterator<Item = BudgetPartition> + Clone {
        (0..self.count).map(BudgetPartition)
    }

    /// Returns the partition that call number `turn` of an unkeyed submission goes to.
    pub fn rotate(self, turn: u64) -> Partition {
        Partition(u16::try_from(turn % u64::from(self.count)).unwrap_or(0))
    }

    /// Returns the home of an idempotency key: every submission under it must go there.
    pub fn home(self, namespace: &str, key: &str) -> Partition {
        let mut hash = Sha256::new();
        hash.update((namespace.len() as u64).to_be_bytes());
        hash.update(namespace);
        hash.update(key);
        let digest: [u8; 32] = hash.finalize().into();
        let first = u64::from_be_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ]);
        self.rotate(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_home_whatever_its_split() {
        let map = PartitionMap::new(64).expect("64 is legal");
        assert_eq!(map.home("a", "bc"), map.home("a", "bc"));
        let homes: std::collections::BTreeSet<u16> =
            (0..1_000).map(|n| map.home("ns", &n.to_string()).number()).collect();
        assert_eq!(homes.len(), 64);
    }

    #[test]
    fn a_map_needs_at_least_one_partition() {
        assert!(PartitionMap::new(0).is_err());
        assert!(PartitionMap::new(PARTITIONS_MAX + 1).is_err());
    }
}
