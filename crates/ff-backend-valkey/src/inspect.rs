//! Inspect: what is there, and why.

use crate::args::{execution as id_argument, text};
use crate::backend::ValkeyBackend;
use crate::decode::{self, Extras};
use ff_core::contracts::InspectBackend;
use ff_core::contracts::claim::{ClaimBackend as _, Grant, GrantKind};
use ff_core::contracts::inspect::*;
use ff_core::contracts::suspend::ConditionMatcher;
use ff_core::error::{EngineError, EngineResult, ValidationKind};
use ff_core::explain::{Explanation, explain};
use ff_core::ids::{AttemptId, AttemptIndex, ExecutionId, LeaseEpoch};
use ff_core::keys::partition_base;
use ff_core::name::{LaneId, Namespace};
use ff_core::partition::Partition;
use ff_core::policy::{Backoff, EffectivePolicy, RetryPolicy};
use ff_core::state::*;
use ff_core::turn::EndedTurn;
use ff_script::functions::{
    DESCRIBE_EXECUTION, LIST_EXECUTIONS, LIST_LANES, LIST_TURNS, READ_RESULT,
};
use ff_script::{Fields, Subject, Value};
use futures::future::try_join_all;
use std::collections::BTreeMap;

/// What separates the partition from the function's cursor in a [`ListCursor`].
const CURSOR_SEPARATOR: char = '|';

#[async_trait::async_trait]
impl InspectBackend for ValkeyBackend {
    async fn describe_execution(&self, execution_id: ExecutionId) -> EngineResult<ExecutionInfo> {
        Ok(self.describe(execution_id).await?.0)
    }

    async fn list_turns(&self, execution_id: ExecutionId) -> EngineResult<Vec<EndedTurn>> {
        let arguments = [id_argument(execution_id)];
        let mut fields = self.on_execution(&LIST_TURNS, execution_id, arguments).await?;
        fields.list("turns", decode::turn)
    }

    async fn read_result(&self, execution_id: ExecutionId) -> EngineResult<ExecutionResult> {
        let arguments = [id_argument(execution_id)];
        let mut fields = self.on_execution(&READ_RESULT, execution_id, arguments).await?;
        Ok(ExecutionResult {
            terminal_outcome: fields.word("terminal_outcome", TerminalOutcome::parse)?,
            result: fields.maybe_bytes("result")?,
            failure_category: fields.optional_text("failure_category")?,
            end_reason: fields.optional_text("end_reason")?,
        })
    }

    async fn list_executions(&self, request: ListExecutions) -> EngineResult<ExecutionPage> {
        request.check()?;
        let (mut partition, mut cursor) = self.parse_cursor(request.cursor.as_ref())?;
        let mut page = ExecutionPage::default();
        let limit = request.limit as usize;
        loop {
            let left = limit - page.executions.len();
            let next = self.list_in(partition, &cursor, left, &request, &mut page).await?;
            let following = partition.number() + 1;
            (partition, cursor) = match next {
                Some(next) => (partition, next),
                None if following < self.partitions.count() => {
                    (Partition::new_unchecked(following), String::new())
                }
                None => return Ok(page),
            };
            if page.executions.len() >= limit {
                let number = partition.number();
                page.next = Some(ListCursor(format!("{number}{CURSOR_SEPARATOR}{cursor}")));
                return Ok(page);
            }
        }
    }

    async fn list_lanes(&self, namespace: Namespace) -> EngineResult<Vec<LaneInfo>> {
        let partitions = self.partitions.iter();
        let calls = partitions.map(|partition| self.lanes_in(partition, &namespace));
        let mut sums: BTreeMap<LaneId, Vec<u64>> = BTreeMap::new();
        for (lane, counts) in try_join_all(calls).await?.into_iter().flatten() {
            let sum = sums.entry(lane).or_insert_with(|| vec![0; counts.len()]);
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let info = |(lane, counts): (LaneId, Vec<u64>)| LaneInfo {
            namespace: namespace.clone(),
            lane,
            counts: OwnerIndex::ALL.iter().copied().zip(counts).collect(),
        };
        Ok(sums.into_iter().map(info).collect())
    }

    async fn explain_execution(&self, execution_id: ExecutionId) -> EngineResult<Explanation> {
        let (info, ahead) = self.describe(execution_id).await?;
        let workers = self.list_workers(info.namespace.clone()).await?;
        let now = self.clock.now();
        Ok(explain(&info, &workers, ahead, now))
    }
}

impl ValkeyBackend {
    /// Describes an execution and counts those before it in its ready index.
    async fn describe(&self, execution_id: ExecutionId) -> EngineResult<(ExecutionInfo, u64)> {
        let arguments = [id_argument(execution_id)];
        let mut fields = self.on_execution(&DESCRIBE_EXECUTION, execution_id, arguments).await?;
        let info = execution_info(&mut fields, execution_id)?;
        Ok((info, fields.u64("ahead")?))
    }

