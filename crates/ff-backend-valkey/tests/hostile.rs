//! Calls that no client of ours makes: every one is refused, and the server lives on.

mod support;

use ff_core::contracts::AdminBackend;
use ff_core::ids::MutationId;
use ff_core::limits::PAYLOAD_BYTES_MAX;
use ff_script::functions::ALL;
use ff_script::{Reply, Signature};
use ff_testserver::{Connection, Value};
use support::dump::dump;
use support::{connect, inner_commands, raw, submit};

/// The base that each function is called with; the wrong ones are refused as well.
const BASES: &[&str] = &["ff:{fp:0}", "ff:{b:0}", "ff:{meta}"];

/// As what an execution is submitted: a fingerprint and nothing else.
const BARE: &[u8] = b"\x01f\0\0\0";

/// Texts that are seldom what a function wants.
const GARBAGE: &[&[u8]] = &[
    b"",
    b"-1",
    b"1",
    b"99999999999999999999",
    b"nan",
    b"1e3",
    b"{fp:0}:x",
    b"\xff\xfe\x00",
    b"01971bb1-0000-7000-8000-000000000000",
    b"3:abc",
    b"9999:a",
    b"a,b,,",
];

fn to_decoder(value: Value) -> ff_script::Value {
    match value {
        Value::Integer(number) => ff_script::Value::Int(number),
        Value::Bulk(bytes) => ff_script::Value::Bytes(bytes.into()),
        Value::Simple(text) => ff_script::Value::text(text),
        Value::Array(values) => {
            ff_script::Value::Array(values.into_iter().map(to_decoder).collect())
        }
        _ => ff_script::Value::Null,
    }
}

/// Makes a call; the reply must be of the agreed form, and no error of the function's own.
fn answered(
    connection: &mut Connection,
    function: &Signature,
    base: &str,
    args: &[&[u8]],
) -> Reply {
    let mut words: Vec<&[u8]> = vec![b"FCALL", function.name.as_bytes(), b"1", base.as_bytes()];
    words.extend(args);
    let value = raw(connection, &words);
    if let Value::Error(message) = &value {
        panic!("{} {base} {args:?}: {message}", function.name);
    }
    Reply::decode(function.name, to_decoder(value))
        .unwrap_or_else(|error| panic!("{} {base} {args:?}: {error}", function.name))
}

fn is_refused(reply: &Reply, code: &str) -> bool {
    matches!(reply, Reply::Refused(refusal) if refusal.code == code)
}

