//! Who may signal: tokens that are good, and all the ways they are not.

use crate::prelude::*;

async fn is_invalid(world: &World, address: &Address) {
    let refusal = world.refuses(world.deliver_signal(signal(address, "go"))).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::InvalidToken, .. });
}

fn rotation(kid: &str, grace_ms: Option<u64>, revoke: &[&str]) -> RotateKeyring {
    let kid_of = |text: &str| KeyId::new(text).expect("a legal key id");
    RotateKeyring {
        add: Some((kid_of(kid), Secret::generate())),
        grace_ms,
        revoke: revoke.iter().map(|text| kid_of(text)).collect(),
    }
}

pub async fn a_malformed_or_truncated_token_is_refused(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let good = address.token.expose().to_owned();
    let (kid, signature) = good.split_once('.').expect("a key id and a signature");
    let mut flipped = signature.to_owned();
    let first = if flipped.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(0..1, first);
    let bad = [
        String::new(),
        ".".to_owned(),
        kid.to_owned(),
        format!("{kid}."),
        signature.to_owned(),
        format!(".{signature}"),
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!("{good} "),
        format!("{kid}.{flipped}"),
        format!("nobody.{signature}"),
        format!("{kid}.{kid}.{signature}"),
        "\u{0}".to_owned(),
        "x".repeat(1_000_000),
    ];
    for text in bad {
        let token = WaitpointToken::from_text(text);
        is_invalid(world, &Address { token, ..address.clone() }).await;
    }
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_token_of_another_execution_is_refused(world: &World) {
    let (_, one) = world.suspended(&["go"]).await;
    let (_, two) = world.suspended(&["go"]).await;
    is_invalid(world, &Address { token: two.token, ..one }).await;
}

pub async fn a_token_of_another_waitpoint_is_refused(world: &World) {
    let handle = world.started().await.handle;
    let mut addresses = Vec::new();
    for name in ["door", "window"] {
        let request = waitpoint(&handle, name);
        let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
        addresses.push(Address::of_pending(handle.execution_id(), &opened));
    }
    let token = addresses[1].token.clone();
    is_invalid(world, &Address { token, ..addresses[0].clone() }).await;
}

pub async fn an_unknown_waitpoint_is_refused_as_a_bad_token(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let waitpoint_id = WaitpointId::generate();
    is_invalid(world, &Address { waitpoint_id, ..address.clone() }).await;
    let execution_id = ExecutionId::generate(world.partition());
    is_invalid(world, &Address { execution_id, ..address }).await;
}

pub async fn a_token_is_good_on_any_connection(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let outcome = world.elsewhere().await.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_rotated_token_is_good_within_the_grace(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.rotate_keyring(rotation("next", Some(60_000), &[])).await.expect("a rotation");
    world.advance(59_999).await;
    let outcome = world.elsewhere().await.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_rotated_token_has_expired_after_the_grace(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.rotate_keyring(rotation("next", Some(60_000), &[])).await.expect("a rotation");
    world.advance(60_000).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::TokenExpired { .. }));
}

pub async fn a_rotated_token_without_a_grace_is_good_until_revoked(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.rotate_keyring(rotation("next", None, &[])).await.expect("a rotation");
    world.advance(DAY_MS * 30).await;
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_revoked_token_is_refused_everywhere(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let other = world.elsewhere().await;
    let kid = address.token.kid().expect("a key id").to_owned();
    world.rotate_keyring(rotation("next", None, &[&kid])).await.expect("a rotation");
    world.advance(KEYRING_AGE_MAX_MS).await;
    is_invalid(world, &address).await;
    is_invalid(&other, &address).await;
}

pub async fn a_token_of_the_new_key_is_good_everywhere_at_once(world: &World) {
    let other = world.elsewhere().await;
    world.rotate_keyring(rotation("next", None, &[])).await.expect("a rotation");
    let (_, address) = world.suspended(&["go"]).await;
    assert_eq!(address.token.kid(), Some("next"));
    let outcome = other.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::TriggeredResume { .. });
}

pub async fn no_token_shows_in_a_description(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    let info = world.info(handle.execution_id()).await;
    let signature = address.token.expose().split_once('.').expect("a signature").1;
    assert!(!format!("{info:?} {address:?}").contains(signature));
}
