//! A store with a worker in this process, and the program beside it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ff_testserver::{Server, ServerVersion};
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::{
    EngineBackend, FlowFabricClient, FlowFabricWorker, TaskContext, TaskEnd, TaskError, TaskResult,
    WorkerConfig,
};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long anything that is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// What a waiting task tells: execution, waitpoint and token.
pub(crate) type Asked = (String, String, String);

/// A store of one test. The test's process owns it and may run workers; the program is a guest.
pub(crate) struct Store {
    backend: Arc<dyn EngineBackend>,
    home: Home,
}

/// A folder that goes when this is dropped.
pub(crate) struct Scratch(PathBuf);

enum Home {
    File(Scratch),
    Valkey(Server),
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) bytes: Vec<u8>,
}

/// A worker of a test; it stops when this is dropped.
pub(crate) struct Worker {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Store {
    /// Makes a store in a file.
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::new();
        let url = format!("file:{}?durability=fast", scratch.file("ff.db"));
        let backend = flowfabric::connect(&url).await.expect("opened");
        Self { backend, home: Home::File(scratch) }
    }

    /// Makes a store on a server.
    pub(crate) async fn valkey() -> Self {
        let server = Server::start(ServerVersion::V8).expect("a server");
        let backend = flowfabric::connect(&server.url()).await.expect("connected");
        Self { backend, home: Home::Valkey(server) }
    }

    /// Returns the server, where there is one.
    pub(crate) fn server(&self) -> &Server {
        match &self.home {
            Home::Valkey(server) => server,
            Home::File(_) => panic!("this store is a file"),
        }
    }

    /// Returns the options that name the store.
    pub(crate) fn options(&self) -> Vec<String> {
        match &self.home {
            Home::File(scratch) => scratch.options(),
            Home::Valkey(server) => vec!["--url".to_owned(), server.url()],
        }
    }

    pub(crate) fn client(&self) -> FlowFabricClient {
        FlowFabricClient::new(self.backend.clone())
    }

    /// Returns the program with this store and these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        program_with(words, &self.options())
    }

    /// Runs the program on this store.
    pub(crate) async fn ff(&self, words: &[&str]) -> Ran {
        run(self.command(words)).await
    }

    /// Runs the program, which must succeed, and returns what it printed.
    pub(crate) async fn ok(&self, words: &[&str]) -> String {
        let ran = self.ff(words).await;
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.stdout
    }

    /// Runs the program, which must succeed, and reads the documents it printed.
    pub(crate) async fn json(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["-o", "json"]).collect();
        documents(&self.ok(&words).await)
    }

    /// Submits and returns the id.
    pub(crate) async fn submit(&self, words: &[&str]) -> String {
        let words: Vec<&str> = ["submit"].iter().chain(words).copied().collect();
        self.ok(&words).await.trim().to_owned()
    }

    /// Starts a worker of the lane `default`.
    pub(crate) async fn worker(&self) -> Worker {
        let config = WorkerConfig::builder("tester").max_concurrent_tasks(4).drain_grace_ms(0);
        let config = config.build().expect("a config");
        let worker = FlowFabricWorker::connect_with(config, self.backend.clone()).await;
        let worker = worker.expect("a worker");
        let (asks, asked) = mpsc::unbounded_channel();
        let (stop, mut stopped) = watch::channel(false);
        let handler = move |task: TaskContext| handle(task, asks.clone());
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            worker.run(handler, stopped).await.expect("the worker runs");
        });
        Worker { stop, running, asked }
    }

    /// Waits until an execution has ended.
    pub(crate) async fn ended(&self, id: &str) {
        let id: ExecutionId = id.parse().expect("an id");
        let deadline = self.backend.clock().now().plus_ms(20_000);
        let result = self.client().wait_for_result(&id, deadline).await.expect("read");
        assert!(result.is_some(), "{id} has not ended");
    }
}

impl Worker {
    /// Waits for a task that asks for a signal.
    pub(crate) async fn asked(&mut self) -> Asked {
        let asked = tokio::time::timeout(PATIENCE, self.asked.recv()).await;
        asked.expect("a task asks in time").expect("the worker lives")
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.running.await.expect("it stops");
    }
}

/// The handlers of the tests, by kind.
async fn handle(task: TaskContext, asks: mpsc::UnboundedSender<Asked>) -> TaskResult {
    match task.execution_kind().as_str() {
        "shout" => {
            task.append_frame("log", b"first line\nsecond line\n", Some("c-1")).await?;
            task.append_frame("data", b"\xff\x00", None).await?;
            Ok(TaskEnd::result(task.input_payload().to_ascii_uppercase()))
        }
        "bytes" => Ok(TaskEnd::result(b"\xff\x00".to_vec())),
        "fail" => Err(TaskError::new("broken", "it \u{1b}[31mbroke")),
        "ask" => match task.resume_signals().first() {
            Some(signal) => Ok(TaskEnd::result(format!("by {}", signal.source_identity))),
            None => {
                let (waitpoint_id, token) = task.create_pending_waitpoint("gate", 600_000).await?;
                let id = task.execution_id().to_string();
                let asked = (id, waitpoint_id.to_string(), token.expose().to_owned());
                asks.send(asked).expect("the test listens");
                Ok(TaskEnd::wait_for_signal("waits_for_approval", "gate".parse()?, "approve"))
            }
        },
        "hang" => {
            task.append_frame("log", b"hangs", None).await?;
            let id = task.execution_id().to_string();
            asks.send((id, String::new(), String::new())).expect("the test listens");
            let cancelled = task.cancelled().await;
            Ok(TaskEnd::Cancel(cancelled.reason))
        }
        other => Err(TaskError::new("unknown_kind", other)),
    }
}

/// Returns the program, free of what the surroundings say.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ff"));
    for name in ["FF_DB", "FF_URL", "FF_NAMESPACE", "NO_COLOR", "CLICOLOR_FORCE", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env_remove("CARGO_PKG_NAME").env("USER", "ada");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

fn program_with(words: &[&str], options: &[String]) -> Command {
    let mut command = program();
    command.args(words).args(options);
    command
}

/// Runs the program on the store that these words name.
pub(crate) async fn ff(words: &[&str]) -> Ran {
    let mut command = program();
    command.args(words);
    run(command).await
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Ran {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    ran(output.expect("it ends in time").expect("it runs"))
}

/// Waits for a child.
pub(crate) async fn finish(child: Child) -> Ran {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    ran(output.expect("it ends in time").expect("it runs"))
}

/// Sends a signal to a child, as a terminal does.
pub(crate) fn interrupt(child: &Child) {
    let id = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
}

/// Reads documents, one a line.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ff-cli-{}-{number}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the program with a store in this folder and these words; nobody else owns the store.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        program_with(words, &self.options())
    }

    fn options(&self) -> Vec<String> {
        vec!["--db".to_owned(), self.file("ff.db")]
    }

    /// Returns the path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies below target.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}
