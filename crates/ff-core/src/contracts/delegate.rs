//! Delegation: wrap a backend without losing a method.
//!
//! A wrapper (faults, tracing, metrics) holds a backend and has a function that is put around
//! every call:
//!
//! ```
//! use ff_core::{EngineBackend, EngineResult, delegate_engine_backend};
//! use std::{future::Future, sync::Arc};
//!
//! #[derive(Debug)]
//! struct Named(Arc<dyn EngineBackend>);
//!
//! impl Named {
//!     async fn around<T>(
//!         &self,
//!         operation: &'static str,
//!         call: impl Future<Output = EngineResult<T>> + Send,
//!     ) -> EngineResult<T> {
//!         let _span = operation;
//!         call.await
//!     }
//! }
//!
//! delegate_engine_backend!(Named, |this| this.0, Named::around);
//! fn is_a_backend(named: Named) -> Arc<dyn EngineBackend> { Arc::new(named) }
//! ```
//!
//! The expression after the bar dereferences to the wrapped backend (`Arc`, `Box`, `&`). `around`
//! gets the name of the operation and the call, not yet begun. `clock` and `partitions` do no I/O
//! and are forwarded as they are. There is a macro a trait, so a wrapper can also write one trait
//! by hand and delegate the rest; a method that a macro lacks does not compile.

#[doc(hidden)]
pub use async_trait::async_trait;

/// Implements one trait by forwarding; the macros below say what it holds.
#[doc(hidden)]
#[macro_export]
macro_rules! __delegate_backend {
    (
        $wrapper:ty, |$this:ident| $inner:expr, $around:path, $trait:path;
        { $(fn $plain:ident() -> $plain_out:ty;)* }
        { $(async fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* }
    ) => {
        #[$crate::contracts::delegate::async_trait]
        impl $trait for $wrapper {
            $(fn $plain(&self) -> $plain_out {
                let $this = self;
                <_ as $trait>::$plain(&*$inner)
            })*
            $(async fn $name(&self, $($arg: $type),*) -> $crate::EngineResult<$out> {
                let $this = self;
                let call = <_ as $trait>::$name(&*$inner, $($arg),*);
                $around($this, stringify!($name), call).await
            })*
        }
    };
}

/// Forwards [`NoticeBackend`](crate::contracts::NoticeBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_notice_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::NoticeBackend;
            { fn clock() -> ::std::sync::Arc<dyn $crate::Clock>; }
            {
                async fn subscribe(partitions: ::std::vec::Vec<$crate::partition::Partition>)
                    -> ::std::boxed::Box<dyn $crate::contracts::notice::NoticeReceiver>;
                async fn watch_execution(request: $crate::contracts::notice::WatchExecution) -> ();
            }
        }
    };
}

/// Forwards [`SubmitBackend`](crate::contracts::SubmitBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_submit_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::SubmitBackend;
            { fn partitions() -> $crate::partition::PartitionMap; }
            {
                async fn submit_executions(request: $crate::contracts::submit::SubmitExecutions)
                    -> ::std::vec::Vec<
                        $crate::EngineResult<$crate::contracts::submit::ExecutionSubmitted>,
                    >;
            }
        }
    };
}

/// Forwards [`ClaimBackend`](crate::contracts::ClaimBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_claim_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::ClaimBackend;
            {}
            {
                async fn claim_execution(request: $crate::contracts::claim::ClaimExecution)
                    -> $crate::contracts::claim::ExecutionsClaimed;
                async fn claim_resumed_execution(
                    request: $crate::contracts::claim::ClaimResumedExecution
                ) -> $crate::contracts::claim::ExecutionsClaimed;
                async fn issue_grant(request: $crate::contracts::claim::IssueGrant)
                    -> $crate::contracts::claim::GrantIssued;
                async fn tick(request: $crate::contracts::claim::Tick)
                    -> $crate::contracts::claim::Ticked;
                async fn register_worker(request: $crate::contracts::claim::RegisterWorker) -> ();
                async fn deregister_worker(
                    namespace: $crate::Namespace,
                    worker_instance_id: $crate::WorkerInstanceId
                ) -> ();
                async fn list_workers(namespace: $crate::Namespace)
                    -> ::std::vec::Vec<$crate::contracts::claim::RegisteredWorker>;
            }
        }
    };
}

/// Forwards [`LeaseBackend`](crate::contracts::LeaseBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_lease_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::LeaseBackend;
            {}
            {
                async fn renew_lease(request: $crate::contracts::lease::RenewLease)
                    -> ::std::vec::Vec<
                        $crate::EngineResult<$crate::contracts::lease::LeaseRenewed>,
                    >;
                async fn update_progress(request: $crate::contracts::lease::UpdateProgress) -> ();
            }
        }
    };
}

