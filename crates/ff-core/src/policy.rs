//! How one execution is to be run: when, how often, for how long, by whom.
//!
//! A caller names what it cares about; what it leaves out comes from the lane's defaults, and
//! what the lane leaves out from the constants here. [`ExecutionPolicy::resolve`] joins the three.

use crate::error::{EngineError, ValidationKind};
use crate::ids::BudgetId;
use crate::limits::*;
use crate::name::{Capability, check_label, check_snake_case};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Retries when neither the caller nor the lane says otherwise.
pub const RETRIES_MAX_DEFAULT: u32 = 3;
/// Reclaims after which an execution counts as poisoned and ends failed.
pub const RECLAIMS_MAX_DEFAULT: u32 = 10;
/// Replays of one execution.
pub const REPLAYS_MAX_DEFAULT: u32 = 10;
/// How long a finished execution is kept: one day.
pub const RETENTION_MS_DEFAULT: u64 = DAY_MS;

/// An instant, named outright or counted from the submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This many milliseconds after the engine accepts the submission.
    After(u64),
    /// At this time.
    At(TimestampMs),
}

impl When {
    /// Returns the instant, counted from `now`.
    pub const fn at(self, now: TimestampMs) -> TimestampMs {
        match self {
            Self::After(span_ms) => now.plus_ms(span_ms),
            Self::At(at) => at,
        }
    }

    fn check(self, what: &str) -> Result<(), EngineError> {
        match self {
            Self::After(span_ms) => at_most(what, span_ms, SPAN_MS_MAX),
            Self::At(at) => at_most(what, at.as_millis(), TIMESTAMP_MS_MAX),
        }
    }
}

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// The same wait before every retry.
    Fixed {
        /// The wait.
        delay_ms: u64,
    },
    /// `initial_ms`, then each time `growth_pct` percent of the wait before, up to `ceiling_ms`.
    Exponential {
        /// The first wait.
        initial_ms: u64,
        /// The longest wait.
        ceiling_ms: u64,
        /// Growth a retry: 200 doubles. At least 100.
        growth_pct: u32,
    },
}

/// Which failures are tried again, how often and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryPolicy {
    /// Retries after the first attempt; 0 means that the first failure is final.
    pub retries_max: u32,
    /// The wait before a retry.
    pub backoff: Backoff,
    /// Up to this share of the wait is taken off, by bits of the execution's id and the number of
    /// the retry, so that executions that failed together do not return together. 0 to 100.
    pub jitter_pct: u32,
    /// Categories that are tried again; empty means all.
    pub retryable_categories: BTreeSet<String>,
    /// Categories that are never tried again, whatever the set above says.
    pub permanent_categories: BTreeSet<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_max: RETRIES_MAX_DEFAULT,
            backoff: Backoff::Exponential {
                initial_ms: 1_000,
                ceiling_ms: 60_000,
                growth_pct: 200,
            },
            jitter_pct: 20,
            retryable_categories: BTreeSet::new(),
            permanent_categories: BTreeSet::new(),
        }
    }
}

impl RetryPolicy {
    /// Never tries again.
    pub fn none() -> Self {
        Self { retries_max: 0, ..Self::default() }
    }

    /// Tells whether a failure of this category may be tried again, retries left or not.
    pub fn retries(&self, category: &str) -> bool {
        !self.permanent_categories.contains(category)
            && (self.retryable_categories.is_empty()
                || self.retryable_categories.contains(category))
    }

    /// Returns the wait before retry number `retry` (0 for the first), with jitter drawn from
    /// `bits`. Integer steps alone, so that both interpreters of the rules agree.
    pub fn wait_ms(&self, retry: u32, bits: u16) -> u64 {
        let wait_ms = match self.backoff {
            Backoff::Fixed { delay_ms } => delay_ms,
            Backoff::Exponential { initial_ms, ceiling_ms, growth_pct } => {
                let mut wait_ms = initial_ms.min(ceiling_ms);
                let mut step = 0;
                while growth_pct > 100 && step < retry && wait_ms > 0 && wait_ms < ceiling_ms {
                    wait_ms = (wait_ms * u64::from(growth_pct) / 100).min(ceiling_ms);
                    step += 1;
                }
                wait_ms
            }
        };
        let span_ms = wait_ms * u64::from(self.jitter_pct) / 100;
        wait_ms - span_ms * u64::from(bits) / 65_536
    }

    fn check(&self) -> Result<(), EngineError> {
        at_most("retries_max", u64::from(self.retries_max), u64::from(COUNT_CAP_MAX))?;
        at_most("jitter_pct", u64::from(self.jitter_pct), 100)?;
        match self.backoff {
            Backoff::Fixed { delay_ms } => at_most("backoff delay_ms", delay_ms, BACKOFF_MS_MAX)?,
            Backoff::Exponential { initial_ms, ceiling_ms, growth_pct } => {
                at_most("backoff initial_ms", initial_ms, BACKOFF_MS_MAX)?;
                at_most("backoff ceiling_ms", ceiling_ms, BACKOFF_MS_MAX)?;
                between(
                    "backoff growth_pct",
                    u64::from(growth_pct),
                    100,
                    BACKOFF_GROWTH_PCT_MAX.into(),
                )?;
            }
        }
        let categories = self.retryable_categories.iter().chain(&self.permanent_categories);
        at_most("error categories", categories.clone().count() as u64, CATEGORIES_MAX as u64)?;
        categories.into_iter().try_for_each(|c| check_snake_case("error category", c))
    }
}

