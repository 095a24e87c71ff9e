//! A store that somebody else has written to: what is damaged is named, and stops nothing else.

mod support;

use ff_backend_valkey::ValkeyBackend;
use ff_core::contracts::claim::Tick;
use ff_core::contracts::inspect::ListExecutions;
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::submit::{SubmitExecution, SubmitExecutions};
use ff_core::contracts::suspend::CreatePendingWaitpoint;
use ff_core::contracts::terminal::{
    CompleteExecution, CompleteExecutions, Completion, ReleaseExecution,
};
use ff_core::contracts::{
    AdminBackend, ClaimBackend, InspectBackend, LeaseBackend, SubmitBackend, SuspendBackend,
    TerminalBackend,
};
use ff_core::error::{BugKind, EngineError};
use ff_core::keys::{execution, partition_base};
use ff_core::name::Capability;
use ff_core::policy::ExecutionPolicy;
use ff_core::state::PublicState;
use ff_core::{ExecutionId, Handle, WaitpointId};
use ff_testserver::Connection;
use support::{claim, complete, connect, item, partition, raw, submit};

/// A text that stands nowhere in a store.
const JUNK: &str = "junk";
/// Longer than what stays inside a record.
const LONG: [u8; 300] = [b'x'; 300];

/// Ways to damage the text of a record that waits, each with its name.
fn damages(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let at = |place: usize, byte: u8| {
        let mut text = text.to_vec();
        text[place] = byte;
        text
    };
    // The parts are the last text but the result, which is empty here.
    let parts = |what: &str, bytes: &[u8]| {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a few bytes").to_be_bytes();
        let part = [what.as_bytes(), &length(bytes), bytes].concat();
        let (head, texts) = text.split_at(HEAD_BYTES);
        [&head[..PARTS_AT], &length(&part), &head[PARTS_AT + 4..], texts, &part].concat()
    };
    let shifted = {
        let mut text = text.to_vec();
        text[DEFINITION_AT + 1] += 1;
        text[DEFINITION_AT + 3] -= 1;
        text
    };
    let rare = |bytes: &[u8]| parts("R", bytes);
    vec![
        ("empty", Vec::new()),
        ("junk", JUNK.into()),
        ("cut", text[..text.len() - 1].to_vec()),
        ("longer", [text, b"x"].concat()),
        ("another layout", at(0, 0)),
        ("no state", at(1, b'?')),
        ("active without a lease", at(1, b'a')),
        ("suspended without a suspension", at(1, b's')),
        ("blocked without a grant", at(1, b'b')),
        ("a length too long", at(DEFINITION_AT, 255)),
        ("a length that makes up for another", shifted),
        ("an attempt that never began", at(HEAD_BYTES - 8, 1)),
        ("no lane", at(HEAD_BYTES + "default".len(), b'.')),
        ("a part that nobody knows", parts("?", b"")),
        ("a lease that is too short", parts("L", b"f")),
        ("a turn that is none", parts("T", &[b'x'; 30])),
        ("rare facts that are none", rare(JUNK.as_bytes())),
        ("a cancel that is a number", rare(b"\x81\xa6cancel\x01")),
        ("a cancel without a reason", rare(b"\x81\xa6cancel\x80")),
        ("mutations that are no list", rare(b"\x81\xa9mutations\xa4junk")),
    ]
}

/// Bytes of a record before its texts, and where the lengths of two of them stand.
const HEAD_BYTES: usize = 49;
const DEFINITION_AT: usize = 31;
const PARTS_AT: usize = 43;

fn write(at: &mut Connection, words: &[&str]) {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    raw(at, &words).into_result().expect("a write");
}

/// Puts a text in the place of whatever a key holds.
fn plant(at: &mut Connection, key: &str) {
    write(at, &["SET", key, JUNK]);
}

/// Lists every key of the server.
fn keys(at: &mut Connection) -> Vec<String> {
    let ff_testserver::Value::Array(keys) = raw(at, &[b"KEYS", b"*"]) else { panic!("no list") };
    keys.iter().map(|key| key.text().unwrap_or_default().into_owned()).collect()
}

async fn submit_long(backend: &ValkeyBackend) -> ExecutionId {
    let request = SubmitExecution { input: LONG.to_vec().into(), ..item() };
    let requests = SubmitExecutions { items: vec![request] };
    let mut outcomes = backend.submit_executions(requests).await.expect("a submission");
    outcomes.remove(0).expect("an item").execution_id()
}

