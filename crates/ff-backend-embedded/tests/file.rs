//! What only a file can show: owners and guests, files that are not ours to open, a full one, a
//! damaged one.

mod support;

use ff_backend_embedded::{Access, Durability, FileBackend, FileConfig};
use ff_conformance::given::{self, complete_with};
use ff_core::contracts::claim::Tick;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::submit::SubmitExecutions;
use ff_core::contracts::terminal::ExecutionCancelled;
use ff_core::contracts::*;
use ff_core::error::{BugKind, ValidationKind};
use ff_core::state::{PublicState, TerminalOutcome};
use ff_core::{EngineError, ExecutionId, Namespace};
use std::path::Path;
use std::time::Duration;
use support::Folder;
use support::work::{PARTITION, claim, claim_as, item, submit};

fn config(folder: &Folder) -> FileConfig {
    FileConfig::new(folder.file()).durability(Durability::Fast)
}

async fn owner(folder: &Folder) -> FileBackend {
    FileBackend::open(config(folder)).await.expect("the owner opens")
}

async fn guest(folder: &Folder) -> FileBackend {
    let config = config(folder).access(Access::Guest);
    FileBackend::open(config).await.expect("a guest opens")
}

async fn state(backend: &FileBackend, id: ExecutionId) -> PublicState {
    backend.describe_execution(id).await.expect("it is there").public_state
}