/// What a submission may ask for. Every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutionPolicy {
    /// Not to be claimed before this; a time in the past means at once.
    pub start: Option<When>,
    /// Higher goes first; -1 000 to 1 000, 0 by default. Each step is worth the lane's head-start,
    /// so nothing starves.
    pub priority: i32,
    /// Ends `expired` if it is still live then, whatever it is doing. Must lie ahead. A replay
    /// gets the same span again.
    pub deadline: Option<When>,
    /// An attempt that has run this long fails with category `attempt_timeout`; time spent
    /// suspended or delayed is not counted. At least 1.
    pub attempt_timeout_ms: Option<u64>,
    /// What to do about failures.
    pub retry: Option<RetryPolicy>,
    /// Leases that may be lost to crashes before the execution ends failed.
    pub reclaims_max: Option<u32>,
    /// Replays that are allowed after it ended.
    pub replays_max: Option<u32>,
    /// How long the finished execution is kept. At least [`RETENTION_MS_MIN`].
    pub retention_ms: Option<u64>,
    /// Only a worker that offers all of these may claim it.
    pub required_capabilities: BTreeSet<Capability>,
    /// Budgets that the work is charged to; handed to the worker with the claim.
    pub budgets: Vec<BudgetId>,
    /// Free labels: at most 32, keys as names, values at most 256 bytes.
    pub tags: BTreeMap<String, String>,
}

/// What a lane gives to the executions that leave a field of their policy out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneDefaults {
    /// What one step of priority is worth.
    pub head_start_ms: u64,
    /// As [`ExecutionPolicy::attempt_timeout_ms`].
    pub attempt_timeout_ms: Option<u64>,
    /// As [`ExecutionPolicy::retry`].
    pub retry: RetryPolicy,
    /// As [`ExecutionPolicy::reclaims_max`].
    pub reclaims_max: u32,
    /// As [`ExecutionPolicy::replays_max`].
    pub replays_max: u32,
    /// As [`ExecutionPolicy::retention_ms`].
    pub retention_ms: u64,
}

impl Default for LaneDefaults {
    fn default() -> Self {
        Self {
            head_start_ms: HEAD_START_MS_DEFAULT,
            attempt_timeout_ms: None,
            retry: RetryPolicy::default(),
            reclaims_max: RECLAIMS_MAX_DEFAULT,
            replays_max: REPLAYS_MAX_DEFAULT,
            retention_ms: RETENTION_MS_DEFAULT,
        }
    }
}

impl LaneDefaults {
    /// Refuses values out of bounds.
    pub fn check(&self) -> Result<(), EngineError> {
        at_most("head_start_ms", self.head_start_ms, HEAD_START_MS_MAX)?;
        check_spans(self.attempt_timeout_ms, Some(self.retention_ms))?;
        at_most("reclaims_max", self.reclaims_max.into(), COUNT_CAP_MAX.into())?;
        at_most("replays_max", self.replays_max.into(), COUNT_CAP_MAX.into())?;
        self.retry.check()
    }
}