    fn parse_cursor(&self, cursor: Option<&ListCursor>) -> EngineResult<(Partition, String)> {
        let Some(ListCursor(text)) = cursor else {
            return Ok((Partition::new_unchecked(0), String::new()));
        };
        let (number, rest) = text.split_once(CURSOR_SEPARATOR).unwrap_or((text, ""));
        match number.parse::<u16>() {
            Ok(number) if number < self.partitions.count() => {
                Ok((Partition::new_unchecked(number), rest.to_owned()))
            }
            _ => Err(EngineError::validation(
                ValidationKind::Cursor,
                format!("cursor {text:?} is not one that a listing answered"),
            )),
        }
    }

    /// Adds rows of one partition to the page; returns where the partition goes on.
    async fn list_in(
        &self,
        partition: Partition,
        cursor: &str,
        limit: usize,
        request: &ListExecutions,
        page: &mut ExecutionPage,
    ) -> EngineResult<Option<String>> {
        let arguments = [
            text(&request.namespace),
            text(&request.lane),
            text(request.state),
            text(cursor),
            text(limit),
        ];
        let base = partition_base(partition);
        let mut fields =
            self.caller.ok(&LIST_EXECUTIONS, &base, arguments, &[], &Subject::NONE).await?;
        let next = fields.optional_text("next")?;
        page.executions.extend(fields.list("executions", |row| {
            Ok(ExecutionSummary {
                execution_id: decode::execution(row, partition)?,
                kind: row.parsed("kind", "an execution kind")?,
                public_state: request.state,
                attempts: row.u32("attempts")?,
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
            })
        })?);
        Ok(next)
    }

