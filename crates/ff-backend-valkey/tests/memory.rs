//! What an execution that waits costs the server.

mod support;

use ff_core::contracts::SubmitBackend;
use ff_core::contracts::submit::{SubmitExecution, SubmitExecutions};
use ff_testserver::Connection;
use support::{connect, item};

const EXECUTIONS: u64 = 20_000;
const BATCH: u64 = 500;
/// Bytes of the server for one execution that waits, all of its keys counted.
const PENDING_BYTES_MAX: u64 = 900;
const PAYLOAD: [u8; 64] = [b'x'; 64];

fn used_memory(at: &mut Connection) -> u64 {
    let info = at.command(&["INFO", "memory"]).expect("the statistics");
    let text = info.text().unwrap_or_default().into_owned();
    let digits = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    digits.expect("the line is there").trim().parse().expect("a number")
}

on_each_version! {
    async fn a_waiting_execution_is_small(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let before = used_memory(&mut at);
        for _ in 0..EXECUTIONS / BATCH {
            let one = || SubmitExecution { input: PAYLOAD.to_vec().into(), ..item() };
            let items = (0..BATCH).map(|_| one()).collect();
            let outcomes = backend.submit_executions(SubmitExecutions { items }).await;
            assert!(outcomes.expect("a submission").iter().all(Result::is_ok));
        }
        let each = (used_memory(&mut at) - before) / EXECUTIONS;
        assert!(each <= PENDING_BYTES_MAX, "{each} bytes, {PENDING_BYTES_MAX} allowed");
    }
}
