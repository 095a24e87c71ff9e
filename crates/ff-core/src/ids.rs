//! Ids that programs make: version 7 UUIDs, which sort by the time they were made.
//!
//! The caller makes every id, so that a call whose reply was lost can be repeated as it was.

use crate::error::{EngineError, ValidationKind};
use crate::partition::{BudgetPartition, Partition};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

fn parse_uuid(what: &'static str, text: &str) -> Result<Uuid, EngineError> {
    // The hyphenated form alone: ids are compared as text in the store.
    Uuid::try_parse(text).ok().filter(|uuid| uuid.as_hyphenated().to_string() == text).ok_or_else(
        || {
            EngineError::validation(
                ValidationKind::Id,
                format!("{what} {text:?} is not a lower-case, hyphenated UUID"),
            )
        },
    )
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id, later in order than those this process made before.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Takes an id made elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the UUID.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
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
                parse_uuid($what, text).map(Self)
            }
        }
    )*};
}

uuid_ids! {
    /// One attempt at an execution: the id of the lease that began it.
    AttemptId = "attempt id";
    /// One lease: derived from the claim that took it, see [`ClaimId::lease_id`].
    LeaseId = "lease id";
    /// One suspension.
    SuspensionId = "suspension id";
    /// One waitpoint.
    WaitpointId = "waitpoint id";
    /// One delivery of a signal.
    SignalId = "signal id";
    /// One scheduler's grant.
    GrantId = "grant id";
    /// One call of an operation that has no other id of its own.
    MutationId = "mutation id";
}

/// One claim call. Claim ids of one slot grow, so that a late duplicate of an older call is told
/// from the current one. The last three hex digits are zero and number the leases it takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(Uuid);

/// The digits of a claim id that number its leases.
const CLAIM_INDEX_MASK: u128 = 0xfff;

impl ClaimId {
    /// Makes a new claim id, later in order than those this process made before.
    pub fn generate() -> Self {
        Self(Uuid::from_u128(Uuid::now_v7().as_u128() & !CLAIM_INDEX_MASK))
    }

    /// Takes a claim id made elsewhere; refused unless its last three hex digits are zero.
    pub fn from_uuid(uuid: Uuid) -> Result<Self, EngineError> {
        if uuid.as_u128() & CLAIM_INDEX_MASK != 0 {
            return Err(EngineError::validation(
                ValidationKind::Id,
                format!("claim id {uuid} must end in 000"),
            ));
        }
        Ok(Self(uuid))
    }

    /// Returns the UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Returns the id of the `index`th lease that this claim takes.
    pub fn lease_id(self, index: u32) -> LeaseId {
        let index = u128::from(index) & CLAIM_INDEX_MASK;
        LeaseId::from_uuid(Uuid::from_u128(self.0.as_u128() | index))
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClaimId {
    type Err = EngineError;
    fn from_str(text: &str) -> Result<Self, EngineError> {
        Self::from_uuid(parse_uuid("claim id", text)?)
    }
}

impl LeaseId {
    /// Returns the id of the attempt that this lease begins.
    pub const fn begins_attempt(self) -> AttemptId {
        AttemptId(self.0)
    }
}

macro_rules! partitioned_ids {
    ($($(#[$doc:meta])* $name:ident in $partition:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            partition: $partition,
            uuid: Uuid,
        }

        impl $name {
            /// Makes a new id in the partition.
            pub fn generate(partition: $partition) -> Self {
                Self { partition, uuid: Uuid::now_v7() }
            }

            /// Takes an id made elsewhere.
            pub const fn from_parts(partition: $partition, uuid: Uuid) -> Self {
                Self { partition, uuid }
            }

            /// Returns the partition that holds the record.
            pub const fn partition(self) -> $partition {
                self.partition
            }

            /// Returns the id inside the partition.
            pub const fn uuid(self) -> Uuid {
                self.uuid
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", self.partition, self.uuid.as_hyphenated())
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
                let (partition, uuid) = text.split_once("}:").ok_or_else(|| {
                    EngineError::validation(
                        ValidationKind::Id,
                        format!(
                            "{} {text:?} is not of the form {}:<uuid>",
                            $what,
                            $partition::new_unchecked(0),
                        ),
                    )
                })?;
                let partition = format!("{partition}}}").parse()?;
                Ok(Self { partition, uuid: parse_uuid($what, uuid)? })
            }
        }

        impl TryFrom<String> for $name {
            type Error = EngineError;
            fn try_from(text: String) -> Result<Self, EngineError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )*};
}

partitioned_ids! {
    /// One execution, written `{fp:N}:<uuid>`: the id carries its partition for life.
    ExecutionId in Partition = "execution id";
    /// One budget, written `{b:M}:<uuid>`.
    BudgetId in BudgetPartition = "budget id";
}

/// Which attempt of an execution: the first is 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct AttemptIndex(pub u32);

/// The fencing number of a lease: every claim raises it by one, 0 means never claimed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LeaseEpoch(pub u64);

impl fmt::Display for AttemptIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LeaseEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_id_survives_its_text() {
        let id = ExecutionId::generate(Partition::new_unchecked(7));
        assert_eq!(id.to_string().parse::<ExecutionId>().ok(), Some(id));
        assert!(id.to_string().starts_with("{fp:7}:"));
    }

    #[test]
    fn ids_refuse_other_spellings() {
        let uuid = "0197B3B4-0000-7000-8000-000000000000";
        for bad in ["", "x", uuid, "{fp:1}", "{fp:1}:", "{b:1}:0", "{fp:70000}:0", "{fp:01}:0"] {
            assert!(bad.parse::<ExecutionId>().is_err(), "{bad:?}");
        }
        let lower = uuid.to_lowercase();
        assert!(format!("{{fp:01}}:{lower}").parse::<ExecutionId>().is_err());
        assert!(format!("{{fp:1}}:{lower}").parse::<ExecutionId>().is_ok());
        assert!(format!("{{fp:1}}:{uuid}").parse::<ExecutionId>().is_err());
    }

    #[test]
    fn a_claim_numbers_its_leases() {
        let claim = ClaimId::generate();
        assert_ne!(claim.lease_id(0), claim.lease_id(1));
        assert_eq!(claim.lease_id(0).as_uuid(), claim.as_uuid());
        assert!(ClaimId::from_uuid(claim.lease_id(3).as_uuid()).is_err());
    }

    #[test]
    fn claim_ids_grow() {
        let ids: Vec<ClaimId> = (0..1_000).map(|_| ClaimId::generate()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
