//! Explain: why an execution is not running, in a sentence.
//!
//! A pure function of what a backend knows, so that every backend gives the same answer.

use crate::contracts::claim::RegisteredWorker;
use crate::contracts::inspect::ExecutionInfo;
use crate::state::{DelayReason, PublicState};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};

/// Who moves an execution next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextMover {
    /// A worker that claims it.
    Worker,
    /// The worker that holds its lease.
    LeaseHolder,
    /// The clock.
    Timer,
    /// Whoever holds the waitpoint's token.
    Signaller,
    /// The scheduler's chosen worker.
    GrantedWorker,
    /// Nobody: it has ended.
    Nobody,
}

/// Why an execution is not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The whole answer, for people.
    pub sentence: String,
    /// The state that the answer is about.
    pub public_state: PublicState,
    /// Who moves next.
    pub next_mover: NextMover,
    /// When at the latest something happens by itself.
    pub next_at: Option<TimestampMs>,
}

/// Explains an execution from its description, the live workers of its namespace, the number of
/// executions ahead of it in its ready index, and the time.
pub fn explain(
    info: &ExecutionInfo,
    workers: &[RegisteredWorker],
    ahead: u64,
    now: TimestampMs,
) -> Explanation {
    let (sentence, next_mover, next_at) = match info.public_state {
        PublicState::Waiting => {
            (waiting(info, workers, ahead), NextMover::Worker, info.deadline_at)
        }
        PublicState::Delayed => delayed(info, now),
        PublicState::Blocked | PublicState::WaitingChildren => blocked(info, now),
        PublicState::Active => active(info, now),
        PublicState::Suspended => suspended(info, now),
        _ => (ended(info), NextMover::Nobody, info.retained_until),
    };
    Explanation { sentence, public_state: info.public_state, next_mover, next_at }
}

fn waiting(info: &ExecutionInfo, workers: &[RegisteredWorker], ahead: u64) -> String {
    let lane = &info.lane;
    let serving: Vec<_> = workers.iter().filter(|worker| worker.lanes.contains(lane)).collect();
    let required = &info.policy.required_capabilities;
    let able = serving.iter().filter(|w| required.is_subset(&w.worker.capabilities)).count();
    let since = format!("It is ready in lane {lane}");
    if serving.is_empty() {
        return format!("{since}, but no live worker serves that lane: start one.");
    }
    if able == 0 {
        let offered = serving.iter().flat_map(|w| &w.worker.capabilities).collect::<Vec<_>>();
        let missing: Vec<&str> =
            required.iter().filter(|c| !offered.contains(c)).map(|c| c.as_str()).collect();
        let lack = if missing.is_empty() {
            format!("none offers all of {} together", info.policy.route())
        } else {
            format!("none offers {}", missing.join(", "))
        };
        return format!("{since}; of {} there {lack}.", live_workers(serving.len()));
    }
    format!("{since} with {ahead} ahead of it; {} can take it.", live_workers(able))
}

fn live_workers(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} live worker{ending}")
}

fn delayed(info: &ExecutionInfo, now: TimestampMs) -> (String, NextMover, Option<TimestampMs>) {
    let why = match info.delay_reason {
        Some(DelayReason::Backoff) => {
            let category = info.failure_category.as_deref().unwrap_or("unknown");
            format!("Its last attempt failed ({category}); retry {} is due", info.retries)
        }
        Some(DelayReason::Delay) => "Its worker put it off; it is due".to_owned(),
        Some(DelayReason::Start) | None => "It was submitted to start later; it is due".to_owned(),
    };
    let text = format!("{why} {}.", within(info.delay_until, now));
    (text, NextMover::Timer, info.delay_until)
}

fn blocked(info: &ExecutionInfo, now: TimestampMs) -> (String, NextMover, Option<TimestampMs>) {
    let Some(grant) = &info.grant else {
        return ("It waits for its children.".to_owned(), NextMover::Timer, info.deadline_at);
    };
    let text = format!(
        "A scheduler granted it to worker instance {}; the grant lapses {}.",
        grant.grant.worker_instance_id,
        within(Some(grant.expires_at), now)
    );
    (text, NextMover::GrantedWorker, Some(grant.expires_at))
}

fn active(info: &ExecutionInfo, now: TimestampMs) -> (String, NextMover, Option<TimestampMs>) {
    let Some(lease) = &info.lease else {
        return ("It is active without a lease.".to_owned(), NextMover::Timer, None);
    };
    let attempt = info.attempt.map_or(0, |(index, _)| index.0);
    let mut text = format!(
        "It is running: attempt {attempt} on worker instance {}, whose lease ends {}",
        lease.worker_instance_id,
        within(Some(lease.expires_at), now)
    );
    if let Some(cancel) = &info.cancel_requested {
        let until = within(Some(cancel.revoke_at), now);
        text.push_str(&format!("; a cancel was requested and takes effect {until}"));
    }
    text.push('.');
    (text, NextMover::LeaseHolder, Some(lease.expires_at))
}

fn suspended(info: &ExecutionInfo, now: TimestampMs) -> (String, NextMover, Option<TimestampMs>) {
    let Some(suspension) = &info.suspension else {
        return ("It is suspended.".to_owned(), NextMover::Signaller, None);
    };
    let open: Vec<&str> = suspension
        .matchers
        .iter()
        .filter(|(_, met)| met.is_none())
        .map(|(m, _)| if m.signal_name.is_empty() { "any signal" } else { &m.signal_name })
        .collect();
    let mut text = format!(
        "It is suspended ({}) and waits for {} at waitpoint {}",
        suspension.reason_code,
        open.join(", "),
        suspension.waitpoint_id
    );
    if let Some(at) = suspension.timeout_at {
        let until = within(Some(at), now);
        text.push_str(&format!("; without it, {} {until}", suspension.timeout_behavior));
    }
    if suspension.escalated {
        text.push_str("; its timeout has passed and it was escalated");
    }
    text.push('.');
    (text, NextMover::Signaller, suspension.timeout_at)
}

fn ended(info: &ExecutionInfo) -> String {
    let mut text = format!("It has ended: {}", info.public_state);
    let detail = [info.failure_category.as_deref(), info.end_reason.as_deref()];
    let detail: Vec<&str> = detail.into_iter().flatten().collect();
    if !detail.is_empty() {
        text.push_str(&format!(" ({})", detail.join(": ")));
    }
    text.push('.');
    text
}

fn within(at: Option<TimestampMs>, now: TimestampMs) -> String {
    match at {
        None => "at no set time".to_owned(),
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => {
            let seconds = at.since_ms(now).div_ceil(1_000);
            match seconds {
                0..=119 => format!("in {seconds} s"),
                120..=7_199 => format!("in {} min", seconds / 60),
                7_200..=172_799 => format!("in {} h", seconds / 3_600),
                _ => format!("in {} days", seconds / 86_400),
            }
        }
    }
}
