//! Lease: renewals of one partition travel together, partitions at the same time.

use crate::args::{handle, maybe, text, with_handle};
use crate::backend::ValkeyBackend;
use crate::decode::cancel;
use bytes::Bytes;
use ff_core::contracts::LeaseBackend;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease, UpdateProgress};
use ff_core::error::{BugKind, EngineResult};
use ff_core::handle::Handle;
use ff_core::keys::partition_base;
use ff_core::partition::Partition;
use ff_script::functions::{RENEW_LEASE, UPDATE_PROGRESS};
use ff_script::{Reply, Subject};
use futures::future::join_all;
use std::collections::BTreeMap;

/// The outcome of one renewal.
type Outcome = EngineResult<LeaseRenewed>;

/// Handles of one partition, each with its place in the request.
type Batch<'a> = Vec<(usize, &'a Handle)>;

#[async_trait::async_trait]
impl LeaseBackend for ValkeyBackend {
    async fn renew_lease(&self, request: RenewLease) -> EngineResult<Vec<Outcome>> {
        request.check()?;
        let mut by_partition: BTreeMap<Partition, Batch<'_>> = BTreeMap::new();
        for (place, handle) in request.handles.iter().enumerate() {
            by_partition
                .entry(handle.execution_id().partition())
                .or_default()
                .push((place, handle));
        }
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(request.handles.len(), || None);
        let calls = by_partition.into_iter().map(|(partition, batch)| async move {
            let results = self.renew(partition, &batch, request.lease_ttl_ms).await;
            (batch, results)
        });
        for (batch, results) in join_all(calls).await {
            match results {
                Ok(results) => {
                    for ((place, _), outcome) in batch.into_iter().zip(results) {
                        outcomes[place] = Some(outcome);
                    }
                }
                Err(error) => {
                    for (place, _) in batch {
                        outcomes[place] = Some(Err(error.again()));
                    }
                }
            }
        }
        let missing = || BugKind::Invariant("a renewal had no outcome".to_owned());
        let outcomes = outcomes.into_iter();
        Ok(outcomes.map(|outcome| outcome.unwrap_or_else(|| Err(missing().into()))).collect())
    }

    async fn update_progress(&self, request: UpdateProgress) -> EngineResult<()> {
        request.check()?;
        let message = maybe(request.message.as_deref().map(str::as_bytes));
        let arguments = with_handle(&request.handle, [text(request.percent), message]);
        let execution_id = request.handle.execution_id();
        self.on_execution(&UPDATE_PROGRESS, execution_id, arguments).await?;
        Ok(())
    }
}

impl ValkeyBackend {
    async fn renew(
        &self,
        partition: Partition,
        batch: &Batch<'_>,
        lease_ttl_ms: u64,
    ) -> EngineResult<Vec<Outcome>> {
        let base = partition_base(partition);
        let groups: Vec<Bytes> = batch.iter().flat_map(|(_, held)| handle(held)).collect();
        let arguments = [text(lease_ttl_ms)];
        let mut fields =
            self.caller.ok(&RENEW_LEASE, &base, arguments, &groups, &Subject::NONE).await?;
        let replies = fields.replies("outcomes")?;
        if replies.len() != batch.len() {
            let got = ff_script::Value::Int(i64::try_from(replies.len()).unwrap_or(i64::MAX));
            return Err(fields.bad("outcomes", "one outcome a handle", &got));
        }
        let handles = batch.iter().map(|(_, handle)| *handle);
        Ok(replies.into_iter().zip(handles).map(|(reply, handle)| renewed(reply, handle)).collect())
    }
}

fn renewed(reply: Reply, handle: &Handle) -> Outcome {
    let subject = Subject::execution(handle.execution_id());
    let mut fields = reply.into_success(&subject)?.ok()?;
    Ok(LeaseRenewed {
        expires_at: fields.time("expires_at")?,
        cancel_requested: fields.optional_row("cancel", cancel)?,
    })
}