on_each_version! {
    async fn a_wrong_number_of_arguments_is_refused(server: Server) {
        let _backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        for function in ALL {
            let (fixed, stride) = (function.arguments.len(), function.group.arguments.len());
            for count in 0..fixed + 2 * stride + 3 {
                let rest = count.checked_sub(fixed);
                let fits = rest.is_some_and(|rest| match (rest, stride) {
                    (0, _) => function.group.min == 0,
                    (_, 0) => false,
                    (rest, stride) => rest % stride == 0,
                });
                if fits {
                    continue;
                }
                let args = vec![&b"1"[..]; count];
                for base in BASES {
                    let reply = answered(&mut at, function, base, &args);
                    assert!(is_refused(&reply, "invalid_argument"), "{}: {reply:?}", function.name);
                }
            }
        }
    }

    async fn garbage_is_refused_and_breaks_nothing(server: Server) {
        let backend = connect(&server.url()).await;
        submit(&backend).await;
        let mut at = server.connect().expect("a connection");
        let mut readers = vec![server.connect().expect("a connection")];
        let mut before = dump(&mut readers);
        let mut unchanged_when_refused = |reply: Reply, what: &str| {
            let after = dump(&mut readers);
            let refused = !matches!(reply, Reply::Success(_));
            assert!(!refused || before == after, "{what} changed {before} to {after}");
            before = after;
        };
        for function in ALL.iter().filter(|function| !function.arguments.is_empty()) {
            for (turn, _) in GARBAGE.iter().enumerate() {
                let count = function.arguments.len() + function.group.arguments.len();
                let args: Vec<&[u8]> =
                    (0..count).map(|at| GARBAGE[(turn + at) % GARBAGE.len()]).collect();
                for base in BASES {
                    let reply = answered(&mut at, function, base, &args);
                    unchanged_when_refused(reply, function.name);
                }
                let same = vec![GARBAGE[turn]; count];
                for base in BASES {
                    let reply = answered(&mut at, function, base, &same);
                    unchanged_when_refused(reply, function.name);
                }
            }
        }
        backend.ping().await.expect("the server lives");
        let diagnosis = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!((diagnosis.executions, diagnosis.findings_total), (1, 0), "{diagnosis:?}");
    }

    async fn a_cursor_that_no_page_gave_is_refused(server: Server) {
        let _backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let function = ALL.iter().find(|function| function.name == "ff_check_indexes");
        let function = function.expect("it is there");
        for cursor in ["due 99999999999999999999999", "due -1", "due", "due 0 0", "due 1e3"] {
            let args: &[&[u8]] = &[cursor.as_bytes(), b"10", b"0"];
            let reply = answered(&mut at, function, BASES[0], args);
            assert!(is_refused(&reply, "invalid_argument"), "{cursor:?}: {reply:?}");
        }
    }

    async fn a_key_that_is_no_base_is_refused(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        for function in ALL {
            let args = vec![&b"1"[..]; function.arguments.len().max(1)];
            for key in ["", "ff:", "x", "ff:{fp:0}:x", "ff:{fp:-1}", "ff:{fp:0", "{fp:0}"] {
                let reply = answered(&mut at, function, key, &args);
                assert!(is_refused(&reply, "invalid_argument"), "{}: {reply:?}", function.name);
            }
            for keys in ["0", "2"] {
                let name = function.name.as_bytes();
                let words: &[&[u8]] =
                    &[b"FCALL", name, keys.as_bytes(), b"ff:{fp:0}", b"ff:{fp:0}", b"1"];
                let reply = Reply::decode(function.name, to_decoder(raw(&mut at, words)));
                let reply = reply.expect("a reply");
                assert!(is_refused(&reply, "invalid_argument"), "{}: {reply:?}", function.name);
            }
        }
        backend.ping().await.expect("the server lives");
    }

    async fn a_malformed_item_of_a_batch_leaves_nothing_of_the_others(server: Server) {
        let _backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let function = ALL.iter().find(|function| function.name == "ff_submit_executions");
        let function = function.expect("it is there");
        let definition = b"n:l:k:0,0,,3,e,1000,60000,200,20,10,10,86400000:";
        let id = || MutationId::generate().to_string();
        let submit = |at: &mut Connection, id: &str, submitted: &[u8], input: &[u8]| {
            let first = MutationId::generate().to_string();
            let mut args: Vec<&[u8]> = vec![first.as_bytes(), definition, BARE, b"", b"", b""];
            args.extend([id.as_bytes(), definition, submitted, b"", b"", input]);
            answered(at, function, BASES[0], &args)
        };
        let keys = |at: &mut Connection| raw(at, &[b"DBSIZE"]).integer();
        let before = keys(&mut at);
        let large = vec![b'x'; PAYLOAD_BYTES_MAX + 1];
        let malformed: [(String, &[u8], &[u8]); 6] = [
            (id(), b"", b""),
            (id(), b"\x01\xff\0\0\0", b""),
            (id(), b"\x02f\0\0\0", b""),
            (id(), BARE, &large),
            (id().to_uppercase(), BARE, b""),
            ("0".repeat(36), BARE, b""),
        ];
        for (id, submitted, input) in malformed {
            let reply = submit(&mut at, &id, submitted, input);
            assert!(is_refused(&reply, "invalid_argument"), "{id} {submitted:?}: {reply:?}");
            assert_eq!(keys(&mut at), before);
        }
        let reply = submit(&mut at, &id(), BARE, b"");
        assert!(!is_refused(&reply, "invalid_argument"), "{reply:?}");
        assert!(keys(&mut at) > before);
    }

    async fn what_is_no_id_makes_no_key_to_read(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let id = submit(&backend).await.uuid().to_string();
        let beside = format!("ff:{{fp:0}}:x:{id}:in");
        raw(&mut at, &[b"SET", beside.as_bytes(), b"long"]).into_result().expect("a write");
        let malformed = format!("{id}:in");
        let calls = [
            ("ff_complete_executions", [&b"0"[..], id.as_bytes(), id.as_bytes(), b"1", b""]),
            ("ff_submit_executions", [b"n:l:k::", b"\x01f\0\0\0", b"", b"", b""]),
        ];
        for (name, rest) in calls {
            let function = ALL.iter().find(|function| function.name == name).expect("it is there");
            let mut args = vec![&b""[..]; function.arguments.len()];
            args.push(malformed.as_bytes());
            args.extend(rest);
            let before = inner_commands(&mut at);
            let reply = answered(&mut at, function, BASES[0], &args);
            assert!(is_refused(&reply, "invalid_argument"), "{reply:?}");
            assert_eq!(inner_commands(&mut at), before, "{name}");
        }
    }
}
