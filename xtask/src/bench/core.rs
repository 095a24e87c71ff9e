//! The suites: rounds over stores, checked, then summed up.

use std::path::PathBuf;

use ff_testserver::{Server, ServerVersion};
use flowfabric::ff_core::ids::MutationId;

use super::Options;
use super::figures::{Figures, Measured};
use super::latency;
use super::load::Load;
use super::meter::Meter;
use super::scenario;
use crate::error::XtaskError;

/// A store to measure, made anew each round.
#[derive(Clone, Debug)]
enum Store {
    /// One that the caller names.
    Named(String),
    /// A private server.
    Valkey,
    /// A file in a folder of its own.
    File(&'static str),
}

impl Store {
    fn of(suite: &str, options: &Options) -> Vec<Self> {
        match &options.url {
            Some(url) => vec![Self::Named(url.clone())],
            None if suite == "core" => vec![Self::Named("memory:".to_owned()), Self::Valkey],
            None => {
                vec![Self::Named("memory:".to_owned()), Self::File("fast"), Self::File("file")]
            }
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Named(url) => url.clone(),
            Self::Valkey => "valkey 8".to_owned(),
            Self::File(durability) => format!("file: durability={durability}"),
        }
    }
}

/// Measures every store and prints what came out.
pub(super) async fn run(suite: &str, options: &Options) -> Result<(), XtaskError> {
    let (tasks, rounds) = (options.tasks(), options.rounds());
    let plural = if rounds == 1 { "" } else { "s" };
    println!("{tasks} executions of {} bytes a round, {rounds} round{plural}", options.payload);
    if let Some(load) = other_load() {
        println!("this machine is not idle (load {load:.1}): rates may be too low");
    }
    println!();
    let mut measured = Vec::new();
    for store in Store::of(suite, options) {
        let mut figures = Figures::default();
        for round in 1..=rounds {
            eprintln!("round {round} of {rounds} on {}", store.name());
            measure(&store, options, &mut figures).await?;
        }
        println!("{}\n", figures.table(&store.name()));
        measured.push(Measured { store: store.name(), figures });
    }
    println!("Every round checked that each execution ran and was completed exactly once.");
    if let Some(path) = &options.json {
        let report = serde_json::json!({
            "suite": suite, "tasks": tasks, "rounds": rounds, "payload_bytes": options.payload,
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
    store: &Store,
    options: &Options,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    // Dropped at the end of the round, and with them the server and the file.
    let (mut _server, mut _folder) = (None, None);
    let (url, mut meter) = match store {
        Store::Named(url) => (url.clone(), Meter::none()),
        Store::Valkey => {
            let server = Server::start(ServerVersion::V8)?;
            let meter = Meter::of(&server)?;
            let url = server.url();
            _server = Some(server);
            (url, meter)
        }
        Store::File(durability) => {
            let folder = Folder::fresh()?;
            let path = folder.0.join("ff.db");
            _folder = Some(folder);
            (format!("file:{}?durability={durability}", path.display()), Meter::none())
        }
    };
    let backend = flowfabric::connect(&url).await?;
    let load = Load { tasks: options.tasks(), payload: options.payload };
    scenario::memory(&backend, &load, &mut meter, figures).await?;
    scenario::submit_single(&backend, &load, &mut meter, figures).await?;
    scenario::submit_then_work(&backend, &load, &mut meter, figures).await?;
    scenario::work_raw(&backend, &load, &mut meter, figures).await?;
    scenario::submit_while_working(&backend, &load, figures).await?;
    latency::measure(&backend, &load, figures).await
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn fresh() -> Result<Self, XtaskError> {
        let path =
            std::env::temp_dir().join(format!("flowfabric-bench-{}", MutationId::generate()));
        std::fs::create_dir_all(&path)
            .map_err(|source| XtaskError::Unreadable { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
