//! Connections that are cut under load, and replies that are lost after the commit: nothing is
//! counted, taken or ended twice.

use ff_core::contracts::budget::{CreateBudget, DimensionLimits};
use ff_core::partition::BudgetPartition;
use ff_core::turn::TurnOperation;
use ff_core::{BudgetId, Dimension};
use ff_testserver::{Proxy, Server, ServerVersion};
use flowfabric::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

const TASKS: u32 = 400;
/// A fault comes each time this many handlers have begun.
const BETWEEN_FAULTS: u32 = 20;
const FAULTS: [&str; 5] =
    ["ff_complete", "ff_claim", "ff_append", "ff_report_usage", "ff_update_progress"];

/// Makes a fault whenever it is asked to: in turn all connections are cut, and the reply to one of
/// the calls is lost. Ends with how many replies were lost.
fn breaker(proxy: Proxy, mut asked: mpsc::UnboundedReceiver<u32>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        while let Some(number) = asked.blocking_recv() {
            if number % 3 == 0 {
                proxy.cut_all();
            } else {
                let fault = FAULTS[number as usize % FAULTS.len()];
                proxy.lose_reply_to(fault);
            }
        }
        proxy.lost()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_under_load_neither_lose_nor_repeat_anything() {
    let server = Server::start(ServerVersion::V8).expect("a server");
    let proxy = Proxy::start(server.address()).expect("a proxy");
    let url = proxy.url();
    let client = Arc::new(FlowFabricClient::new(connect(&server.url()).await.expect("a backend")));
    let budget_id = BudgetId::generate(BudgetPartition::new_unchecked(0));
    let tasks = Dimension::new("tasks").expect("a legal name");
    let limits = [(tasks.clone(), DimensionLimits { soft: None, hard: Some(u64::from(TASKS)) })];
    let request = CreateBudget { budget_id, limits: limits.into() };
    client.backend().create_budget(request).await.expect("a budget");
    let requests = (0..TASKS).map(|n| SubmitRequest::new("work", n.to_be_bytes().to_vec()));
    let submitted = client.submit_many(requests.collect()).await.expect("submissions");
    let ids: Vec<_> =
        submitted.into_iter().map(|one| one.expect("a submission").execution_id()).collect();

    let config = WorkerConfig::builder("cut").max_concurrent_tasks(8).lease_ttl_ms(10_000);
    let config = config.build().expect("a legal configuration");
    let backend = connect(&url).await.expect("a backend");
    let worker = FlowFabricWorker::connect_with(config, backend).await.expect("a worker");
    let (ask, asked) = mpsc::unbounded_channel();
    let breaking = breaker(proxy, asked);
    let begun = Arc::new(AtomicU32::new(0));
    let counted = begun.clone();
    let handler = move |task: TaskContext| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        if number.is_multiple_of(BETWEEN_FAULTS) {
            let _ = ask.send(number / BETWEEN_FAULTS);
        }
        async move {
            task.update_progress(10, None).await?;
            task.append_frame("log", b"one", None).await?;
            task.append_frame("log", b"two", None).await?;
            task.report_usage(&budget_id, &[("tasks", 1)], Some(&task.execution_id().to_string()))
                .await?;
            Ok(TaskEnd::result(task.input_payload().to_vec()))
        }
    };
    let waiting = client.clone();
    let waited = ids.clone();
    let all_ended = async move {
        for id in waited {
            let deadline = waiting.backend().clock().now().plus_ms(60_000);
            let ended = waiting.wait_for_result(&id, deadline).await.expect("an answer");
            assert!(ended.is_some(), "{id} has not ended");
        }
    };
    worker.run(handler, all_ended).await.expect("a worker that ran");

    drop(worker);
    let lost = breaking.join().expect("no panic");
    assert!(lost > 0, "no reply was lost, so nothing was tried");

    let mut attempts = 0;
    for (number, id) in ids.iter().enumerate() {
        let turns = client.backend().list_turns(*id).await.expect("turns");
        let completed = turns.iter().filter(|turn| turn.operation == TurnOperation::Complete);
        assert_eq!(completed.count(), 1, "{id}: {turns:?}");
        attempts += turns.len();
        let result = client.backend().read_result(*id).await.expect("a result").result;
        let sent = u32::try_from(number).expect("a small number").to_be_bytes();
        assert_eq!(result.as_deref(), Some(&sent[..]));
        let info = client.describe(id).await.expect("a description");
        assert_eq!(info.frame_count, 2, "{id}: {info:?}");
    }
    assert_eq!(begun.load(Ordering::SeqCst) as usize, attempts, "each claim was one turn");
    let budget = client.backend().describe_budget(budget_id).await.expect("a budget");
    assert_eq!(budget.usage.get(&tasks), Some(&u64::from(TASKS)));
    let diagnosis = client.backend().doctor(false).await.expect("a diagnosis");
    assert_eq!(diagnosis.findings, []);
}