fn is_damaged(error: &EngineError, id: ExecutionId) -> bool {
    matches!(error, EngineError::Bug(BugKind::RecordDamaged { execution_id: of }) if *of == id)
}

/// Checks that the work beside a damaged record goes on, and that the record is named.
async fn goes_on_beside(backend: &ValkeyBackend, damaged: ExecutionId, what: &str) {
    let others = [submit(backend).await, submit(backend).await];
    let claimed =
        backend.claim_execution(claim(10)).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let handles: Vec<Handle> = claimed.executions.into_iter().map(|one| one.handle).collect();
    let ids: Vec<ExecutionId> = handles.iter().map(Handle::execution_id).collect();
    assert_eq!(ids, others, "{what}");
    let tick = Tick { partition: partition(), limit: 10 };
    backend.tick(tick).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let list = ListExecutions {
        namespace: Default::default(),
        lane: Default::default(),
        state: PublicState::Active,
        cursor: None,
        limit: 10,
    };
    backend.list_executions(list).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    for handle in &handles {
        backend.complete_execution(complete(handle)).await.expect("a completion");
    }
    let diagnosis = backend.doctor(false).await.expect("a diagnosis");
    let named = diagnosis.findings.iter().any(|finding| finding.execution_id == Some(damaged));
    assert!(named, "{what}: {diagnosis:?}");
}

