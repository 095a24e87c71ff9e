//! Lease: keep hold of what was claimed.

use crate::error::EngineResult;
use crate::handle::Handle;
use crate::limits::{LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, REASON_BYTES_MAX, RENEWALS_MAX};
use crate::name::check_label;
use crate::policy::{at_most, between};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Extends leases that are held, those of one partition in one server call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewLease {
    /// The claims; 1 to 1 000.
    pub handles: Vec<Handle>,
    /// How long each lasts from now: 1 s to 1 day.
    pub lease_ttl_ms: u64,
}

/// A lease was extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRenewed {
    /// When it runs out now.
    pub expires_at: TimestampMs,
    /// A cancel that is under way, so that a lost notice costs one renewal at most.
    pub cancel_requested: Option<CancelRequested>,
}

/// An operator asked a running execution to stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// Why.
    pub reason: String,
    /// When it was asked.
    pub requested_at: TimestampMs,
    /// When the lease is revoked and the execution ends cancelled, whatever the worker does.
    pub revoke_at: TimestampMs,
}

/// Overwrites the progress of an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateProgress {
    /// The claim.
    pub handle: Handle,
    /// 0 to 100.
    pub percent: u8,
    /// What it is doing; at most 1 024 bytes.
    pub message: Option<String>,
}

impl RenewLease {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("renewals", self.handles.len() as u64, 1, RENEWALS_MAX as u64)?;
        between("lease_ttl_ms", self.lease_ttl_ms, LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX)
    }
}

impl UpdateProgress {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        at_most("progress percent", self.percent.into(), 100)?;
        self.message
            .as_deref()
            .map_or(Ok(()), |text| check_label("progress message", text, REASON_BYTES_MAX))
    }
}

/// Keeps leases alive.
#[async_trait::async_trait]
pub trait LeaseBackend: Send + Sync + fmt::Debug {
    /// Extends each lease to `lease_ttl_ms` from now. One result a handle, in order: one that is
    /// lost does not touch the others. A lease that ran out a millisecond ago is refused. Renewing
    /// twice is harmless.
    async fn renew_lease(
        &self,
        request: RenewLease,
    ) -> EngineResult<Vec<EngineResult<LeaseRenewed>>>;

    /// Overwrites the progress; it never shows in the output stream and extends no lease.
    async fn update_progress(&self, request: UpdateProgress) -> EngineResult<()>;
}
