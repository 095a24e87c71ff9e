//! Lost replies: every operation, its first reply dropped after the commit, is repeated as it was
//! and answers what it would have answered.

mod behaviours;

pub use behaviours::*;

use ff_core::{EngineBackend, EngineError, EngineResult};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

/// A backend that carries every operation out, and then loses the reply of those it is told to.
#[derive(Debug)]
pub struct LostReplies {
    inner: Arc<dyn EngineBackend>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    operation: Option<&'static str>,
    to_lose: u32,
    lost: Vec<&'static str>,
}

impl LostReplies {
    /// Wraps a backend; nothing is lost yet.
    pub fn new(inner: Arc<dyn EngineBackend>) -> Arc<Self> {
        Arc::new(Self { inner, plan: Mutex::default() })
    }

    /// Loses the replies of the next `count` operations, whatever they are.
    pub fn lose_next(&self, count: u32) {
        self.plan(|plan| (plan.operation, plan.to_lose) = (None, count));
    }

    /// Loses the replies of the next `count` calls of this operation, such as `renew_lease`.
    pub fn lose_next_of(&self, operation: &'static str, count: u32) {
        self.plan(|plan| (plan.operation, plan.to_lose) = (Some(operation), count));
    }

    /// Returns the operations whose replies were lost, in order.
    pub fn lost(&self) -> Vec<&'static str> {
        self.plan(|plan| plan.lost.clone())
    }

    fn plan<T>(&self, act: impl FnOnce(&mut Plan) -> T) -> T {
        act(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn around<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = EngineResult<T>> + Send,
    ) -> EngineResult<T> {
        let reply = call.await;
        let loses = self.plan(|plan| {
            let named = plan.operation.is_none_or(|name| name == operation);
            let loses = named && plan.to_lose > 0;
            if loses {
                plan.to_lose -= 1;
                plan.lost.push(operation);
            }
            loses
        });
        if !loses {
            return reply;
        }
        Err(EngineError::Transport {
            backend: "lost replies",
            source: format!("the reply of {operation} was lost").into(),
        })
    }
}

ff_core::delegate_engine_backend!(LostReplies, |this| this.inner, LostReplies::around);

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __faults_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            faults {
                a_lost_reply_of_submit_makes_one_execution
                a_lost_reply_of_claim_takes_nothing_more
                a_lost_reply_of_claim_by_grant_keeps_the_grant_used
                a_lost_reply_of_a_takeover_keeps_the_grant_used
                a_lost_reply_of_issue_grant_grants_once
                a_lost_reply_of_renew_is_harmless
                a_lost_reply_of_progress_is_harmless
                a_lost_reply_of_complete_completes_once
                a_lost_reply_of_a_fused_end_takes_nothing_more
                a_lost_reply_of_fail_counts_one_retry
                a_lost_reply_of_a_last_failure_is_answered
                a_lost_reply_of_cancel_is_answered
                a_lost_reply_of_delay_is_answered
                a_lost_reply_of_release_is_answered
                a_lost_reply_of_wait_for_children_is_answered
                a_lost_reply_of_replay_counts_one_replay
                a_lost_reply_of_suspend_answers_the_token
                a_lost_reply_of_a_satisfied_suspend_is_answered
                a_lost_reply_of_create_waitpoint_answers_the_token
                a_lost_reply_of_reissue_answers_the_token
                a_lost_reply_of_a_signal_counts_it_once
                a_lost_reply_of_append_appends_once
                a_lost_reply_of_usage_counts_it_once
                a_lost_reply_of_an_admin_operation_is_harmless
                a_life_in_which_every_reply_is_lost_thrice_is_as_any_other
            }
        }
    };
}
