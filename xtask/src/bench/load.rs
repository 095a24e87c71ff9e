//! The executions of a benchmark: numbered, so that each can be seen to run exactly once, with
//! the bytes that were submitted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowfabric::ff_core::ids::MutationId;
use flowfabric::ff_core::name::Namespace;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{EngineBackend, FlowFabricClient, SubmitRequest};
use tokio::sync::Notify;

use crate::error::XtaskError;

/// The kind of the executions.
pub(super) const KIND: &str = "bench";
/// Bytes at the beginning of an input that hold its number, and of the filling that follows.
pub(super) const WORD_BYTES: usize = 8;
/// What numbers are multiplied with to fill payloads.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;
/// How long all may take to reach a state.
const STATE_MAX: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How much is done in a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    pub(super) tasks: u64,
    /// Bytes of input.
    pub(super) payload: usize,
    /// How long finished work stays, where not for good.
    pub(super) retention_ms: Option<u64>,
}

impl Load {
    /// Returns the requests of these numbers.
    pub(super) fn requests(&self, numbers: std::ops::Range<u64>) -> Vec<SubmitRequest> {
        numbers.map(|number| self.request(number)).collect()
    }

    /// Returns the request of a number.
    pub(super) fn request(&self, number: u64) -> SubmitRequest {
        let request = SubmitRequest::new(KIND, self.input(number));
        match self.retention_ms {
            Some(retention_ms) => request.retention_ms(retention_ms),
            None => request,
        }
    }

    /// Returns the input of a number: the number, and its filling again and again.
    pub(super) fn input(&self, number: u64) -> Vec<u8> {
        let (size, filling) = (self.payload.max(WORD_BYTES), filling(number));
        let mut input = number.to_be_bytes().to_vec();
        while input.len() < size {
            let left = (size - input.len()).min(WORD_BYTES);
            input.extend_from_slice(&filling[..left]);
        }
        input
    }
}

fn filling(number: u64) -> [u8; WORD_BYTES] {
    number.wrapping_add(1).wrapping_mul(MIXER).to_be_bytes()
}

/// Returns the number of an input whose bytes are those that were submitted.
pub(super) fn number(input: &[u8]) -> Option<u64> {
    let (number, rest) = input.split_first_chunk()?;
    let number = u64::from_be_bytes(*number);
    let filling = filling(number);
    let (words, left) = rest.as_chunks::<WORD_BYTES>();
    let same = words.iter().fold(true, |same, word| same & (*word == filling));
    (same && filling.starts_with(left)).then_some(number)
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
    damaged: AtomicU64,
    /// How many are still to run until it is enough.
    left: AtomicI64,
    enough_ran: Notify,
}

impl Tally {
    /// Expects the numbers below `tasks`.
    pub(super) fn new(tasks: u64) -> Self {
        Self::until(tasks, tasks)
    }

    /// Knows the numbers below `tasks`, and has enough when so many have run.
    pub(super) fn until(tasks: u64, enough: u64) -> Self {
        Self {
            runs: (0..tasks).map(|_| AtomicU32::new(0)).collect(),
            damaged: AtomicU64::new(0),
            left: AtomicI64::new(enough.cast_signed()),
            enough_ran: Notify::new(),
        }
    }

    /// Counts a run of the execution with this input, and returns its number.
    pub(super) fn ran(&self, input: &[u8]) -> Option<u64> {
        let number = number(input);
        let place = number.and_then(|number| usize::try_from(number).ok());
        match place.and_then(|place| self.runs.get(place)) {
            Some(runs) => runs.fetch_add(1, Ordering::Relaxed),
            None => self.damaged.fetch_add(1, Ordering::Relaxed).try_into().unwrap_or(0),
        };
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.enough_ran.notify_waiters();
        }
        number
    }

    /// Resolves once as many have run as were expected.
    pub(super) async fn enough_ran(&self) {
        // Before the look, so that what happens after it is noticed.
        let noticed = self.enough_ran.notified();
        if self.left.load(Ordering::Acquire) > 0 {
            noticed.await;
        }
    }

    /// Returns how many ran; fails if one ran twice, or with bytes that nobody submitted.
    pub(super) fn check_none_twice(&self, what: &str) -> Result<u64, XtaskError> {
        let damaged = self.damaged.load(Ordering::Relaxed);
        if damaged > 0 {
            return Err(XtaskError::Told(format!("{what}: {damaged} inputs were damaged")));
        }
        let mut ran = 0;
        for runs in &self.runs {
            match runs.load(Ordering::Relaxed) {
                0 => {}
                1 => ran += 1,
                more => {
                    return Err(XtaskError::Told(format!(
                        "{what}: one execution ran {more} times"
                    )));
                }
            }
        }
        Ok(ran)
    }

    /// Fails unless each ran exactly once, with the bytes that were submitted.
    pub(super) fn check(&self, what: &str) -> Result<(), XtaskError> {
        let (ran, all) = (self.check_none_twice(what)?, self.runs.len());
        if ran == all as u64 {
            return Ok(());
        }
        Err(XtaskError::Told(format!("{what}: {ran} of {all} executions ran")))
    }
}

/// Fails unless a namespace holds exactly this many executions, all in one index.
pub(super) async fn check_all_in(
    client: &FlowFabricClient,
    index: OwnerIndex,
    tasks: u64,
    what: &str,
) -> Result<(), XtaskError> {
    let (there, all) = (count(client, Some(index)).await?, count(client, None).await?);
    if (there, all) == (tasks, tasks) {
        return Ok(());
    }
    Err(XtaskError::Told(format!(
        "{what}: of {tasks} executions the store holds {all}, {there} of them {}",
        index.as_str()
    )))
}

/// Waits until this many executions of a namespace are in an index.
pub(super) async fn await_all_in(
    client: &FlowFabricClient,
    index: OwnerIndex,
    tasks: u64,
) -> Result<(), XtaskError> {
    let deadline = Instant::now() + STATE_MAX;
    loop {
        let there = count(client, Some(index)).await?;
        if there == tasks {
            return Ok(());
        }
        if Instant::now() > deadline {
            let index = index.as_str();
            return Err(XtaskError::Told(format!("{there} of {tasks} executions are {index}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Counts the executions of a namespace in an index, or in all.
pub(super) async fn count(
    client: &FlowFabricClient,
    index: Option<OwnerIndex>,
) -> Result<u64, XtaskError> {
    let lanes = client.lanes().await?;
    let counts = lanes.iter().flat_map(|lane| &lane.counts);
    let wanted = counts.filter(|(at, _)| index.is_none_or(|index| *at == index));
    Ok(wanted.map(|(_, count)| count).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_tells_its_number_until_it_is_damaged() {
        for payload in [0, 8, 9, 16, 64, 4_096] {
            let input = Load { tasks: 1, payload, ..Load::default() }.input(7);
            assert_eq!(input.len(), payload.max(8));
            assert_eq!(number(&input), Some(7));
            for place in 8..input.len() {
                let mut damaged = input.clone();
                damaged[place] ^= 1;
                assert_eq!(number(&damaged), None, "at {place} of {payload}");
            }
        }
    }

    #[test]
    fn a_tally_wants_each_exactly_once() {
        let load = Load { tasks: 2, payload: 64, ..Load::default() };
        let tally = Tally::new(2);
        tally.ran(&load.input(0));
        assert!(tally.check("test").is_err(), "one is missing");
        tally.ran(&load.input(1));
        assert!(tally.check("test").is_ok());
        tally.ran(&load.input(1));
        assert!(tally.check("test").is_err(), "one ran twice");
    }
}