    async fn lanes_in(
        &self,
        partition: Partition,
        namespace: &Namespace,
    ) -> EngineResult<Vec<(LaneId, Vec<u64>)>> {
        let base = partition_base(partition);
        let arguments = [text(namespace)];
        let mut fields = self.caller.ok(&LIST_LANES, &base, arguments, &[], &Subject::NONE).await?;
        fields.list("lanes", |row| {
            let lane = row.parsed("lane", "a lane")?;
            let counts = OwnerIndex::ALL.iter().map(|index| row.u64(index.as_str()));
            Ok((lane, counts.collect::<EngineResult<_>>()?))
        })
    }
}

/// Reads the description of an execution, field by field as `docs/wire.md` lists them.
fn execution_info(f: &mut Fields, execution_id: ExecutionId) -> EngineResult<ExecutionInfo> {
    let namespace = f.parsed("namespace", "a namespace")?;
    let lane = f.parsed("lane", "a lane")?;
    let kind = f.parsed("kind", "an execution kind")?;
    let policy = policy(f)?;
    let fairness_key = f.optional_parsed("fairness_key", "a fairness key or ''")?;
    let public_state = f.word("public_state", PublicState::parse)?;
    let lifecycle_phase = f.word("lifecycle_phase", LifecyclePhase::parse)?;
    let terminal_outcome = f.word("terminal_outcome", TerminalOutcome::parse)?;
    let delay_reason = f.optional_word("delay_reason", DelayReason::parse)?;
    let delay_until = f.optional_time("delay_until")?;
    let grant = f.optional_row("grant", |row| grant(row, execution_id))?;
    let lease_epoch = LeaseEpoch(f.u64("lease_epoch")?);
    let lease = f.optional_row("lease", lease)?;
    Ok(ExecutionInfo {
        execution_id,
        namespace,
        lane,
        kind,
        policy,
        fairness_key,
        public_state,
        lifecycle_phase,
        terminal_outcome,
        delay_reason,
        delay_until,
        grant,
        lease_epoch,
        lease,
        // Fields of a struct expression are evaluated in the order written.
        attempt: attempt(f)?,
        resumes: f.flag("resumes")?,
        attempt_timeout_at: f.optional_time("attempt_timeout_at")?,
        deadline_at: f.optional_time("deadline_at")?,
        ready_score: f.optional_i64("ready_score")?,
        retries: f.u32("retries")?,
        reclaims: f.u32("reclaims")?,
        replays: f.u32("replays")?,
        progress: f.optional_row("progress", progress)?,
        cancel_requested: f.optional_row("cancel", decode::cancel)?,
        suspension: f.optional_row("suspension", suspension)?,
        waitpoints: f.list("waitpoints", waitpoint)?,
        signals: f.u64("signals")?,
        resume_signals: f.list("resume_signals", decode::resume_signal)?,
        frame_count: f.u64("frame_count")?,
        failure_category: f.optional_text("failure_category")?,
        end_reason: f.optional_text("end_reason")?,
        has_result: f.flag("has_result")?,
        created_at: f.time("created_at")?,
        updated_at: f.time("updated_at")?,
        ended_at: f.optional_time("ended_at")?,
        retained_until: f.optional_time("retained_until")?,
    })
}

/// Reads the policy, the route, the extras, the start and the deadline.
fn policy(f: &mut Fields) -> EngineResult<EffectivePolicy> {
    let numbers = f.text("policy")?;
    let required_capabilities = f.joined("route", "capabilities joined by commas")?;
    let extras = Extras::read(f)?;
    let start = decode::when(f, "start")?;
    let deadline = decode::when(f, "deadline")?;
    let mut policy = parse_policy(&numbers)
        .ok_or_else(|| f.bad("policy", "twelve numbers joined by commas", &Value::text(numbers)))?;
    policy.retry.retryable_categories = extras.retryable_categories;
    policy.retry.permanent_categories = extras.permanent_categories;
    Ok(EffectivePolicy {
        start,
        deadline,
        required_capabilities,
        budgets: extras.budgets,
        tags: extras.tags,
        ..policy
    })
}

fn parse_policy(numbers: &str) -> Option<EffectivePolicy> {
    let parts: Vec<&str> = numbers.split(',').collect();
    let [
        priority,
        lead_ms,
        attempt_timeout_ms,
        retries_max,
        backoff,
        initial_ms,
        ceiling_ms,
        growth_pct,
        jitter_pct,
        reclaims_max,
        replays_max,
        retention_ms,
    ] = parts.as_slice()
    else {
        return None;
    };
    let backoff = match *backoff {
        "f" => Backoff::Fixed { delay_ms: initial_ms.parse().ok()? },
        "e" => Backoff::Exponential {
            initial_ms: initial_ms.parse().ok()?,
            ceiling_ms: ceiling_ms.parse().ok()?,
            growth_pct: growth_pct.parse().ok()?,
        },
        _ => return None,
    };
    Some(EffectivePolicy {
        start: None,
        priority: priority.parse().ok()?,
        lead_ms: lead_ms.parse().ok()?,
        deadline: None,
        attempt_timeout_ms: match *attempt_timeout_ms {
            "" => None,
            digits => Some(digits.parse().ok()?),
        },
        retry: RetryPolicy {
            retries_max: retries_max.parse().ok()?,
            backoff,
            jitter_pct: jitter_pct.parse().ok()?,
            ..RetryPolicy::default()
        },
        reclaims_max: reclaims_max.parse().ok()?,
        replays_max: replays_max.parse().ok()?,
        retention_ms: retention_ms.parse().ok()?,
        required_capabilities: Default::default(),
        budgets: Vec::new(),
        tags: BTreeMap::new(),
    })
}

fn grant(row: &mut Fields, execution_id: ExecutionId) -> EngineResult<GrantInfo> {
    let kinds = [GrantKind::Claim, GrantKind::Reclaim];
    let kind = |word: &str| kinds.into_iter().find(|kind| kind.as_str() == word);
    let grant = Grant {
        grant_id: row.parsed("grant_id", "a grant id")?,
        execution_id,
        worker_instance_id: row.parsed("worker_instance_id", "a name")?,
        kind: row.word("grant_kind", kind)?,
    };
    Ok(GrantInfo { grant, expires_at: row.time("expires_at")? })
}

fn lease(row: &mut Fields) -> EngineResult<LeaseInfo> {
    Ok(LeaseInfo {
        lease_id: row.parsed("lease_id", "a lease id")?,
        worker_id: row.parsed("worker_id", "a name")?,
        worker_instance_id: row.parsed("worker_instance_id", "a name")?,
        started_at: row.time("started_at")?,
        expires_at: row.time("expires_at")?,
        kind: row.word("handle_kind", HandleKind::parse)?,
    })
}

/// Reads the number of attempts begun and the id of the last of them.
fn attempt(f: &mut Fields) -> EngineResult<Option<(AttemptIndex, AttemptId)>> {
    let attempts = f.u32("attempts")?;
    let attempt_id: Option<AttemptId> = f.optional_parsed("attempt_id", "an attempt id or ''")?;
    match (attempts.checked_sub(1), attempt_id) {
        (None, None) => Ok(None),
        (Some(index), Some(id)) => Ok(Some((AttemptIndex(index), id))),
        (_, id) => {
            let got = id.map_or_else(String::new, |id| id.to_string());
            Err(f.bad("attempt_id", "one exactly when there are attempts", &Value::text(got)))
        }
    }
}

fn progress(row: &mut Fields) -> EngineResult<(u8, Option<String>)> {
    let percent = row.u32("percent")?;
    let got = Value::Int(percent.into());
    let percent = u8::try_from(percent)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| row.bad("percent", "0 to 100", &got))?;
    Ok((percent, row.maybe_text("message")?))
}

