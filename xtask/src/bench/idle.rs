//! What a worker that finds nothing to do asks of the server.

use std::time::{Duration, Instant};

use ff_testserver::{ClientError, Connection};
use flowfabric::TaskEnd;

use super::figures::{Row, Unit};
use super::load::client;
use super::setting::Bench;
use super::store::Store;
use super::wait::Running;
use super::work::{CONCURRENT_TASKS, worker};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "idle";
/// How long a new worker gets to register and to find nothing.
const SETTLE: Duration = Duration::from_secs(2);
/// What marks a command that a function made.
const INNER: &str = " lua] ";

/// Counts the commands that reach a server with idle workers on it.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let store = Store::start()?;
    let span = bench.pick(Duration::from_secs(2), Duration::from_secs(20));
    eprintln!("{SECTION}: listening for {span:?}, with 1 and with 10 workers");
    for workers in [1, 10_u32] {
        let backend = store.fresh().await?;
        let client = client(&backend)?;
        let mut running = Vec::new();
        for _ in 0..workers {
            let worker = worker(&client, CONCURRENT_TASKS).await?;
            running.push(Running::start(worker, |_| async { Ok(TaskEnd::done()) }));
        }
        tokio::time::sleep(bench.pick(SETTLE / 4, SETTLE)).await;
        let connection = store.server().connect()?;
        let counted = tokio::task::spawn_blocking(move || count(connection, span)).await;
        let counted = counted.map_err(|error| XtaskError::Told(error.to_string()))??;
        let each = counted as f64 / span.as_secs_f64() / f64::from(workers);
        let who = if workers == 1 { "" } else { "s, each" };
        let row = Row::new(SECTION, "R13", format!("{workers} idle worker{who}"));
        bench.figures.put(&row, Unit::CommandsPerSecond, each);
        for running in running {
            running.stop().await?;
        }
    }
    Ok(())
}

/// Counts what reaches the server from outside, as it tells itself.
fn count(mut connection: Connection, span: Duration) -> Result<u64, XtaskError> {
    connection.command(&["MONITOR"])?.into_result()?;
    let end = Instant::now() + span;
    let mut counted = 0;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(counted);
        }
        connection.set_timeout(left)?;
        match connection.read() {
            Ok(line) if line.text().is_some_and(|line| line.contains(INNER)) => {}
            Ok(_) => counted += 1,
            Err(ClientError::Timeout { .. }) => return Ok(counted),
            Err(error) => return Err(error.into()),
        }
    }
}