/// A policy with nothing left out: what the rules work with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectivePolicy {
    /// When it may first be claimed.
    pub start: Option<When>,
    /// The priority as asked for.
    pub priority: i32,
    /// Priority times the lane's head-start: taken off the ready time to get the score.
    pub lead_ms: i64,
    /// When it expires.
    pub deadline: Option<When>,
    /// Longest running time of an attempt.
    pub attempt_timeout_ms: Option<u64>,
    /// What to do about failures.
    pub retry: RetryPolicy,
    /// Leases that may be lost.
    pub reclaims_max: u32,
    /// Replays allowed.
    pub replays_max: u32,
    /// How long the finished execution is kept.
    pub retention_ms: u64,
    /// What a worker must offer.
    pub required_capabilities: BTreeSet<Capability>,
    /// Budgets charged.
    pub budgets: Vec<BudgetId>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl ExecutionPolicy {
    /// Refuses values out of bounds; what depends on the time is left to the rules.
    pub fn check(&self) -> Result<(), EngineError> {
        let magnitude = u64::from(self.priority.unsigned_abs());
        at_most("priority (either way)", magnitude, PRIORITY_MAX.unsigned_abs().into())?;
        self.start.map_or(Ok(()), |when| when.check("start"))?;
        self.deadline.map_or(Ok(()), |when| when.check("deadline"))?;
        check_spans(self.attempt_timeout_ms, self.retention_ms)?;
        self.retry.as_ref().map_or(Ok(()), RetryPolicy::check)?;
        at_most("reclaims_max", self.reclaims_max.unwrap_or(0).into(), COUNT_CAP_MAX.into())?;
        at_most("replays_max", self.replays_max.unwrap_or(0).into(), COUNT_CAP_MAX.into())?;
        let capabilities = self.required_capabilities.len();
        at_most("required capabilities", capabilities as u64, CAPABILITIES_MAX as u64)?;
        at_most("budgets", self.budgets.len() as u64, EXECUTION_BUDGETS_MAX as u64)?;
        at_most("tags", self.tags.len() as u64, TAGS_MAX as u64)?;
        for (key, value) in &self.tags {
            crate::name::LaneId::new(key).map_err(|_| {
                EngineError::validation(ValidationKind::Name, format!("tag key {key:?} is no name"))
            })?;
            check_label("tag value", value, TAG_VALUE_BYTES_MAX)?;
        }
        Ok(())
    }

    /// Fills what was left out from the lane's defaults.
    pub fn resolve(&self, lane: &LaneDefaults) -> EffectivePolicy {
        let head_start_ms = i64::try_from(lane.head_start_ms).unwrap_or(i64::MAX);
        EffectivePolicy {
            start: self.start,
            priority: self.priority,
            lead_ms: i64::from(self.priority).saturating_mul(head_start_ms),
            deadline: self.deadline,
            attempt_timeout_ms: self.attempt_timeout_ms.or(lane.attempt_timeout_ms),
            retry: self.retry.clone().unwrap_or_else(|| lane.retry.clone()),
            reclaims_max: self.reclaims_max.unwrap_or(lane.reclaims_max),
            replays_max: self.replays_max.unwrap_or(lane.replays_max),
            retention_ms: self.retention_ms.unwrap_or(lane.retention_ms),
            required_capabilities: self.required_capabilities.clone(),
            budgets: self.budgets.clone(),
            tags: self.tags.clone(),
        }
    }
}

impl EffectivePolicy {
    /// Returns the canonical set of required capabilities: sorted, joined by commas.
    pub fn route(&self) -> String {
        let tokens: Vec<&str> = self.required_capabilities.iter().map(Capability::as_str).collect();
        tokens.join(",")
    }
}

fn check_spans(attempt_ms: Option<u64>, retention_ms: Option<u64>) -> Result<(), EngineError> {
    between("attempt_timeout_ms", attempt_ms.unwrap_or(1), 1, SPAN_MS_MAX)?;
    between("retention_ms", retention_ms.unwrap_or(SPAN_MS_MAX), RETENTION_MS_MIN, SPAN_MS_MAX)
}

/// Refuses a value above its bound.
pub fn at_most(what: &str, value: u64, max: u64) -> Result<(), EngineError> {
    between(what, value, 0, max)
}

/// Refuses a value outside its bounds.
pub fn between(what: &str, value: u64, min: u64, max: u64) -> Result<(), EngineError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(EngineError::validation(
        ValidationKind::Argument,
        format!("{what} is {value}, it must be between {min} and {max}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_ceiling_and_jitter_only_shortens() {
        let policy = RetryPolicy { jitter_pct: 0, ..RetryPolicy::default() };
        let waits: Vec<u64> = (0..8).map(|retry| policy.wait_ms(retry, 65_535)).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        let jittered = RetryPolicy { jitter_pct: 50, ..policy };
        assert_eq!(jittered.wait_ms(0, 0), 1_000);
        assert_eq!(jittered.wait_ms(0, 32_768), 750);
    }

    #[test]
    fn a_permanent_category_wins_over_a_retryable_one() {
        let set = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        let policy = RetryPolicy {
            retryable_categories: set(&["io", "bad"]),
            permanent_categories: set(&["bad"]),
            ..RetryPolicy::default()
        };
        assert!(policy.retries("io"));
        assert!(!policy.retries("bad"));
        assert!(!policy.retries("other"));
    }

    #[test]
    fn a_policy_refuses_what_is_past_its_bounds() {
        let past = [
            ExecutionPolicy { priority: PRIORITY_MAX + 1, ..Default::default() },
            ExecutionPolicy { priority: i32::MIN, ..Default::default() },
            ExecutionPolicy { start: Some(When::After(SPAN_MS_MAX + 1)), ..Default::default() },
            ExecutionPolicy { attempt_timeout_ms: Some(0), ..Default::default() },
            ExecutionPolicy { retention_ms: Some(RETENTION_MS_MIN - 1), ..Default::default() },
            ExecutionPolicy { reclaims_max: Some(COUNT_CAP_MAX + 1), ..Default::default() },
        ];
        for policy in past {
            assert!(policy.check().is_err(), "{policy:?}");
        }
        let edge = ExecutionPolicy { priority: -PRIORITY_MAX, ..Default::default() };
        assert!(edge.check().is_ok());
    }
}
