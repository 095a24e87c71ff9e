//! The stored form of a record: JSON without what stands in columns or tables of its own.

use bytes::Bytes;
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::contracts::suspend::Suspension;
use ff_core::turn::EndedTurn;
use ff_core::{AttemptId, GrantId, LeaseEpoch, MutationId, TimestampMs};
use ff_lifecycle::{
    AcceptedSignal, Definition, Execution, FrameState, MutationOutcome, NextTurn, Phase, Waitpoint,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the column `record` holds. Fields may be added; what a file lacks is empty.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    phase: Phase,
    next: NextTurn,
    epoch: LeaseEpoch,
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt_id: Option<AttemptId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt_left_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_at: Option<TimestampMs>,
    #[serde(default)]
    retries: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    reclaims: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    replays: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mutations: Vec<(MutationId, MutationOutcome)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_grant: Option<(GrantId, TimestampMs)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<(u8, Option<String>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cancel: Option<CancelRequested>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure_category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    turns: Vec<EndedTurn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waitpoints: Vec<Waitpoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    satisfied: Vec<(Suspension, Vec<ResumeSignal>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    suspensions: Vec<Suspension>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resume_signals: Vec<ResumeSignal>,
    #[serde(default, skip_serializing_if = "is_unused")]
    frames: FrameState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watched_until: Option<TimestampMs>,
    pub(super) updated_at: TimestampMs,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn is_unused(frames: &FrameState) -> bool {
    *frames == FrameState::default()
}

/// A record taken apart.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) definition: Arc<Definition>,
    pub(crate) record: Record,
    pub(crate) signals: Vec<AcceptedSignal>,
    pub(crate) result: Option<Bytes>,
}

impl From<Execution> for Parts {
    fn from(execution: Execution) -> Self {
        let record = Record {
            phase: execution.phase,
            next: execution.next,
            epoch: execution.epoch,
            attempts: execution.attempts,
            attempt_id: execution.attempt_id,
            attempt_left_ms: execution.attempt_left_ms,
            deadline_at: execution.deadline_at,
            retries: execution.retries,
            reclaims: execution.reclaims,
            replays: execution.replays,
            mutations: execution.mutations,
            last_grant: execution.last_grant,
            progress: execution.progress,
            cancel: execution.cancel,
            failure_category: execution.failure_category,
            end_reason: execution.end_reason,
            turns: execution.turns,
            waitpoints: execution.waitpoints,
            satisfied: execution.satisfied,
            suspensions: execution.suspensions,
            resume_signals: execution.resume_signals,
            frames: execution.frames,
            watched_until: execution.watched_until,
            updated_at: execution.updated_at,
        };
        Self {
            definition: execution.definition,
            record,
            signals: execution.signals,
            result: execution.result,
        }
    }
}

impl From<Parts> for Execution {
    fn from(parts: Parts) -> Self {
        let Parts { definition, record, signals, result } = parts;
        Self {
            definition,
            phase: record.phase,
            next: record.next,
            epoch: record.epoch,
            attempts: record.attempts,
            attempt_id: record.attempt_id,
            attempt_left_ms: record.attempt_left_ms,
            deadline_at: record.deadline_at,
            retries: record.retries,
            reclaims: record.reclaims,
            replays: record.replays,
            mutations: record.mutations,
            last_grant: record.last_grant,
            progress: record.progress,
            cancel: record.cancel,
            failure_category: record.failure_category,
            end_reason: record.end_reason,
            result,
            turns: record.turns,
            waitpoints: record.waitpoints,
            satisfied: record.satisfied,
            suspensions: record.suspensions,
            signals,
            resume_signals: record.resume_signals,
            frames: record.frames,
            watched_until: record.watched_until,
            updated_at: record.updated_at,
        }
    }
}