/// Opens as the owner and returns why that is refused.
async fn refusal(path: &Path) -> String {
    match FileBackend::open(FileConfig::new(path)).await {
        Err(EngineError::Validation { kind: ValidationKind::Connection, detail }) => detail,
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_file_was_closed() {
    let folder = Folder::fresh();
    let backend = owner(&folder).await;
    let (done, waiting) = (submit(&backend, "a").await, submit(&backend, "b").await);
    let handle = claim(&backend).await.expect("a claim").remove(0);
    backend.complete_execution(complete_with(&handle, "result")).await.expect("an end");
    drop(backend);

    let backend = owner(&folder).await;
    let result = backend.read_result(done.expect("an id")).await.expect("a result");
    assert_eq!(result.terminal_outcome, TerminalOutcome::Success);
    assert_eq!(result.result.as_deref(), Some(&b"result"[..]));
    assert_eq!(state(&backend, waiting.expect("an id")).await, PublicState::Waiting);
    assert_eq!(backend.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

#[tokio::test]
async fn a_second_owner_is_told_who_owns_the_file() {
    let folder = Folder::fresh();
    let first = owner(&folder).await;
    let why = refusal(&folder.file()).await;
    let process = format!("owned by process {}", std::process::id());
    assert!(why.contains(&process) && why.contains("access=guest"), "{why}");
    drop(first);
    owner(&folder).await;
}

#[tokio::test]
async fn two_names_of_a_file_share_one_owner() {
    let folder = Folder::fresh();
    let first = owner(&folder).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(folder.file(), &link).expect("a link");
    assert!(refusal(&link).await.contains("owned by"));
    drop(first);
}

#[tokio::test]
async fn a_guest_steers_the_work_of_an_owner_which_hears_of_it() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    let mut notices = owner.subscribe(vec![PARTITION]).await.expect("a subscription");

    let id = submit(&guest, "from outside").await.expect("a guest submits");
    let heard = tokio::time::timeout(Duration::from_secs(10), notices.receive()).await;
    assert_eq!(heard.expect("within the deadline"), Notice::Lagged);

    let handle = claim(&owner).await.expect("the owner claims").remove(0);
    assert_eq!(handle.execution_id(), id);
    assert_eq!(state(&guest, id).await, PublicState::Active);
    let cancelled = guest.cancel_execution(given::cancel_by_operator(id, 0)).await;
    assert_eq!(cancelled.expect("a guest cancels"), ExecutionCancelled::Ended);
    guest.replay_execution(given::replay(id)).await.expect("a guest replays");
    assert_eq!(state(&owner, id).await, PublicState::Waiting);
}

#[tokio::test]
async fn an_owner_goes_by_what_guests_have_written_since() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    let running = submit(&owner, "").await.expect("an id");
    let handle = claim(&owner).await.expect("a claim").remove(0);
    guest.cancel_execution(given::cancel_by_operator(running, 0)).await.expect("a cancel");
    let late = owner.complete_execution(given::complete(&handle)).await;
    assert!(matches!(late, Err(EngineError::State(_))), "{late:?}");

    let first = submit(&owner, "").await.expect("an id");
    let second = submit(&owner, "").await.expect("an id");
    guest.cancel_execution(given::cancel_by_operator(first, 0)).await.expect("a cancel");
    let handle = claim(&owner).await.expect("a claim").remove(0);
    assert_eq!(handle.execution_id(), second);
    assert!(claim(&owner).await.expect("a claim").is_empty());
    let third = submit(&guest, "").await.expect("an id");
    assert_eq!(claim(&owner).await.expect("a claim").remove(0).execution_id(), third);
    assert_eq!(owner.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

#[tokio::test]
async fn a_guest_signals_what_waits() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    let id = submit(&guest, "").await.expect("an id");
    let handle = claim(&owner).await.expect("a claim").remove(0);
    let request = given::waitpoint(&handle, "approval");
    let waitpoint_id = request.waitpoint_id;
    let opened = owner.create_pending_waitpoint(request).await.expect("a waitpoint");
    owner.suspend_execution(given::suspend_on(&handle, "approval")).await.expect("a suspension");
    let address = ff_conformance::world::Address {
        execution_id: id,
        waitpoint_id,
        token: opened.waitpoint_token,
    };
    guest.deliver_signal(given::signal(&address, "approve")).await.expect("a guest signals");
    assert_eq!(state(&owner, id).await, PublicState::Waiting);
}

#[tokio::test]
async fn a_guest_is_refused_what_is_for_workers() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    submit(&owner, "").await.expect("an id");
    let handle = claim(&owner).await.expect("a claim").remove(0);
    let before = owner.dump().await.expect("a dump");
    let refusals = [
        claim(&guest).await.map(|_| ()),
        guest.tick(Tick { partition: PARTITION, limit: 1 }).await.map(|_| ()),
        guest.renew_lease(given::renew(&[&handle])).await.map(|_| ()),
        guest.complete_execution(given::complete(&handle)).await.map(|_| ()),
        guest.fail_execution(given::fail(&handle, "x")).await.map(|_| ()),
        guest.cancel_execution(given::cancel(&handle)).await.map(|_| ()),
        guest.release_execution(given::release(&handle)).await,
        guest.suspend_execution(given::suspend(&handle)).await.map(|_| ()),
        guest.append_frame(given::append(&handle, 0, &["x"])).await.map(|_| ()),
        guest.update_progress(given::progress(&handle, 1)).await,
    ];
    for refused in refusals {
        let Err(EngineError::Validation { kind, detail }) = refused else {
            panic!("not refused: {refused:?}");
        };
        assert_eq!(kind, ValidationKind::Connection);
        assert!(detail.contains("is for the owner of"), "{detail}");
    }
    assert_eq!(owner.dump().await.expect("a dump"), before);
}

#[tokio::test]
async fn a_guest_makes_a_file_that_is_missing_and_an_owner_finds_its_work() {
    let folder = Folder::fresh();
    let guest = guest(&folder).await;
    let id = submit(&guest, "early").await.expect("an id");
    let owner = owner(&folder).await;
    assert_eq!(claim(&owner).await.expect("a claim").remove(0).execution_id(), id);
}

#[tokio::test]
async fn a_file_is_made_once_by_however_many_open_it() {
    let folder = Folder::fresh();
    let opened: Vec<FileBackend> = futures::future::join_all((0..8).map(|_| guest(&folder))).await;
    for backend in &opened {
        submit(backend, "x").await.expect("an id");
    }
    let lanes = opened[0].list_lanes(Namespace::default()).await.expect("lanes");
    let ready = lanes[0].counts.iter().find(|(index, _)| index.as_str() == "ready");
    assert_eq!(ready.map(|(_, count)| *count), Some(8));
}

#[tokio::test]
async fn an_owner_may_come_while_a_guest_makes_the_file() {
    for _ in 0..20 {
        let folder = Folder::fresh();
        let (_guest, owner) = tokio::join!(guest(&folder), owner(&folder));
        submit(&owner, "x").await.expect("an id");
    }
}

#[tokio::test]
async fn a_busy_owner_lets_guests_write() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    let busy = tokio::spawn(async move {
        loop {
            futures::future::join_all((0..64).map(|_| submit(&owner, "load"))).await;
        }
    });
    for _ in 0..20 {
        let submitted = tokio::time::timeout(Duration::from_secs(30), submit(&guest, "x")).await;
        submitted.expect("within the deadline").expect("a guest gets its turn");
    }
    busy.abort();
}

#[tokio::test]
async fn a_file_of_somebody_else_is_refused_and_left_as_it_is() {
    let folder = Folder::fresh();
    let path = folder.file();
    std::fs::write(&path, "these are somebody's notes, not a store").expect("written");
    let why = refusal(&path).await;
    assert!(why.contains("no SQLite file"), "{why}");
    assert_eq!(std::fs::read(&path).expect("read"), b"these are somebody's notes, not a store");

    let other = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&other).expect("a database");
    connection
        .execute_batch("create table theirs (x); insert into theirs values (1)")
        .expect("sql");
    connection.close().expect("closed");
    let before = std::fs::read(&other).expect("read");
    let why = refusal(&other).await;
    assert!(why.contains("another program"), "{why}");
    assert_eq!(std::fs::read(&other).expect("read"), before);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = Folder::fresh();
    let backend = owner(&folder).await;
    for _ in 0..50 {
        submit(&backend, vec![7; 2_000]).await.expect("an id");
    }
    drop(backend);
    let whole = std::fs::read(folder.file()).expect("read");
    let (half, page) = (whole.len() / 2, 4_096);
    let mut scribbled = whole.clone();
    scribbled[page..page * 3].fill(0xA5);
    for damaged in [scribbled, whole[..half - half % page].to_vec()] {
        std::fs::write(folder.file(), &damaged).expect("written");
        let why = refusal(&folder.file()).await;
        assert!(why.contains("damaged"), "{why}");
        assert_eq!(std::fs::read(folder.file()).expect("read"), damaged);
    }
}

