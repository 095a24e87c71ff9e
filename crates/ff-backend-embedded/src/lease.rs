//! Lease: keep hold of what was claimed.

use crate::MemoryBackend;
use ff_core::EngineResult;
use ff_core::contracts::LeaseBackend;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease, UpdateProgress};

#[async_trait::async_trait]
impl LeaseBackend for MemoryBackend {
    async fn renew_lease(
        &self,
        request: RenewLease,
    ) -> EngineResult<Vec<EngineResult<LeaseRenewed>>> {
        request.check()?;
        let renew = |handle: &ff_core::Handle| {
            self.change(handle.execution_id(), |execution, now| {
                ff_lifecycle::lease::renew(execution, handle, request.lease_ttl_ms, now)
            })
        };
        Ok(request.handles.iter().map(renew).collect())
    }

    async fn update_progress(&self, request: UpdateProgress) -> EngineResult<()> {
        request.check()?;
        self.change(request.handle.execution_id(), |execution, now| {
            ff_lifecycle::lease::update_progress(execution, &request, now)
        })
    }
}
