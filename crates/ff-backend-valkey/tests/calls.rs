//! How many server calls each operation takes.

mod support;

use ff_backend_valkey::ValkeyBackend;
use ff_core::contracts::claim::{ClaimedExecution, Tick};
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::signal::{DeliverSignal, Signal};
use ff_core::contracts::stream::{AppendFrame, Frame};
use ff_core::contracts::suspend::{ConditionMatcher, ExecutionSuspended, SuspendExecution};
use ff_core::contracts::terminal::{CompleteExecution, CompleteExecutions, Completion};
use ff_core::contracts::{
    ClaimBackend, LeaseBackend, SignalBackend, StreamBackend, SuspendBackend, TerminalBackend,
};
use ff_core::state::TimeoutBehavior;
use ff_core::{Handle, SignalId, SuspensionId, WaitpointId};
use ff_testserver::Connection;
use std::future::Future;
use support::{
    calls, claim, complete, connect, inner_commands, partition, started, submit, submit_many,
};

/// Makes a call and checks how many calls of functions it took.
async fn takes<T>(
    connection: &mut Connection,
    wanted: u64,
    what: &str,
    call: impl Future<Output = T>,
) -> T {
    let before = calls(connection);
    let outcome = call.await;
    assert_eq!(calls(connection) - before, wanted, "server calls of {what}");
    outcome
}

fn suspend(handle: &Handle) -> SuspendExecution {
    SuspendExecution {
        handle: handle.clone(),
        suspension_id: SuspensionId::generate(),
        waitpoint_id: WaitpointId::generate(),
        reason_code: "test".to_owned(),
        matchers: vec![ConditionMatcher::named("go")],
        timeout_ms: None,
        timeout_behavior: TimeoutBehavior::Fail,
    }
}

fn frame() -> Frame {
    Frame { frame_type: "log".to_owned(), payload: "x".into(), correlation_id: None }
}

async fn signal(backend: &ValkeyBackend, handle: &Handle, suspended: ExecutionSuspended) {
    let ExecutionSuspended::Suspended(suspension) = suspended else {
        panic!("expected the lease to be released, got {suspended:?}");
    };
    let signal = Signal {
        signal_name: "go".to_owned(),
        signal_category: "test".to_owned(),
        payload: None,
        source_type: "test".to_owned(),
        source_identity: "test".to_owned(),
        correlation_id: None,
        idempotency_key: None,
        waitpoint_token: suspension.waitpoint_token,
    };
    let request = DeliverSignal {
        execution_id: handle.execution_id(),
        waitpoint_id: suspension.waitpoint_id,
        signal_id: SignalId::generate(),
        signal,
    };
    backend.deliver_signal(request).await.expect("a delivery");
}

on_each_version! {
    async fn each_operation_is_one_call(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let at = &mut at;

        takes(at, 1, "submit", submit(&backend)).await;
        let claimed = takes(at, 1, "claim", backend.claim_execution(claim(1))).await;
        let handle = claimed.expect("a claim").executions.remove(0).handle;
        let request = RenewLease { handles: vec![handle.clone()], lease_ttl_ms: 30_000 };
        takes(at, 1, "renew", backend.renew_lease(request)).await.expect("a renewal");
        let request = AppendFrame { handle: handle.clone(), sequence: 0, frames: vec![frame()] };
        takes(at, 1, "append", backend.append_frame(request)).await.expect("an append");
        let suspended = takes(at, 1, "suspend", backend.suspend_execution(suspend(&handle))).await;
        let suspended = suspended.expect("a suspension");
        takes(at, 1, "signal", signal(&backend, &handle, suspended)).await;
        let resumed = backend.claim_execution(claim(1)).await.expect("a claim");
        let resumed = &resumed.executions[0];
        assert_eq!(resumed.resume_signals.len(), 1);
        let ended = takes(at, 1, "complete", backend.complete_execution(complete(&resumed.handle)));
        ended.await.expect("a completion");
        let tick = Tick { partition: partition(), limit: 10 };
        takes(at, 1, "tick", backend.tick(tick)).await.expect("a tick");
    }

    async fn what_goes_to_one_partition_travels_together(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let at = &mut at;

        takes(at, 1, "submit 100", submit_many(&backend, 100)).await;
        let claimed = takes(at, 1, "claim 100", backend.claim_execution(claim(100))).await;
        let executions = claimed.expect("a claim").executions;
        assert_eq!(executions.len(), 100);
        let handles: Vec<Handle> = executions.into_iter().map(|claimed| claimed.handle).collect();
        let request = RenewLease { handles: handles.clone(), lease_ttl_ms: 30_000 };
        let renewed = takes(at, 1, "renew 100", backend.renew_lease(request)).await;
        assert_eq!(renewed.expect("a renewal").iter().filter(|one| one.is_ok()).count(), 100);
        submit_many(&backend, 100).await;
        let completion = |handle| Completion { handle, result: None };
        let completions = handles.into_iter().map(completion).collect();
        let request = CompleteExecutions { completions, next: Some(claim(100)) };
        let ended = takes(at, 1, "complete and claim 100", backend.complete_executions(request));
        let ended = ended.await.expect("completions");
        assert_eq!(ended.outcomes.iter().filter(|one| one.is_ok()).count(), 100);
        assert_eq!(ended.next.expect("a claim came with them").executions.len(), 100);
        takes(at, 3, "submit 1 001", submit_many(&backend, 1_001)).await;
    }

    async fn an_end_and_the_next_claim_are_one_call(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let handle = started(&backend).await.handle;
        let waiting = submit(&backend).await;
        let request = CompleteExecution { next: Some(claim(1)), ..complete(&handle) };
        let ended = takes(&mut at, 1, "complete and claim", backend.complete_execution(request));
        let next = ended.await.expect("a completion").next.expect("a claim came with it");
        assert_eq!(next.executions[0].handle.execution_id(), waiting);
    }

    async fn a_call_asks_no_more_of_the_server_for_many_than_for_few(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        submit_many(&backend, 200).await;
        let warm = backend.claim_execution(claim(1)).await.expect("a claim");
        assert_eq!(warm.executions.len(), 1);
        let mut asked = Vec::new();
        for count in [2, 50] {
            let before = inner_commands(&mut at);
            submit_many(&backend, count).await;
            let submitted = inner_commands(&mut at);
            let request = claim(u32::try_from(count).expect("a few"));
            let claimed = backend.claim_execution(request).await.expect("a claim").executions;
            let taken = inner_commands(&mut at);
            assert_eq!(claimed.len(), count);
            let completions = claimed
                .into_iter()
                .map(|ClaimedExecution { handle, .. }| Completion { handle, result: None })
                .collect();
            let request = CompleteExecutions { completions, next: None };
            let ended = backend.complete_executions(request).await.expect("completions");
            assert!(ended.outcomes.iter().all(Result::is_ok));
            let done = inner_commands(&mut at);
            asked.push([submitted - before, taken - submitted, done - taken]);
        }
        assert_eq!(asked[0], asked[1], "of submit, claim and complete, by 2 and by 50");
        assert!(asked[0].iter().all(|commands| *commands > 0), "{asked:?}");
    }
}
