//! The executions of a benchmark: numbered, so that each can be seen to run exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use flowfabric::ff_core::ids::MutationId;
use flowfabric::ff_core::name::Namespace;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{EngineBackend, FlowFabricClient, SubmitRequest};
use tokio::sync::Notify;

use crate::error::XtaskError;

/// The kind of the executions.
pub(super) const KIND: &str = "bench";
/// Bytes at the beginning of an input that hold its number.
const NUMBER_BYTES: usize = 8;

/// How much is done in a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) tasks: u64,
    /// Bytes of input.
    pub(super) payload: usize,
}

impl Load {
    /// Returns the requests of these numbers.
    pub(super) fn requests(&self, numbers: std::ops::Range<u64>) -> Vec<SubmitRequest> {
        numbers.map(|number| self.request(number)).collect()
    }

    /// Returns the request of a number.
    pub(super) fn request(&self, number: u64) -> SubmitRequest {
        let mut input = number.to_be_bytes().to_vec();
        input.resize(self.payload.max(NUMBER_BYTES), b'x');
        SubmitRequest::new(KIND, input)
    }
}

/// Returns a client of a namespace that nobody else uses.
pub(super) fn client(backend: &Arc<dyn EngineBackend>) -> Result<FlowFabricClient, XtaskError> {
    let namespace = Namespace::new(format!("bench-{}", MutationId::generate()))?;
    Ok(FlowFabricClient::with_namespace(backend.clone(), namespace))
}

/// Counts how often each execution ran.
#[derive(Debug)]
pub(super) struct Tally {
    runs: Vec<AtomicU32>,
    left: AtomicU64,
    all_ran: Notify,
}

impl Tally {
    /// Expects the numbers below `tasks`.
    pub(super) fn new(tasks: u64) -> Self {
        let runs = (0..tasks).map(|_| AtomicU32::new(0)).collect();
        Self { runs, left: AtomicU64::new(tasks), all_ran: Notify::new() }
    }

    /// Counts a run of the execution with this input.
    pub(super) fn ran(&self, input: &[u8]) {
        let number = input.first_chunk::<NUMBER_BYTES>().map(|bytes| u64::from_be_bytes(*bytes));
        let number = number.and_then(|number| usize::try_from(number).ok());
        if let Some(runs) = number.and_then(|number| self.runs.get(number)) {
            runs.fetch_add(1, Ordering::Relaxed);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_ran.notify_waiters();
            self.all_ran.notify_one();
        }
    }

    /// Resolves once as many have run as were expected.
    pub(super) async fn all_ran(&self) {
        self.all_ran.notified().await;
    }

    /// Fails unless each ran exactly once.
    pub(super) fn check(&self, what: &str) -> Result<(), XtaskError> {
        let wrong = self.runs.iter().filter(|runs| runs.load(Ordering::Relaxed) != 1).count();
        if wrong == 0 {
            return Ok(());
        }
        Err(XtaskError::Told(format!("{what}: {wrong} executions did not run exactly once")))
    }
}

/// Fails unless a namespace holds exactly this many executions, all in one index.
pub(super) async fn check_all_in(
    client: &FlowFabricClient,
    index: OwnerIndex,
    tasks: u64,
    what: &str,
) -> Result<(), XtaskError> {
    let lanes = client.backend().list_lanes(client.namespace().clone()).await?;
    let counts = lanes.iter().flat_map(|lane| &lane.counts);
    let there: u64 = counts.clone().filter(|(at, _)| *at == index).map(|(_, count)| count).sum();
    let all: u64 = counts.map(|(_, count)| count).sum();
    if (there, all) == (tasks, tasks) {
        return Ok(());
    }
    Err(XtaskError::Told(format!(
        "{what}: of {tasks} executions the store holds {all}, {there} of them {}",
        index.as_str()
    )))
}