/// Forwards [`TerminalBackend`](crate::contracts::TerminalBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_terminal_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::TerminalBackend;
            {}
            {
                async fn complete_execution(request: $crate::contracts::terminal::CompleteExecution)
                    -> $crate::contracts::terminal::TurnEnded<()>;
                async fn complete_executions(
                    request: $crate::contracts::terminal::CompleteExecutions
                ) -> $crate::contracts::terminal::ExecutionsCompleted;
                async fn fail_execution(request: $crate::contracts::terminal::FailExecution)
                    -> $crate::contracts::terminal::TurnEnded<
                        $crate::contracts::terminal::FailOutcome,
                    >;
                async fn cancel_execution(request: $crate::contracts::terminal::CancelExecution)
                    -> $crate::contracts::terminal::ExecutionCancelled;
                async fn delay_execution(request: $crate::contracts::terminal::DelayExecution)
                    -> ();
                async fn release_execution(request: $crate::contracts::terminal::ReleaseExecution)
                    -> ();
                async fn move_to_waiting_children(
                    request: $crate::contracts::terminal::MoveToWaitingChildren
                ) -> ();
                async fn replay_execution(request: $crate::contracts::terminal::ReplayExecution)
                    -> $crate::contracts::terminal::ExecutionReplayed;
            }
        }
    };
}

/// Forwards [`SuspendBackend`](crate::contracts::SuspendBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_suspend_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::SuspendBackend;
            {}
            {
                async fn suspend_execution(request: $crate::contracts::suspend::SuspendExecution)
                    -> $crate::contracts::suspend::ExecutionSuspended;
                async fn create_pending_waitpoint(
                    request: $crate::contracts::suspend::CreatePendingWaitpoint
                ) -> $crate::contracts::suspend::PendingWaitpointCreated;
                async fn reissue_waitpoint_token(
                    request: $crate::contracts::suspend::ReissueWaitpointToken
                ) -> $crate::token::WaitpointToken;
            }
        }
    };
}

/// Forwards [`SignalBackend`](crate::contracts::SignalBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_signal_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::SignalBackend;
            {}
            {
                async fn deliver_signal(request: $crate::contracts::signal::DeliverSignal)
                    -> $crate::contracts::signal::SignalOutcome;
            }
        }
    };
}

/// Forwards [`StreamBackend`](crate::contracts::StreamBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_stream_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::StreamBackend;
            {}
            {
                async fn append_frame(request: $crate::contracts::stream::AppendFrame)
                    -> $crate::contracts::stream::AppendFrameOutcome;
                async fn read_stream(request: $crate::contracts::stream::ReadStream)
                    -> $crate::contracts::stream::StreamFrames;
            }
        }
    };
}

/// Forwards [`BudgetBackend`](crate::contracts::BudgetBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_budget_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::BudgetBackend;
            {}
            {
                async fn create_budget(request: $crate::contracts::budget::CreateBudget) -> ();
                async fn describe_budget(budget_id: $crate::BudgetId)
                    -> $crate::contracts::budget::BudgetInfo;
                async fn report_usage_and_check(
                    request: $crate::contracts::budget::ReportUsageAndCheck
                ) -> $crate::contracts::budget::ReportUsageResult;
            }
        }
    };
}

/// Forwards [`InspectBackend`](crate::contracts::InspectBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_inspect_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::InspectBackend;
            {}
            {
                async fn describe_execution(execution_id: $crate::ExecutionId)
                    -> $crate::contracts::inspect::ExecutionInfo;
                async fn list_turns(execution_id: $crate::ExecutionId)
                    -> ::std::vec::Vec<$crate::turn::EndedTurn>;
                async fn read_result(execution_id: $crate::ExecutionId)
                    -> $crate::contracts::inspect::ExecutionResult;
                async fn list_executions(request: $crate::contracts::inspect::ListExecutions)
                    -> $crate::contracts::inspect::ExecutionPage;
                async fn list_lanes(namespace: $crate::Namespace)
                    -> ::std::vec::Vec<$crate::contracts::inspect::LaneInfo>;
                async fn explain_execution(execution_id: $crate::ExecutionId)
                    -> $crate::explain::Explanation;
            }
        }
    };
}

/// Forwards [`AdminBackend`](crate::contracts::AdminBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_admin_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::__delegate_backend! {
            $wrapper, |$this| $inner, $around, $crate::contracts::AdminBackend;
            {}
            {
                async fn prepare() -> $crate::contracts::admin::Prepared;
                async fn ping() -> $crate::contracts::admin::Pong;
                async fn rotate_keyring(request: $crate::contracts::admin::RotateKeyring)
                    -> $crate::contracts::admin::KeyringRotated;
                async fn configure_lane(request: $crate::contracts::admin::ConfigureLane) -> ();
                async fn describe_lane(namespace: $crate::Namespace, lane: $crate::LaneId)
                    -> $crate::policy::LaneDefaults;
                async fn doctor(fix: bool) -> $crate::contracts::admin::Diagnosis;
            }
        }
    };
}

/// Forwards every trait of [`EngineBackend`](crate::EngineBackend); see [the module](self).
#[macro_export]
macro_rules! delegate_engine_backend {
    ($wrapper:ty, |$this:ident| $inner:expr, $around:path) => {
        $crate::delegate_notice_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_submit_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_claim_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_lease_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_terminal_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_suspend_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_signal_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_stream_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_budget_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_inspect_backend!($wrapper, |$this| $inner, $around);
        $crate::delegate_admin_backend!($wrapper, |$this| $inner, $around);
    };
}