#[tokio::test]
async fn a_file_of_a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = Folder::fresh();
    drop(owner(&folder).await);
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    connection.pragma_update(None, "user_version", 99).expect("a version");
    connection.close().expect("closed");
    let before = std::fs::read(folder.file()).expect("read");
    let why = refusal(&folder.file()).await;
    assert!(why.contains("version 99") && why.contains("newer"), "{why}");
    assert_eq!(std::fs::read(folder.file()).expect("read"), before);
}

#[tokio::test]
async fn a_guest_writes_no_more_once_the_schema_is_newer_than_it_knows() {
    let folder = Folder::fresh();
    let guest = guest(&folder).await;
    submit(&guest, "x").await.expect("an id");
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    connection.pragma_update(None, "user_version", 99).expect("a version");
    let refused = submit(&guest, "y").await.expect_err("it is refused").to_string();
    assert!(refused.contains("version 99") && refused.contains("newer"), "{refused}");
}

#[tokio::test]
async fn a_path_that_cannot_be_is_refused() {
    let folder = Folder::fresh();
    assert!(refusal(folder.path()).await.contains("is a folder"));
    let why = refusal(&folder.path().join("none").join("ff.db")).await;
    assert!(why.contains("its folder"), "{why}");
    std::fs::write(folder.path().join("plain"), "").expect("written");
    assert!(refusal(&folder.path().join("plain").join("ff.db")).await.contains("cannot open"));
}

/// Tells a child process which file to open.
const READ_ONLY: &str = "FF_TEST_READ_ONLY";
/// The user and group `nobody`.
const NOBODY: u32 = 65_534;

