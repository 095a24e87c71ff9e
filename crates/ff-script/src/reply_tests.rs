use super::*;
use ff_core::ids::AttemptId;

const F: &str = "ff_test";

fn array(values: Vec<Value>) -> Value {
    Value::Array(values)
}

fn ok(fields: Vec<Value>) -> Value {
    let mut values = vec![Value::Int(1), Value::text("OK")];
    values.extend(fields);
    array(values)
}

fn fields(values: Vec<Value>) -> Fields {
    match Reply::decode(F, ok(values)).expect("a legal envelope") {
        Reply::Success(success) => success.ok().expect("the status is OK"),
        Reply::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn parse_error(error: EngineError) -> (&'static str, &'static str, String) {
    match error {
        EngineError::Bug(BugKind::Parse { function, field, got, .. }) => (function, field, got),
        other => panic!("not a parse error: {other}"),
    }
}

#[test]
fn a_malformed_envelope_is_a_parse_error() {
    let bad = [
        (Value::Null, "reply"),
        (Value::Int(1), "reply"),
        (Value::text("OK"), "reply"),
        (Value::Bool(true), "reply"),
        (array(vec![]), "reply"),
        (array(vec![Value::text("1"), Value::text("OK")]), "kind"),
        (array(vec![Value::Int(2), Value::text("OK")]), "kind"),
        (array(vec![Value::Double(1.0)]), "kind"),
        (array(vec![Value::Int(1)]), "status"),
        (array(vec![Value::Int(1), Value::Int(1)]), "status"),
        (array(vec![Value::Int(0)]), "code"),
        (array(vec![Value::Int(0), Value::Null]), "code"),
    ];
    for (value, wanted) in bad {
        let shown = value.to_string();
        let error = Reply::decode(F, value).expect_err("malformed");
        let (function, field, _) = parse_error(error);
        assert_eq!((function, field), (F, wanted), "{shown}");
    }
}

#[test]
fn an_unknown_status_is_a_parse_error_that_quotes_it() {
    let value = array(vec![Value::Int(1), Value::text("FINE")]);
    let reply = Reply::decode(F, value).expect("a legal envelope");
    let success = reply.into_success(&Subject::default()).expect("a success");
    let error = success.one_of(&["OK", "DUPLICATE"]).expect_err("unknown");
    let (_, field, got) = parse_error(error);
    assert_eq!(field, "status");
    assert!(got.contains("FINE"), "{got}");
}

#[test]
fn a_number_is_never_read_as_zero_in_silence() {
    for bad in ["", "x", "-1", "+1", "1.5", " 1", "1 ", "18446744073709551616"] {
        let error = fields(vec![Value::text(bad)]).u64("delay_until").expect_err(bad);
        assert_eq!(parse_error(error).1, "delay_until", "{bad:?}");
    }
    assert!(fields(vec![]).u64("delay_until").is_err());
    assert!(fields(vec![Value::Null]).u64("delay_until").is_err());
    assert!(fields(vec![Value::Int(-1)]).u64("delay_until").is_err());
    let big = u64::MAX.to_string();
    assert_eq!(fields(vec![Value::text(big)]).u64("n").ok(), Some(u64::MAX));
    assert_eq!(fields(vec![Value::Int(7)]).u64("n").ok(), Some(7));
    assert_eq!(fields(vec![Value::text("-7")]).i64("n").ok(), Some(-7));
    assert!(fields(vec![Value::text("+7")]).i64("n").is_err());
    assert!(fields(vec![Value::text("4294967296")]).u32("n").is_err());
}

#[test]
fn only_an_optional_field_may_be_empty() {
    let empty = || vec![Value::text("")];
    assert_eq!(fields(empty()).optional_u64("n").ok(), Some(None));
    assert_eq!(fields(empty()).optional_i64("n").ok(), Some(None));
    assert_eq!(fields(empty()).optional_text("t").ok(), Some(None));
    assert!(fields(vec![Value::Null]).optional_u64("n").is_err());
    assert!(fields(vec![]).optional_text("t").is_err());
    assert!(fields(vec![Value::text("x")]).optional_u64("n").is_err());
    let id = fields(empty()).parsed::<AttemptId>("attempt_id", "an attempt id");
    assert_eq!(parse_error(id.expect_err("empty")).1, "attempt_id");
    let id = fields(empty()).optional_parsed::<AttemptId>("attempt_id", "an attempt id");
    assert_eq!(id.ok(), Some(None));
}

#[test]
fn bytes_pass_unchanged_and_text_must_be_text() {
    let raw = Bytes::from_static(b"\xff\x00");
    let value = || vec![Value::Bytes(raw.clone())];
    assert_eq!(fields(value()).bytes("payload").ok(), Some(raw.clone()));
    let error = fields(value()).text("reason").expect_err("not UTF-8");
    assert!(parse_error(error).2.contains("\\xff"));
}

#[test]
fn a_long_value_is_shortened_in_the_error() {
    let error = fields(vec![Value::text("y".repeat(10_000))]).u64("n").expect_err("no number");
    assert!(parse_error(error).2.len() < 120);
}

#[test]
fn nested_arrays_are_read_in_order() {
    let item = |n: i64| array(vec![Value::Int(n), Value::text("a")]);
    let mut reply = fields(vec![array(vec![item(1), item(2)])]);
    let list = reply.list("items", |item| item.u64("n")).ok();
    assert_eq!(list, Some(vec![1, 2]));
    let mut reply = fields(vec![array(vec![Value::Int(1), item(2)])]);
    assert!(reply.list("items", |item| item.u64("n")).is_err());
    let mut words = fields(vec![array(vec![Value::text("a"), Value::text("b")])]);
    let list = words.each("words", |words| words.text("word")).ok();
    assert_eq!(list, Some(vec!["a".to_owned(), "b".to_owned()]));
}