on_each_version! {
    async fn a_record_that_cannot_be_read_stops_no_other(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let id = submit(&backend).await;
        let sound = raw(&mut at, &[b"GET", execution(id).as_bytes()]);
        let mut ways = damages(sound.bytes().expect("a record"));
        backend.claim_execution(claim(1)).await.expect("a claim");
        ways.push(("a list", Vec::new()));
        for (what, text) in ways {
            let id = submit(&backend).await;
            let key = execution(id);
            match what {
                "a list" => {
                    write(&mut at, &["DEL", &key]);
                    write(&mut at, &["RPUSH", &key, JUNK]);
                }
                _ => {
                    raw(&mut at, &[b"SET", key.as_bytes(), &text]).into_result().expect("a write");
                }
            }
            goes_on_beside(&backend, id, what).await;
            let refusal = backend.describe_execution(id).await.expect_err("a refusal");
            assert!(is_damaged(&refusal, id), "{what}: {refusal}");
            write(&mut at, &["DEL", &key]);
            backend.doctor(true).await.expect("a diagnosis");
        }
    }

    async fn a_birth_that_cannot_be_read_is_named_and_does_not_stop_the_work(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let id = submit(&backend).await;
        let key = execution(id);
        let mut text = raw(&mut at, &[b"GET", key.as_bytes()]).bytes().expect("a record").to_vec();
        let birth_at = HEAD_BYTES + usize::from(text[DEFINITION_AT + 1]);
        text[birth_at + 6] = 255;
        raw(&mut at, &[b"SET", key.as_bytes(), &text]).into_result().expect("a write");
        let refusal = backend.describe_execution(id).await.expect_err("a refusal");
        assert!(is_damaged(&refusal, id), "{refusal}");
        let claimed = backend.claim_execution(claim(10)).await.expect("a claim").executions;
        assert_eq!(claimed.len(), 1);
        backend.complete_execution(complete(&claimed[0].handle)).await.expect("a completion");
        let diagnosis = backend.doctor(false).await.expect("a diagnosis");
        assert!(diagnosis.findings.iter().any(|finding| finding.execution_id == Some(id)));
    }

    async fn extras_that_cannot_be_read_cost_nothing_beside_them(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let before = submit(&backend).await;
        let tags = [("team".to_owned(), "blue".to_owned())].into();
        let policy = ExecutionPolicy { tags, ..Default::default() };
        let items = vec![SubmitExecution { policy, ..item() }];
        let submitted = backend.submit_executions(SubmitExecutions { items }).await;
        let submitted = submitted.expect("a submission").remove(0).expect("an item");
        let key = execution(submitted.execution_id());
        let sound = raw(&mut at, &[b"GET", key.as_bytes()]);
        let mut text = sound.bytes().expect("a record").to_vec();
        let extras = text.windows(4).position(|bytes| bytes == b"team").expect("a tag");
        text[extras - 1] = b'x';
        raw(&mut at, &[b"SET", key.as_bytes(), &text]).into_result().expect("a write");
        let after = submit(&backend).await;
        let claimed = backend.claim_execution(claim(10)).await.expect("a claim").executions;
        let ids: Vec<_> = claimed.iter().map(|one| one.handle.execution_id()).collect();
        assert_eq!(ids, [before, after]);
    }

    async fn strays_in_what_times_executions_leave_it(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let base = partition_base(partition());
        let waiting = submit(&backend).await.uuid().to_string();
        let held = support::started(&backend).await.handle;
        let other = support::started(&backend).await.handle;
        backend.complete_execution(complete(&other)).await.expect("an end");
        let (held, other) = (held.execution_id().uuid(), other.execution_id().uuid());
        let (held, other) = (held.to_string(), other.to_string());
        let (due, active, done) = (
            format!("{base}:due"),
            format!("{base}:active:default:default"),
            format!("{base}:done:default:default"),
        );
        for id in [waiting.as_str(), &other, JUNK] {
            write(&mut at, &["ZADD", &active, "1", id]);
        }
        write(&mut at, &["ZADD", &done, "1", &held]);
        let indexes = ["active:default:default", "done:default:default", "done:none:none"];
        for entry in [&held, &other, JUNK, "ready:default:default::"].into_iter().chain(indexes) {
            write(&mut at, &["ZADD", &due, "2", entry]);
        }
        assert!(backend.doctor(false).await.expect("a diagnosis").findings_total > 4);
        for limit in [1, 2, 50] {
            let tick = Tick { partition: partition(), limit };
            assert_eq!(backend.tick(tick).await.expect("a tick").handled, 0);
        }
        let ticked = backend.tick(Tick { partition: partition(), limit: 1 }).await.expect("a tick");
        assert!(!ticked.more && ticked.next_due.is_some(), "{ticked:?}");
        let diagnosis = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!(diagnosis.findings_total, 0, "{diagnosis:?}");
    }

    async fn the_doctor_times_an_owner_index_again(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        support::started(&backend).await;
        let due = format!("{}:due", partition_base(partition()));
        let too_late = ["ZADD", &due, "9e12", "active:default:default"];
        for damage in [&["DEL", due.as_str()][..], &too_late] {
            write(&mut at, damage);
            let diagnosis = backend.doctor(true).await.expect("a diagnosis");
            assert_eq!((diagnosis.findings_total, diagnosis.findings[0].fixed), (1, true));
            let diagnosis = backend.doctor(false).await.expect("a diagnosis");
            assert_eq!(diagnosis.findings_total, 0, "{diagnosis:?}");
        }
    }

    async fn a_slot_and_a_count_that_are_none_stop_nothing(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let request = claim(1);
        backend.claim_execution(request.clone()).await.expect("a claim");
        let slot = keys(&mut at).into_iter().find(|key| key.contains(":claimed:"));
        write(&mut at, &["SET", &slot.expect("a slot"), &request.claim_id.to_string()]);
        let routes = format!("{}:routes:default:default", partition_base(partition()));
        write(&mut at, &["HSET", &routes, "gpu", JUNK, "tpu", "1"]);
        let waiting = submit(&backend).await;
        let claimed = backend.claim_execution(request).await.expect("a claim").executions;
        assert_eq!(claimed[0].handle.execution_id(), waiting);
        let gpu = [Capability::new("gpu").expect("legal")].into();
        let policy = ExecutionPolicy { required_capabilities: gpu, ..Default::default() };
        let items = vec![SubmitExecution { policy, ..item() }];
        let submitted = backend.submit_executions(SubmitExecutions { items }).await;
        submitted.expect("a submission").remove(0).expect("an item");
        let fields = [b"HGET".as_slice(), routes.as_bytes()];
        for field in [b"gpu".as_slice(), b"tpu"] {
            let count = raw(&mut at, &[fields[0], fields[1], field]);
            assert_eq!(count.bytes(), Some(b"1".as_slice()));
        }
    }

    async fn an_input_that_is_gone_is_never_taken_for_an_empty_one(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let id = submit_long(&backend).await;
        write(&mut at, &["DEL", &format!("{}:in", execution(id))]);
        goes_on_beside(&backend, id, "input").await;
    }

    async fn an_input_that_is_no_text_is_never_handed_out_and_costs_nothing_beside_it(
        server: Server
    ) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let (id, other) = (submit_long(&backend).await, submit_long(&backend).await);
        let key = format!("{}:in", execution(id));
        write(&mut at, &["DEL", &key]);
        write(&mut at, &["RPUSH", &key, JUNK]);
        let claimed = backend.claim_execution(claim(10)).await.expect("a claim").executions;
        let got: Vec<_> =
            claimed.iter().map(|one| (one.handle.execution_id(), &one.input[..])).collect();
        assert_eq!(got, [(other, &LONG[..])]);
        let diagnosis = backend.doctor(false).await.expect("a diagnosis");
        assert!(diagnosis.findings.iter().any(|finding| finding.execution_id == Some(id)));
    }

    async fn a_result_that_is_gone_is_never_taken_for_none(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let handle = support::started(&backend).await.handle;
        let result = Some(LONG.to_vec().into());
        let request = CompleteExecution { result, ..complete(&handle) };
        backend.complete_execution(request).await.expect("a completion");
        let id = handle.execution_id();
        write(&mut at, &["DEL", &format!("{}:out", execution(id))]);
        let refusal = backend.read_result(id).await.expect_err("a refusal");
        assert!(is_damaged(&refusal, id), "{refusal}");
    }

    async fn one_damaged_record_does_not_stop_the_renewal_of_others(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(support::started(&backend).await.handle);
        }
        let damaged = handles[1].execution_id();
        plant(&mut at, &execution(damaged));
        let request = RenewLease { handles, lease_ttl_ms: 30_000 };
        let renewed = backend.renew_lease(request).await.expect("a renewal");
        assert!(renewed[0].is_ok() && renewed[2].is_ok(), "{renewed:?}");
        assert!(renewed[1].as_ref().is_err_and(|error| is_damaged(error, damaged)), "{renewed:?}");
    }

    async fn what_is_damaged_beside_one_record_does_not_touch_ends_beside_it(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let mut completions = Vec::new();
        for _ in 0..3 {
            let handle = support::started(&backend).await.handle;
            completions.push(Completion { handle, result: Some("fine".into()) });
        }
        let damaged = &completions[1].handle;
        let request = CreatePendingWaitpoint {
            handle: damaged.clone(),
            waitpoint_id: WaitpointId::generate(),
            waitpoint_key: "key".parse().expect("legal"),
            expires_in_ms: 60_000,
        };
        let opened = backend.create_pending_waitpoint(request).await.expect("a waitpoint");
        let id = damaged.execution_id();
        let field = opened.waitpoint_id.to_string();
        write(&mut at, &["HSET", &format!("{}:wp", execution(id)), &field, JUNK]);
        let waiting = submit(&backend).await;
        let request = CompleteExecutions { completions, next: Some(claim(3)) };
        let ended = backend.complete_executions(request).await.expect("ends");
        assert!(ended.outcomes[0].is_ok() && ended.outcomes[2].is_ok(), "{ended:?}");
        assert!(ended.outcomes[1].as_ref().is_err_and(|error| is_damaged(error, id)), "{ended:?}");
        assert_eq!(ended.next.expect("a claim").executions[0].handle.execution_id(), waiting);
    }

    async fn a_key_of_another_type_gives_way_to_the_first_write(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let handle = support::started(&backend).await.handle;
        let release = ReleaseExecution { handle, reason: "again".to_owned() };
        backend.release_execution(release).await.expect("a release");
        let held = backend.claim_execution(claim(1)).await.expect("a claim").executions.remove(0);
        let record = execution(held.handle.execution_id());
        let base = format!("{}:", partition_base(partition()));
        for key in keys(&mut at) {
            if key.starts_with(&base) && key != record {
                plant(&mut at, &key);
            }
        }
        let other = submit(&backend).await;
        let request = CompleteExecution { next: Some(claim(1)), ..complete(&held.handle) };
        let ended = backend.complete_execution(request).await.expect("a completion");
        let next = ended.next.expect("a claim came with it").executions;
        assert_eq!(next[0].handle.execution_id(), other);
        let diagnosis = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!(diagnosis.findings_total, 0, "{diagnosis:?}");
    }
}
