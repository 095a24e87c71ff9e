//! Submit: items of one partition travel together, partitions at the same time.

use crate::args::{definition, execution, extras, idempotency, submitted};
use crate::backend::ValkeyBackend;
use bytes::Bytes;
use ff_core::contracts::SubmitBackend;
use ff_core::contracts::submit::{
    ExecutionSubmitted, SubmitExecution, SubmitExecutions, split_calls,
};
use ff_core::error::{BugKind, EngineResult};
use ff_core::keys::partition_base;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_script::functions::SUBMIT_EXECUTIONS;
use ff_script::{Reply, Subject};
use futures::future::join_all;
use std::collections::BTreeMap;

/// The outcome of one item.
type Outcome = EngineResult<ExecutionSubmitted>;

/// Items of one partition, each with its place in the request.
type Batch<'a> = Vec<(usize, &'a SubmitExecution)>;

#[async_trait::async_trait]
impl SubmitBackend for ValkeyBackend {
    fn partitions(&self) -> PartitionMap {
        self.partitions
    }

    async fn submit_executions(&self, request: SubmitExecutions) -> EngineResult<Vec<Outcome>> {
        request.check()?;
        let mut outcomes: Vec<Option<Outcome>> = Vec::new();
        outcomes.resize_with(request.items.len(), || None);
        let mut by_partition: BTreeMap<Partition, Batch<'_>> = BTreeMap::new();
        for (place, item) in request.items.iter().enumerate() {
            match item.check(self.partitions) {
                Ok(()) => by_partition
                    .entry(item.execution_id.partition())
                    .or_default()
                    .push((place, item)),
                Err(error) => outcomes[place] = Some(Err(error)),
            }
        }
        let calls =
            by_partition.into_iter().map(|(partition, batch)| self.submit_to(partition, batch));
        for (place, outcome) in join_all(calls).await.into_iter().flatten() {
            outcomes[place] = Some(outcome);
        }
        let missing = || BugKind::Invariant("an item of a submission had no outcome".to_owned());
        let outcomes = outcomes.into_iter();
        Ok(outcomes.map(|outcome| outcome.unwrap_or_else(|| Err(missing().into()))).collect())
    }
}

impl ValkeyBackend {
    /// Submits to one partition, in order, in as few calls as the limits allow.
    async fn submit_to(&self, partition: Partition, batch: Batch<'_>) -> Vec<(usize, Outcome)> {
        let base = partition_base(partition);
        let mut outcomes = Vec::with_capacity(batch.len());
        for call in split_calls(batch, |(_, item)| item.input.len()) {
            let results = self.submit_call(&base, &call).await;
            match results {
                Ok(results) => outcomes.extend(call.iter().map(|(place, _)| *place).zip(results)),
                Err(error) => {
                    outcomes.extend(call.iter().map(|(place, _)| (*place, Err(error.again()))));
                }
            }
        }
        outcomes
    }

    /// Makes one call. An item whose lane has defaults that cannot be read fails alone.
    async fn submit_call(&self, base: &str, call: &Batch<'_>) -> EngineResult<Vec<Outcome>> {
        let mut groups = Vec::with_capacity(call.len() * SUBMIT_EXECUTIONS.group.arguments.len());
        let mut unread = Vec::with_capacity(call.len());
        for (_, item) in call {
            let defaults = self.lane_defaults(&item.namespace, &item.lane).await;
            unread.push(defaults.map(|defaults| groups.extend(group(item, &defaults))).err());
        }
        let mut replies = Vec::new();
        if !groups.is_empty() {
            let function = &SUBMIT_EXECUTIONS;
            let mut fields = self.caller.ok(function, base, [], &groups, &Subject::NONE).await?;
            replies = fields.sub_replies("outcomes")?;
            if replies.len() != unread.iter().filter(|error| error.is_none()).count() {
                let got = ff_script::Value::Int(i64::try_from(replies.len()).unwrap_or(i64::MAX));
                return Err(fields.bad("outcomes", "one outcome an item", &got));
            }
        }
        let mut replies = replies.into_iter();
        let outcomes = call.iter().zip(unread).map(|((_, item), error)| match error {
            Some(error) => Err(error),
            None => match replies.next() {
                Some(reply) => outcome(reply, item),
                None => Err(BugKind::Invariant("an item had no reply".to_owned()).into()),
            },
        });
        Ok(outcomes.collect())
    }
}

/// Writes the six arguments of an item.
fn group(item: &SubmitExecution, defaults: &LaneDefaults) -> [Bytes; 6] {
    let resolved = item.policy.resolve(defaults);
    [
        execution(item.execution_id),
        definition(item, &resolved),
        submitted(item, &resolved),
        idempotency(item.idempotency.as_ref()),
        extras(&resolved),
        item.input.clone(),
    ]
}

fn outcome(reply: Option<Reply>, item: &SubmitExecution) -> Outcome {
    let Some(reply) = reply else {
        return Ok(ExecutionSubmitted::Created { execution_id: item.execution_id });
    };
    let subject = Subject::execution(item.execution_id);
    let partition = item.execution_id.partition();
    let (status, mut fields) = reply.into_success(&subject)?.one_of(&["CREATED", "DUPLICATE"])?;
    let execution_id = crate::decode::execution(&mut fields, partition)?;
    Ok(match status {
        "CREATED" => ExecutionSubmitted::Created { execution_id },
        _ => ExecutionSubmitted::Duplicate { execution_id },
    })
}
