//! Lease: keep hold of what was claimed.

use crate::EmbeddedBackend;
use crate::backend::change_in;
use crate::store::{Room, Store};
use ff_core::contracts::LeaseBackend;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease, UpdateProgress};
use ff_core::{EngineResult, Handle};
use ff_lifecycle::lease;

#[async_trait::async_trait]
impl<S: Store> LeaseBackend for EmbeddedBackend<S> {
    async fn renew_lease(
        &self,
        request: RenewLease,
    ) -> EngineResult<Vec<EngineResult<LeaseRenewed>>> {
        request.check()?;
        self.store.works("renew_lease")?;
        let renew = move |room: &mut S::Room, now| {
            let renew = |handle: &Handle| {
                let id = handle.execution_id();
                change_in(room.partition(id.partition())?, id, now, |execution, now| {
                    lease::renew(execution, handle, request.lease_ttl_ms, now)
                })
            };
            Ok(request.handles.iter().map(renew).collect())
        };
        self.store.write("renew_lease", renew).await
    }

    async fn update_progress(&self, request: UpdateProgress) -> EngineResult<()> {
        request.check()?;
        self.store.works("update_progress")?;
        self.change("update_progress", request.handle.execution_id(), move |execution, now| {
            lease::update_progress(execution, &request, now)
        })
        .await
    }
}
