//! `ff demo`: durable work over real files, with things going wrong on purpose.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowfabric::FlowFabricClient;
use flowfabric::ff_core::ids::MutationId;
use flowfabric::ff_core::name::Namespace;

use crate::error::CliError;
use crate::invocation::program;
use crate::out::Out;
use crate::store::{Access, Place};
use course::Course;
use files::Folder;

mod course;

mod analyse;
mod files;
mod submit;
mod worker;

mod doomed;
mod tails;

mod approve;
mod page;
mod summary;

mod gather;
mod report;
mod show;

pub(crate) use doomed::run as run_doomed;

/// Workers unless told.
const WORKERS_DEFAULT: u16 = 4;
/// Most workers.
const WORKERS_MAX: i64 = 64;
/// Digits of a random number that keep two runs apart.
const RUN_DIGITS: usize = 8;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff demo                            the files below this folder, in a store on a new file
  ff demo ~/notes                    another folder
  ff demo --auto-approve             without waiting for you: for scripts
  ff demo --url valkey://host:6379   on a server; approve from any machine
  ff demo --url memory:              in memory; it approves by itself

It works in a namespace of its own. Exits with 1 if a file was lost or ran to an end twice.";

/// What to run the demo on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The folder whose files are analysed.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Approves the summary by itself after a moment.
    #[arg(long)]
    auto_approve: bool,
    /// How many workers share the files.
    #[arg(long, value_name = "N", default_value_t = WORKERS_DEFAULT,
          value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX))]
    workers: u16,
    /// Where index.html and index.json go. By default beside the demo's store.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
}

/// Runs the demo.
pub(crate) async fn run(
    arguments: Arguments,
    place: Option<Place>,
    out: Out,
) -> Result<(), CliError> {
    let folder = files::scan(&arguments.folder)?;
    let run = run_id();
    let scratch = env::temp_dir().join(format!("ff-demo-{run}"));
    let own = place.is_none();
    if own || arguments.index.is_none() {
        make(&scratch)?;
    }
    let place = place.map_or_else(|| Place::file(&scratch.join("ff.db")), Ok)?;
    let output = match arguments.index {
        Some(path) => std::path::absolute(&path)
            .map_err(|source| CliError::Unreadable { path: path.clone(), source })?,
        None => scratch.clone(),
    };
    let backend = place.open(Access::Owner).await?;
    let namespace = Namespace::new(format!("demo-{run}"))?;
    tell(&folder, &place, arguments.workers, out);
    let course = Course {
        client: Arc::new(FlowFabricClient::with_namespace(backend, namespace.clone())),
        private: own || place.is_memory(),
        auto_approve: arguments.auto_approve,
        workers: arguments.workers,
        folder,
        output,
        place: place.clone(),
        out,
    };
    let ended = course.run().await;
    if own && matches!(ended, Err(CliError::Interrupted)) {
        // What stays behind lies in the folder for temporary files.
        let _ = fs::remove_dir_all(&scratch);
    } else if !place.is_memory() && !out.is_json() {
        let look = format!("{} list {} --namespace {namespace}", program(), place.option());
        out.say(format!("Look around: {look}"));
    }
    ended
}

/// Makes a folder for this user alone; one that is there already is somebody else's.
fn make(folder: &Path) -> Result<(), CliError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let unwritable = |source| CliError::Unwritable { path: folder.to_owned(), source };
    builder.create(folder).map_err(unwritable)
}

fn tell(folder: &Folder, place: &Place, workers: u16, out: Out) {
    let bytes = folder.files.iter().map(|file| file.bytes).sum();
    out.say(format!(
        "{} files ({}) of {}, {workers} workers, store {}",
        folder.files.len(),
        crate::text::kilobytes(bytes),
        folder.root.display(),
        place.shown(),
    ));
    for skipped in &folder.skipped {
        out.say(format!("left out: {skipped}"));
    }
    out.say("");
}

fn run_id() -> String {
    let id = MutationId::generate().to_string();
    id[id.len() - RUN_DIGITS..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out::Format;

    #[tokio::test]
    async fn a_run_in_memory_survives_its_mishaps_and_writes_the_index() {
        let folder = env::temp_dir().join(format!("flowfabric-demo-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        for name in ["a.md", "b.rs"] {
            fs::write(folder.join(name), "# Title\n\nA <b>text</b>.\n").expect("written");
        }
        let output = folder.join("index");
        let arguments = Arguments {
            folder: folder.clone(),
            auto_approve: true,
            workers: 2,
            index: Some(output.clone()),
        };
        let ran = run(arguments, Some(Place::url("memory:")), Out::new(Format::Table)).await;
        let page = fs::read_to_string(output.join("index.html"));
        fs::remove_dir_all(&folder).expect("removed");
        ran.expect("nothing is lost");
        assert!(page.expect("written").contains("taken over"));
    }
}
