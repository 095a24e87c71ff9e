//! How soon a worker that has nothing else to do begins, and goes on after a signal.

use std::io;

use ff_testserver::ClientError;

use super::figures::{RAW, Row};
use super::peer::Ask;
use super::setting::Bench;
use super::store::Store;
use super::{raw, wait};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "latency";

/// Measures the engine, bare round trips and the peers in turns, on one server.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let mut store = Store::start()?;
    let load = bench.load();
    let count = load.tasks.min(bench.pick(30, 500));
    let start = Row::new(SECTION, "R7", "submit to handler start, idle worker");
    let resume = Row::new(SECTION, "R8", "signal to resumed handler, idle worker");
    for _ in bench.rounds(SECTION) {
        let backend = store.fresh().await?;
        let mut spans = wait::submit_to_start(&backend, &load, count).await?;
        bench.figures.note_spans(&start, &mut spans);
        let mut spans = wait::signal_to_resume(&backend, &load, count).await?;
        bench.figures.note_spans(&resume, &mut spans);
        drop(backend);
        let address = store.server().address();
        let failed = |source: io::Error| ClientError::Io { address, source };
        let mut spans = raw::round_trips(address, count).map_err(failed)?;
        bench.figures.note_spans(&start.of(RAW), &mut spans);
        for peer in bench.peers.iter_mut().filter(|peer| peer.wakes()) {
            store.empty()?;
            let ask = Ask { concurrency: 1, tasks: count, ..Ask::of("idle", "idle", &load) };
            let (_, mut spans) = peer.measure(store.server().port(), &ask, &mut store.meter)?;
            bench.figures.note_spans(&start.of(peer.name()), &mut spans);
        }
    }
    Ok(())
}
