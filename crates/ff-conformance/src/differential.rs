//! The differential test: one random history on two backends, in lock step.
//!
//! A history is a list of small numbers, so that a property-testing library can shrink it. Each
//! [`Step`] is read against what has happened so far: which executions, handles and waitpoints
//! there are, stale ones included. After each step the replies must be equal, and so must the whole
//! visible state.

mod call;
mod plan;
mod view;

use crate::Fixture;
use call::{Call, Reply};
use ff_core::contracts::admin::RotateKeyring;
use ff_core::token::Secret;
use ff_core::{EngineBackend, EngineResult, KeyId};
use plan::Plan;
use std::fmt;

/// How many replies arrive for one that is lost.
const LOST_ONE_IN: u16 = 13;

/// One step of a history: which operation, and numbers that pick its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Picks the operation.
    pub operation: u8,
    /// Picks what it is about.
    pub subject: u16,
    /// Picks how.
    pub variant: u16,
    /// Picks how much.
    pub amount: u16,
}

/// How much of what a backend shows is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything, listings and counts included.
    All,
    /// Records, attempts, streams, waitpoints and budgets: what must not depend on ticks.
    Records,
}

/// Where two backends differ.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// What had been called, oldest first, the call in question last.
    pub calls: Vec<String>,
    /// What differs.
    pub what: String,
    /// What the first backend says.
    pub left: String,
    /// What the second backend says.
    pub right: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, call) in self.calls.iter().enumerate() {
            writeln!(f, "{number:>3} {call}")?;
        }
        writeln!(f, "{} differs", self.what)?;
        for line in 0..self.left.lines().count().max(self.right.lines().count()) {
            let sides = (self.left.lines().nth(line), self.right.lines().nth(line));
            if sides.0 != sides.1 {
                writeln!(f, "  left:  {}", sides.0.unwrap_or("nothing").trim())?;
                writeln!(f, "  right: {}", sides.1.unwrap_or("nothing").trim())?;
            }
        }
        Ok(())
    }
}

/// Runs a history on two fresh stores whose clocks stand at the same time.
pub async fn compare(
    left: &dyn Fixture,
    right: &dyn Fixture,
    history: &[Step],
    sight: Sight,
) -> Result<(), Box<Divergence>> {
    let (one, other) = (left.backend(), right.backend());
    let mut plan = Plan::new(one.partitions());
    let mut calls = Vec::new();
    let diverged = |calls: &[String], what: &str, left: String, right: String| {
        let calls = calls.to_vec();
        Box::new(Divergence { calls, what: what.to_owned(), left, right })
    };
    for backend in [&one, &other] {
        if let Err(error) = share_keyring(&**backend).await {
            return Err(diverged(&calls, "keyring", error.to_string(), String::new()));
        }
    }
    for step in history {
        let call = plan.call(*step);
        calls.push(format!("{call:?}"));
        if let Call::Advance { span_ms } = call {
            left.advance(span_ms).await;
            right.advance(span_ms).await;
        }
        let replies = (call.apply(&*one).await, call.apply(&*other).await);
        let texts = (text_of(&replies.0, sight), text_of(&replies.1, sight));
        if texts.0 != texts.1 {
            return Err(diverged(&calls, "reply", texts.0, texts.1));
        }
        // A lost reply: the caller learns nothing from it, and may make the call again.
        let arrives = !step.variant.is_multiple_of(LOST_ONE_IN);
        if let Ok(reply) = replies.0
            && arrives
        {
            plan.learn(&reply);
        }
        let views = (view::of(&*one, &plan, sight).await, view::of(&*other, &plan, sight).await);
        if views.0 != views.1 {
            return Err(diverged(&calls, "state", views.0, views.1));
        }
    }
    Ok(())
}

async fn share_keyring(backend: &dyn EngineBackend) -> EngineResult<()> {
    let add = Some((KeyId::new("shared")?, Secret::new(vec![7; 32])?));
    backend.rotate_keyring(RotateKeyring { add, grace_ms: None, revoke: Vec::new() }).await?;
    Ok(())
}

/// Writes a reply out. Whether more is ready is a hint, which due timers make true to be safe.
fn text_of(reply: &EngineResult<Reply>, sight: Sight) -> String {
    let text = match reply {
        Ok(reply) => format!("{reply:#?}"),
        Err(error) => format!("{error:#?}"),
    };
    let shown = text.lines().filter(|l| sight == Sight::All || !l.contains("ready_left"));
    shown.collect::<Vec<_>>().join("\n")
}
