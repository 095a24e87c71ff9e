//! Lease: keep hold of what was claimed.

use crate::execution::{Decision, Execution, Phase};
use crate::settle::open;
use ff_core::contracts::lease::{LeaseRenewed, UpdateProgress};
use ff_core::contracts::notice::WatchExecution;
use ff_core::{EngineResult, Handle, TimestampMs};

/// Extends one lease.
pub fn renew(
    execution: &Execution,
    handle: &Handle,
    lease_ttl_ms: u64,
    now: TimestampMs,
) -> EngineResult<Decision<LeaseRenewed>> {
    let (mut next, now) = open(execution, now)?;
    next.fence(handle)?;
    let expires_at = now.plus_ms(lease_ttl_ms);
    if let Phase::Active(lease) = &mut next.phase {
        lease.expires_at = expires_at;
    }
    let cancel_requested = next.cancel.clone();
    Ok(next.changed(LeaseRenewed { expires_at, cancel_requested }, now))
}

/// Overwrites the progress.
pub fn update_progress(
    execution: &Execution,
    request: &UpdateProgress,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let (mut next, now) = open(execution, now)?;
    next.fence(&request.handle)?;
    next.progress = Some((request.percent, request.message.clone()));
    Ok(next.changed((), now))
}

/// Marks a record as watched, never for less long than it is already.
pub fn watch(
    execution: &Execution,
    request: &WatchExecution,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let (mut next, now) = open(execution, now)?;
    let until = now.plus_ms(request.ttl_ms);
    next.watched_until = next.watched_until.max(Some(until));
    Ok(next.changed((), now))
}