/// The child: opens a file that it may read and not write.
#[tokio::test]
async fn reading_process() {
    let Ok(path) = std::env::var(READ_ONLY) else { return };
    let told = refusal(Path::new(&path)).await;
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes()).expect("the parent listens");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_and_left_as_it_is() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = Folder::fresh();
    drop(owner(&folder).await);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    // Everybody may make files beside it, nobody may write to it.
    mode(folder.path(), 0o777);
    mode(&folder.file(), 0o444);
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path != folder.file() {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let before = std::fs::read(folder.file()).expect("read");
    // The administrator may write everywhere, so the child is somebody else.
    let program = folder.path().join("reader");
    std::fs::copy(std::env::current_exe().expect("this test"), &program).expect("a copy");
    let mut child = std::process::Command::new(&program);
    child.args(["--exact", "reading_process", "--nocapture"]).env(READ_ONLY, folder.file());
    if std::fs::metadata(folder.path()).expect("a folder").uid() == 0 {
        std::os::unix::process::CommandExt::gid(&mut child, NOBODY);
        std::os::unix::process::CommandExt::uid(&mut child, NOBODY);
    }
    let output = child.current_dir(folder.path()).output().expect("the child ran");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("cannot be written"), "{said} {output:?}");
    assert_eq!(std::fs::read(folder.file()).expect("read"), before);
}

#[tokio::test]
async fn the_log_of_a_file_that_is_gone_is_not_taken_for_that_of_a_new_one() {
    let folder = Folder::fresh();
    let log = folder.path().join("ff.db-wal");
    std::fs::write(&log, "what was acknowledged").expect("written");
    let why = refusal(&folder.file()).await;
    assert!(why.contains("ff.db-wal"), "{why}");
    assert_eq!(std::fs::read(&log).expect("read"), b"what was acknowledged");
}

