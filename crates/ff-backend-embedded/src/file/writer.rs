//! The one thread that writes: it takes what is queued, runs it in one transaction, and answers
//! once that is kept. Many callers share one commit, as in any database with group commit.

use super::checkpoint::Checkpoints;
use super::config::FileConfig;
use super::error::{concerns_all, in_doubt, refused};
use super::open::newest_schema;
use super::room::FileRoom;
use super::sql::Fault;
use super::turn::Turn;
use ff_core::contracts::notice::Notice;
use ff_core::{Clock, EngineError, EngineResult, TimestampMs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};

/// Operations that may wait for the thread; more callers wait for room.
const QUEUED_MAX: usize = 4_096;
/// Operations that share a transaction, and for how long it takes in more of them.
const GROUP_MAX: usize = 256;
const GROUP_TIME_MAX: Duration = Duration::from_millis(5);
/// How often the thread looks whether another process has written.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often what has lapsed is forgotten, by the clock of the store.
const FORGET_EVERY_MS: u64 = 1_000;
/// A log of this size is written back even if readers have to wait for it.
const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The queue of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

/// One queued operation.
trait Job: Send {
    /// Runs it inside the open transaction.
    fn run(&mut self, room: &mut FileRoom, now: TimestampMs) -> Result<(), Fault>;
    /// Answers what it ran to, now that that is kept.
    fn answer(self: Box<Self>);
    /// Answers that its transaction failed.
    fn fail(self: Box<Self>, why: &dyn Fn(&'static str) -> EngineError);
}

struct Operation<T, R> {
    name: &'static str,
    rule: R,
    outcome: Option<EngineResult<T>>,
    reply: oneshot::Sender<EngineResult<T>>,
    _permit: OwnedSemaphorePermit,
}

impl<T, R> Job for Operation<T, R>
where
    T: Send,
    R: Fn(&mut FileRoom, TimestampMs) -> EngineResult<T> + Send,
{
    fn run(&mut self, room: &mut FileRoom, now: TimestampMs) -> Result<(), Fault> {
        // Nobody waits any more: a claim, for one, would lease work to nobody.
        if !self.reply.is_closed() {
            self.outcome = Some(room.run(now, &self.rule)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // A caller that no longer waits does not need the answer.
            let _ = self.reply.send(outcome);
        }
    }

    fn fail(self: Box<Self>, why: &dyn Fn(&'static str) -> EngineError) {
        let _ = self.reply.send(Err(why(self.name)));
    }
}

/// What the thread works with.
pub(super) struct Desk {
    pub(super) room: FileRoom,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) path: PathBuf,
    /// Whether this process looks after the file.
    pub(super) owns: bool,
    pub(super) turn: Turn,
    /// Of the owner.
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) forgotten_at: TimestampMs,
    pub(super) others: Others,
}

/// What other processes have done to the file.
pub(super) struct Others {
    /// SQLite's count of what other connections have committed.
    commits: i64,
    looked_at: Instant,
}

impl Others {
    pub(super) fn new() -> Self {
        Self { commits: 0, looked_at: Instant::now() }
    }
}

impl Writer {
    pub(super) fn start(desk: Desk) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel();
        let name = "flowfabric-file".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || desk.serve(&jobs))?;
        let room = Arc::new(Semaphore::new(QUEUED_MAX));
        Ok(Self { queue: Some(queue), room, thread: Some(thread) })
    }