fn suspension(row: &mut Fields) -> EngineResult<SuspensionInfo> {
    let suspension_id = row.parsed("suspension_id", "a suspension id")?;
    let waitpoint_id = row.parsed("waitpoint_id", "a waitpoint id")?;
    let reason_code = row.text("reason_code")?;
    let timeout_at = row.optional_time("timeout_at")?;
    let timeout_behavior = row.word("timeout_behavior", TimeoutBehavior::parse)?;
    let escalated = row.flag("escalated")?;
    let suspended_at = row.time("suspended_at")?;
    let matchers = row.list("matchers", |row| {
        let matcher = ConditionMatcher {
            signal_name: row.text("signal_name")?,
            waitpoint_key: row.optional_parsed("waitpoint_key", "a waitpoint key or ''")?,
        };
        Ok((matcher, row.optional_parsed("signal_id", "a signal id or ''")?))
    })?;
    Ok(SuspensionInfo {
        suspension_id,
        waitpoint_id,
        reason_code,
        matchers,
        timeout_at,
        timeout_behavior,
        escalated,
        suspended_at,
    })
}

fn waitpoint(row: &mut Fields) -> EngineResult<WaitpointInfo> {
    Ok(WaitpointInfo {
        waitpoint_id: row.parsed("waitpoint_id", "a waitpoint id")?,
        waitpoint_key: row.parsed("waitpoint_key", "a waitpoint key")?,
        state: row.word("waitpoint_state", WaitpointState::parse)?,
        kid: row.text("kid")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use ff_core::policy::{ExecutionPolicy, LaneDefaults};

    #[test]
    fn a_policy_comes_back_as_it_was_written() {
        let fixed = RetryPolicy { backoff: Backoff::Fixed { delay_ms: 7 }, ..RetryPolicy::none() };
        for given in [
            ExecutionPolicy::default(),
            ExecutionPolicy {
                priority: -3,
                attempt_timeout_ms: Some(5),
                retry: Some(fixed),
                ..ExecutionPolicy::default()
            },
        ] {
            let policy = given.resolve(&LaneDefaults::default());
            let written = args::policy(&policy);
            let text = written.as_str();
            assert_eq!(parse_policy(text).as_ref(), Some(&policy));
        }
        assert_eq!(parse_policy("1,2,3"), None);
    }
}
