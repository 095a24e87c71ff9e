//! The core suite: rounds over stores, checked, then summed up.

use ff_testserver::{Server, ServerVersion};

use super::Options;
use super::figures::{Figures, Measured};
use super::load::Load;
use super::meter::Meter;
use super::scenario;
use crate::error::XtaskError;

/// The store in memory.
const MEMORY: &str = "memory:";
/// The name of the private server in the output.
const PRIVATE: &str = "valkey 8";

/// Measures every store and prints what came out.
pub(super) async fn run(options: &Options) -> Result<(), XtaskError> {
    let (tasks, rounds) = (options.tasks(), options.rounds());
    let plural = if rounds == 1 { "" } else { "s" };
    println!("{tasks} executions of {} bytes a round, {rounds} round{plural}", options.payload);
    if let Some(load) = other_load() {
        println!("this machine is not idle (load {load:.1}): rates may be too low");
    }
    println!();
    let mut measured = Vec::new();
    let stores = match &options.url {
        Some(url) => vec![Some(url.as_str())],
        None => vec![Some(MEMORY), None],
    };
    for store in stores {
        let mut figures = Figures::default();
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds} on {}", store.unwrap_or(PRIVATE));
            measure(store, options, &mut figures).await?;
        }
        println!("{}\n", figures.table(store.unwrap_or(PRIVATE)));
        measured.push(Measured { store: store.unwrap_or(PRIVATE).to_owned(), figures });
    }
    println!("Every round checked that each execution ran and was completed exactly once.");
    if let Some(path) = &options.json {
        let report = serde_json::json!({
            "suite": "core", "tasks": tasks, "rounds": rounds, "payload_bytes": options.payload,
            "stores": measured,
        });
        let bytes = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, bytes).map_err(|error| {
            XtaskError::Told(format!("cannot write --json {}: {error}", path.display()))
        })?;
        println!("{} holds the figures of every round.", path.display());
    }
    Ok(())
}

/// Returns the load average of the last minute where it is high, as far as this system tells.
fn other_load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let processors = std::thread::available_parallelism().ok()?.get();
    (load > processors as f64 / 2.0).then_some(load)
}

/// Runs one round on a store of its own.
async fn measure(
    store: Option<&str>,
    options: &Options,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    // Dropped, and with it the server stopped, at the end of the round.
    let mut _server = None;
    let (url, mut meter) = match store {
        Some(url) => (url.to_owned(), Meter::none()),
        None => {
            let server = Server::start(ServerVersion::V8)?;
            let meter = Meter::of(&server)?;
            let url = server.url();
            _server = Some(server);
            (url, meter)
        }
    };
    let backend = flowfabric::connect(&url).await?;
    let load = Load { tasks: options.tasks(), payload: options.payload };
    scenario::memory(&backend, &load, &mut meter, figures).await?;
    scenario::submit_single(&backend, &load, &mut meter, figures).await?;
    scenario::submit_then_work(&backend, &load, &mut meter, figures).await?;
    scenario::work_raw(&backend, &load, &mut meter, figures).await
}