    /// Queues an operation and waits for its answer.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        rule: impl Fn(&mut FileRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        let gone = || EngineError::Unavailable { op: name, reason: "the file is closed".into() };
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|_| gone())?;
        let (reply, answer) = oneshot::channel();
        let job = Operation { name, rule, outcome: None, reply, _permit: permit };
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(Box::new(job)).map_err(|_| gone())?;
        answer.await.map_err(|_| in_doubt("the thread that writes has ended"))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It finishes what is queued. A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn serve(mut self, jobs: &Receiver<Box<dyn Job>>) {
        self.others.commits = self.count_commits();
        loop {
            match jobs.recv_timeout(LOOK_EVERY) {
                Ok(first) => self.serve_group(first, jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_at_others();
            self.forget_lapsed();
        }
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.settle();
        }
        let connection = self.room.sql().connection();
        // Whoever still reads must not keep this process from ending.
        let _ = connection.busy_timeout(Duration::ZERO);
        let _ = connection.execute_batch("pragma wal_checkpoint(truncate)");
    }

    /// Runs an operation and those queued behind it in one transaction. One that cannot stand is
    /// left out: the others run again without it, and it then fails alone.
    fn serve_group(&mut self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) {
        let mut group = vec![first];
        let mut more = Some(jobs);
        let mut alone = Vec::new();
        while !group.is_empty() {
            match self.transact(&mut group, more.take()) {
                Ok(()) => {
                    group.drain(..).for_each(Job::answer);
                    if let Some(checkpoints) = &mut self.checkpoints {
                        checkpoints.committed(self.room.sql());
                    }
                }
                Err(Undone::One(place, _)) if group.len() > 1 => alone.push(group.remove(place)),
                Err(Undone::One(_, fault) | Undone::All(fault)) => self.refuse(&mut group, &fault),
                Err(Undone::InDoubt(message)) => {
                    group.drain(..).for_each(|job| job.fail(&|_| in_doubt(&message)));
                }
            }
            if group.is_empty() {
                group.extend(alone.pop());
            }
        }
    }

    fn refuse(&self, group: &mut Vec<Box<dyn Job>>, fault: &Fault) {
        for job in group.drain(..) {
            job.fail(&|name| refused(name, &self.path, fault));
        }
    }

    fn transact(
        &mut self,
        group: &mut Vec<Box<dyn Job>>,
        more: Option<&Receiver<Box<dyn Job>>>,
    ) -> Result<(), Undone> {
        let waiting = self.turn.take();
        let begun = self.begin();
        drop(waiting);
        if let Err(error) = begun {
            self.undo();
            return Err(Undone::All(error));
        }
        if let Err((place, fault)) = self.run(group, more) {
            self.undo();
            let all = concerns_all(&fault);
            return Err(if all { Undone::All(fault) } else { Undone::One(place, fault) });
        }
        if let Err(error) = self.sqlite("commit") {
            self.undo();
            let text = format!("the commit to {} failed: {error}", self.path.display());
            return Err(Undone::InDoubt(text));
        }
        for notice in self.room.take_notices() {
            // Nobody listening is fine: a notice is a hint.
            let _ = self.notices.send(notice);
        }
        Ok(())
    }

    fn begin(&self) -> Result<(), Fault> {
        self.sqlite("begin immediate")?;
        self.room.partition.begin_transaction(self.room.count_commits()?);
        if self.owns {
            return Ok(());
        }
        // An owner of a newer version may have changed the schema under a guest.
        let connection = self.room.sql().connection();
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == newest_schema() { Ok(()) } else { Err(Fault::Newer(version)) }
    }

    /// Runs the operations of a group, and those that are queued while it takes in more. A fault
    /// comes with the place of the operation.
    fn run(
        &mut self,
        group: &mut Vec<Box<dyn Job>>,
        more: Option<&Receiver<Box<dyn Job>>>,
    ) -> Result<(), (usize, Fault)> {
        let begun = Instant::now();
        let mut place = 0;
        loop {
            if place == group.len() {
                let open = place < GROUP_MAX && begun.elapsed() < GROUP_TIME_MAX;
                match more.filter(|_| open).and_then(|jobs| jobs.try_recv().ok()) {
                    Some(job) => group.push(job),
                    None => return Ok(()),
                }
            }
            let now = self.clock.now();
            group[place].run(&mut self.room, now).map_err(|fault| (place, fault))?;
            place += 1;
        }
    }

    fn sqlite(&self, statement: &str) -> Result<(), rusqlite::Error> {
        self.room.sql().connection().prepare_cached(statement)?.execute([]).map(|_| ())
    }

    fn undo(&mut self) {
        // SQLite may have undone it by itself; there is then nothing to roll back.
        if !self.room.sql().connection().is_autocommit() {
            let _ = self.sqlite("rollback");
        }
        self.room.partition.undone();
    }

    /// Forgets what has lapsed, in a transaction of its own: if it fails, it is nobody's fault.
    fn forget_lapsed(&mut self) {
        let now = self.clock.now();
        if !self.owns || now.since_ms(self.forgotten_at) < FORGET_EVERY_MS {
            return;
        }
        self.forgotten_at = now;
        if self.sqlite("begin immediate").is_ok() {
            self.room.forget_lapsed(now);
            let faultless = self.room.sql().take_fault().is_none();
            if !faultless || self.sqlite("commit").is_err() {
                self.undo();
            }
        }
        let log = FileConfig::beside(&self.path, "-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            // Readers that never pause would otherwise let it grow for ever.
            let _ = self.room.sql().connection().execute_batch("pragma wal_checkpoint(restart)");
        }
    }

    fn count_commits(&self) -> i64 {
        self.room.count_commits().unwrap_or(self.others.commits)
    }

    /// Tells everybody to look again when another process has written.
    fn look_at_others(&mut self) {
        if self.others.looked_at.elapsed() < LOOK_EVERY {
            return;
        }
        self.others.looked_at = Instant::now();
        let commits = self.count_commits();
        if commits != self.others.commits {
            self.others.commits = commits;
            let _ = self.notices.send(Notice::Lagged);
        }
    }
}

/// Why a transaction does not stand.
enum Undone {
    /// Nothing of it was kept, for the fault of one operation.
    One(usize, Fault),
    /// Nothing of it was kept, and no operation would fare better.
    All(Fault),
    /// Its commit failed.
    InDoubt(String),
}