#[tokio::test]
async fn a_full_file_refuses_what_needs_room_and_changes_nothing() {
    let folder = Folder::fresh();
    let config = config(&folder).size_bytes_max(1024 * 1024);
    let backend = FileBackend::open(config).await.expect("the owner opens");
    let first = submit(&backend, "small").await.expect("an id");
    let refused = loop {
        match submit(&backend, vec![1; 64 * 1024]).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let EngineError::Unavailable { reason, .. } = &refused else {
        panic!("another error: {refused:?}");
    };
    assert!(reason.contains("no space") && reason.contains("make room"), "{reason}");
    let before = backend.dump().await.expect("a dump");
    submit(&backend, vec![1; 64 * 1024]).await.expect_err("still full");
    assert!(backend.dump().await.expect("a dump") == before, "a refusal changed the file");

    // SQLite may undo a transaction by itself: nothing that comes after in it may stand alone.
    let mut needy = item(vec![1; 64 * 1024]);
    needy.policy.required_capabilities = given::capabilities(&["gpu"]);
    let together = SubmitExecutions { items: vec![needy, item("small")] };
    let outcomes = backend.submit_executions(together).await.expect("outcomes");
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert!(backend.dump().await.expect("a dump") == before, "a refusal changed the file");

    // What needs little room passes, beside what does not.
    let (big, small) = tokio::join!(submit(&backend, vec![1; 64 * 1024]), claim(&backend));
    big.expect_err("still full");
    let handle = small.expect("a claim").remove(0);
    assert_eq!(handle.execution_id(), first);
    backend.complete_execution(complete_with(&handle, "done")).await.expect("an end");
    assert_eq!(backend.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

#[tokio::test]
async fn the_row_of_a_submission_that_was_undone_may_be_anothers() {
    let folder = Folder::fresh();
    let small = config(&folder).size_bytes_max(1024 * 1024);
    let owner = FileBackend::open(small).await.expect("the owner opens");
    // The bound is this process's alone: a guest still finds room.
    let guest = guest(&folder).await;
    while submit(&owner, vec![1; 64 * 1024]).await.is_ok() {}
    let urgent = ff_core::policy::ExecutionPolicy { priority: 1_000, ..Default::default() };
    let mut theirs = item("theirs");
    theirs.policy = urgent;
    let id = theirs.execution_id;
    let request = SubmitExecutions { items: vec![theirs] };
    guest.submit_executions(request).await.expect("outcomes").remove(0).expect("an id");
    let claimed = claim_as(&owner, 0).await.expect("a claim").remove(0);
    assert_eq!(claimed.handle.execution_id(), id);
    assert_eq!(claimed.input, "theirs");
}

#[tokio::test]
async fn a_submission_that_was_undone_is_not_taken_for_one_that_was_kept() {
    let folder = Folder::fresh();
    let small = config(&folder).size_bytes_max(1024 * 1024);
    let owner = FileBackend::open(small).await.expect("the owner opens");
    let try_out = async |item| {
        let request = SubmitExecutions { items: vec![item] };
        owner.submit_executions(request).await.expect("outcomes").remove(0)
    };
    let refused = loop {
        let item = item(vec![1; 64 * 1024]);
        if try_out(item.clone()).await.is_err() {
            break item;
        }
    };
    let again = try_out(refused.clone()).await;
    assert!(matches!(again, Err(EngineError::Unavailable { .. })), "{again:?}");
    let described = owner.describe_execution(refused.execution_id).await;
    assert!(matches!(described, Err(EngineError::NotFound { .. })), "{described:?}");
}

#[tokio::test]
async fn a_damaged_record_stops_nobody_and_doctor_tells_of_it() {
    let folder = Folder::fresh();
    let backend = owner(&folder).await;
    let damaged = submit(&backend, "first").await.expect("an id");
    let sound = submit(&backend, "second").await.expect("an id");
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    let update = "update executions set record = '{}' where id = ?";
    connection.execute(update, [damaged.to_string()]).expect("damaged");

    let described = backend.describe_execution(damaged).await;
    let Err(EngineError::Bug(BugKind::RecordDamaged { execution_id })) = described else {
        panic!("not told: {described:?}");
    };
    assert_eq!(execution_id, damaged);
    let handle = claim(&backend).await.expect("a claim").remove(0);
    assert_eq!(handle.execution_id(), sound);
    let found = backend.doctor(true).await.expect("a diagnosis");
    assert_eq!(found.findings_total, 1);
    assert_eq!(found.findings[0].execution_id, Some(damaged));
    assert!(!found.findings[0].fixed);
}

#[tokio::test]
async fn doctor_mends_columns_that_are_not_what_the_record_says() {
    let folder = Folder::fresh();
    let backend = owner(&folder).await;
    let id = submit(&backend, "").await.expect("an id");
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    connection.execute("update executions set owner = 'done', due_at = 1", []).expect("drifted");
    assert_eq!(backend.doctor(false).await.expect("a diagnosis").findings_total, 1);
    let mended = backend.doctor(true).await.expect("a diagnosis");
    assert!(mended.findings.iter().all(|finding| finding.fixed), "{mended:?}");
    assert_eq!(backend.doctor(false).await.expect("a diagnosis").findings_total, 0);
    assert_eq!(claim(&backend).await.expect("a claim").remove(0).execution_id(), id);
}

#[tokio::test]
async fn what_lapsed_is_forgotten_by_itself() {
    let folder = Folder::fresh();
    let clock = std::sync::Arc::new(ff_core::time::ManualClock::new(ff_conformance::START));
    let backend = FileBackend::open(config(&folder).clock(clock.clone())).await.expect("opens");
    submit(&backend, "").await.expect("an id");
    claim(&backend).await.expect("a claim");
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    let claims = || -> i64 {
        connection.query_row("select count(*) from claims", [], |row| row.get(0)).expect("a count")
    };
    assert_eq!(claims(), 1);
    clock.move_to(ff_conformance::START.plus_ms(ff_core::limits::DAY_MS));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while claims() > 0 {
        assert!(std::time::Instant::now() < deadline, "still there");
        backend.ping().await.expect("a pong");
    }
}

#[tokio::test]
async fn a_guest_that_holds_its_turn_and_stops_holds_up_nobody_for_ever() {
    let folder = Folder::fresh();
    let (owner, guest) = (owner(&folder).await, guest(&folder).await);
    let turn = std::fs::File::open(folder.path().join("ff.db-turn")).expect("the turn");
    turn.lock().expect("somebody else's turn");
    submit(&owner, "x").await.expect("the owner goes on");
    let submitted = tokio::time::timeout(Duration::from_secs(60), submit(&guest, "x")).await;
    submitted.expect("within the deadline").expect("a guest goes on");
}
