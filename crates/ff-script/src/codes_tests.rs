use super::*;
use crate::reply::{Reply, Value};
use ff_core::partition::{BudgetPartition, Partition};

fn subject() -> Subject {
    Subject {
        execution_id: Some(ExecutionId::generate(Partition::new_unchecked(0))),
        budget_id: Some(BudgetId::generate(BudgetPartition::new_unchecked(0))),
    }
}

fn refused(code: &str, details: &[&str]) -> EngineError {
    let mut values = vec![Value::Int(0), Value::text(code)];
    values.extend(details.iter().map(|detail| Value::text(*detail)));
    let reply = Reply::decode("ff_test", Value::Array(values)).expect("a legal envelope");
    reply.into_success(&subject()).expect_err("a refusal")
}

#[test]
fn the_table_is_sorted_and_names_each_code_once() {
    let codes: Vec<&str> = known().collect();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
}

#[test]
fn an_unknown_code_is_quoted() {
    match refused("what_is_this", &[]) {
        EngineError::Bug(BugKind::UnknownCode { function, code }) => {
            assert_eq!((function, code.as_str()), ("ff_test", "what_is_this"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_code_without_its_details_is_a_parse_error() {
    for code in ["stale_lease", "lease_expired", "limit_reached", "invalid_argument"] {
        let error = refused(code, &[]);
        assert!(matches!(error, EngineError::Bug(BugKind::Parse { .. })), "{code}: {error}");
    }
}

#[test]
fn an_inactive_execution_without_details_is_never_reconciled() {
    let id = AttemptId::generate().to_string();
    let error = refused("execution_not_active", &["success", "3", "terminal", &id]);
    assert!(matches!(error, EngineError::State(StateKind::ExecutionNotActive { .. })), "{error}");
    for details in [&[][..], &["success", "3", "terminal"]] {
        let error = refused("execution_not_active", details);
        assert!(matches!(error, EngineError::Bug(BugKind::Invariant(_))), "{error}");
    }
}

#[test]
fn a_code_about_a_record_needs_the_record() {
    let reply = Value::Array(vec![Value::Int(0), Value::text("execution_not_found")]);
    let reply = Reply::decode("ff_test", reply).expect("a legal envelope");
    let error = reply.into_success(&Subject::NONE).expect_err("a refusal");
    assert!(matches!(error, EngineError::Bug(BugKind::Invariant(_))), "{error}");
}

#[test]
fn the_library_refuses_with_the_codes_of_the_table_and_no_others() {
    let marker = "reply.refuse('";
    let source = crate::library::SOURCE;
    let used: std::collections::BTreeSet<&str> = source
        .match_indices(marker)
        .filter_map(|(at, _)| source[at + marker.len()..].split('\'').next())
        .collect();
    let known: std::collections::BTreeSet<&str> = known().collect();
    assert_eq!(used, known);
    // A code that is not a literal would escape the comparison.
    assert_eq!(source.matches("reply.refuse(").count(), source.matches(marker).count() + 1);
}
