//! The first worker: submits one execution, runs it, prints its result.
//!
//! `cargo run -p flowfabric --example first_worker`
#![allow(clippy::print_stdout, reason = "an example prints")]

use flowfabric::{
    FlowFabricClient, FlowFabricWorker, SubmitRequest, TaskContext, TaskEnd, WorkerConfig,
};

#[tokio::main]
async fn main() -> Result<(), flowfabric::SdkError> {
    // A store in this process; one that lasts is "file:ff.db" or "valkey://127.0.0.1:6379".
    let backend = flowfabric::connect("memory:").await?;

    let client = FlowFabricClient::new(backend.clone());
    let submitted = client.submit(SubmitRequest::new("shout", "hello").lane("words")).await?;
    let id = submitted.execution_id();

    let config = WorkerConfig::builder("shouter").lane("words").max_concurrent_tasks(4).build()?;
    let worker = FlowFabricWorker::connect_with(config, backend.clone()).await?;
    let handler = |task: TaskContext| async move {
        task.append_frame("log", b"shouting", None).await?;
        Ok(TaskEnd::result(task.input_payload().to_ascii_uppercase()))
    };

    let finished = async {
        let deadline = backend.clock().now().plus_ms(5_000);
        let result = client.wait_for_result(&id, deadline).await;
        println!("{:?}", result.map(|result| result.and_then(|r| r.result)));
    };
    worker.run(handler, finished).await // runs until the future is done; see also shutdown_signal()
}
