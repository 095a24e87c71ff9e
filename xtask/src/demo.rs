//! `cargo xtask demo`: durable work over real files, with things going wrong on purpose.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use ff_testserver::{Server, ServerVersion};
use flowfabric::ff_core::ids::MutationId;
use flowfabric::ff_core::name::Namespace;
use flowfabric::{EngineBackend, EngineError, FlowFabricClient};

use crate::error::XtaskError;
use crate::run::root;
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

pub(crate) use doomed::{Arguments as DoomedArguments, run as run_doomed};

/// Where the index goes, from the folder of the workspace.
const OUTPUT_DEFAULT: &str = "target/demo";
/// Workers unless told.
const WORKERS_DEFAULT: u16 = 4;
/// Most workers.
const WORKERS_MAX: i64 = 64;
/// Digits of a random number that keep two runs apart.
const RUN_DIGITS: usize = 8;

/// What `cargo xtask demo --help` ends with.
const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                           this project's files, on a private Valkey 8
  cargo xtask demo ~/notes                   another folder
  cargo xtask demo --auto-approve            without waiting for you: for scripts
  cargo xtask demo --url memory:             without any server
  cargo xtask demo --url valkey://host:6379  on a server of yours; approve from any machine

Exits with 1 if a file was lost or ran to an end twice, and with 130 after Ctrl-C.";

/// What to run the demo on.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Approves the summary of a demo that waits for it.
    Approve(approve::Arguments),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// The folder whose files are analysed; this project's docs and sources by default.
    folder: Option<PathBuf>,
    /// The store: valkey://host:port, valkey-cluster://host:port or memory: . By default a private
    /// Valkey 8 that ends with the demo.
    #[arg(long)]
    url: Option<String>,
    /// Approves the summary by itself after a moment.
    #[arg(long)]
    auto_approve: bool,
    /// How many workers share the files.
    #[arg(long, value_name = "N", default_value_t = WORKERS_DEFAULT,
          value_parser = clap::value_parser!(u16).range(1..=WORKERS_MAX))]
    workers: u16,
    /// Where index.html and index.json go; target/demo by default.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the demo, or approves one that runs.
pub(crate) async fn run(arguments: Arguments) -> Result<(), XtaskError> {
    match arguments.command {
        Some(Command::Approve(arguments)) => approve::run(arguments).await,
        None => demo(arguments.options).await,
    }
}

/// Connects to a store; says what to do when that fails.
async fn connect(url: &str) -> Result<Arc<dyn EngineBackend>, XtaskError> {
    flowfabric::connect(url).await.map_err(|error| {
        let url = without_password(url);
        let hint = match error {
            EngineError::Transport { .. } => "; is the server up?",
            _ => "",
        };
        XtaskError::Told(format!("cannot use --url {url}: {error}{hint}"))
    })
}

/// Hides what stands before the host.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => url.to_owned(),
    }
}

async fn demo(options: Options) -> Result<(), XtaskError> {
    let folder = files::scan(options.folder.as_deref())?;
    let output = output(options.output)?;
    // Dropped, and with it the server stopped, when the demo is over.
    let mut _server = None;
    let url = match options.url {
        Some(url) => url,
        None => {
            println!("starting a private Valkey {}", ServerVersion::V8.major());
            let server = Server::start(ServerVersion::V8)?;
            let url = server.url();
            _server = Some(server);
            url
        }
    };
    let backend = connect(&url).await?;
    let namespace = Namespace::new(format!("demo-{}", run_id()))?;
    tell(&folder, &url, &namespace, options.workers);
    let client = FlowFabricClient::with_namespace(backend, namespace);
    let course = Course {
        client: Arc::new(client),
        private: _server.is_some() || url.starts_with("memory"),
        auto_approve: options.auto_approve,
        workers: options.workers,
        folder,
        output,
        url,
    };
    course.run().await
}

fn tell(folder: &Folder, url: &str, namespace: &Namespace, workers: u16) {
    let bytes = folder.files.iter().map(|file| file.bytes).sum();
    println!(
        "{} files ({}) of {} on {}, {workers} workers, namespace {namespace}",
        folder.files.len(),
        crate::text::kilobytes(bytes),
        folder.root.display(),
        without_password(url),
    );
    for skipped in &folder.skipped {
        println!("left out: {skipped}");
    }
    println!();
}

fn output(asked: Option<PathBuf>) -> Result<PathBuf, XtaskError> {
    let Some(path) = asked else {
        return Ok(root().join(OUTPUT_DEFAULT));
    };
    let here = env::current_dir();
    let here = here.map_err(|source| XtaskError::Unreadable { path: ".".into(), source })?;
    Ok(here.join(path))
}

fn run_id() -> String {
    let id = MutationId::generate().to_string();
    id[id.len() - RUN_DIGITS..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_in_memory_survives_its_mishaps_and_writes_the_index() {
        let folder = env::temp_dir().join(format!("flowfabric-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        for name in ["a.md", "b.rs"] {
            std::fs::write(folder.join(name), "# Title\n\nA <b>text</b>.\n").expect("written");
        }
        let output = folder.join("index");
        let options = Options {
            folder: Some(folder.clone()),
            url: Some("memory:".to_owned()),
            auto_approve: true,
            workers: 2,
            output: Some(output.clone()),
        };
        let ran = demo(options).await;
        let page = std::fs::read_to_string(output.join("index.html"));
        std::fs::remove_dir_all(&folder).expect("removed");
        ran.expect("nothing is lost");
        assert!(page.expect("written").contains("taken over"));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("valkey://me:se@cret@host:1"), "valkey://***@host:1");
        assert_eq!(without_password("valkey://host:1"), "valkey://host:1");
        assert_eq!(without_password("memory:"), "memory:");
    }
}
