use super::*;
use ff_core::error::{EngineError, ValidationKind};

/// What a server with our own library says.
fn ours() -> Described {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let number = |n: usize| u32::try_from(n).expect("a small bound");
    let functions = ALL
        .iter()
        .map(|function| DescribedFunction {
            name: function.name.to_owned(),
            flags: Vec::new(),
            arguments: names(function.arguments),
            group: names(function.group.arguments),
            groups_min: number(function.group.min),
            groups_max: number(function.group.max),
        })
        .collect();
    Described { version: VERSION, functions }
}

fn judge(found: Option<&Described>) -> EngineResult<Step> {
    Library::new(None).judge("node", found)
}

fn refused(outcome: EngineResult<Step>) -> String {
    match outcome {
        Err(EngineError::Validation { kind: ValidationKind::Connection, detail }) => detail,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_missing_library_is_loaded_and_an_equal_one_kept() {
    assert_eq!(judge(None).ok(), Some(Step::Load));
    assert_eq!(judge(Some(&ours())).ok(), Some(Step::Keep));
}

#[test]
fn an_older_library_is_replaced_whatever_it_holds() {
    let older = Described { version: VERSION - 1, functions: Vec::new() };
    assert_eq!(judge(Some(&older)).ok(), Some(Step::Replace));
}

#[test]
fn a_newer_library_is_kept_only_if_it_serves_ours() {
    let mut newer = ours();
    newer.version += 1;
    let mut added = newer.functions[0].clone();
    added.name = "ff_new".to_owned();
    newer.functions.push(added);
    assert_eq!(judge(Some(&newer)).ok(), Some(Step::Keep));
    newer.functions[0].arguments.push("more".to_owned());
    newer.functions[0].name = ALL[0].name.to_owned();
    let detail = refused(judge(Some(&newer)));
    assert!(detail.contains(ALL[0].name), "{detail}");
    assert!(detail.contains("upgrade"), "{detail}");
}

#[test]
fn a_stopped_clock_is_never_used_in_earnest() {
    let mut test = ours();
    let mut clock = test.functions[0].clone();
    clock.name = TEST_SET_CLOCK.name.to_owned();
    test.functions.push(clock);
    let detail = refused(judge(Some(&test)));
    assert!(detail.contains("test build"), "{detail}");
}
