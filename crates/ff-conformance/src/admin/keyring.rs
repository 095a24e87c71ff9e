//! The keyring that signs waitpoint tokens.

use crate::prelude::*;

fn kid(text: &str) -> KeyId {
    KeyId::new(text).expect("a legal key id")
}

fn adding(text: &str, secret: &Secret, grace_ms: Option<u64>) -> RotateKeyring {
    RotateKeyring { add: Some((kid(text), secret.clone())), grace_ms, revoke: Vec::new() }
}

async fn rotates(world: &World, request: RotateKeyring) -> KeyringRotated {
    world.rotate_keyring(request).await.expect("a rotation")
}

pub async fn rotate_keyring_signs_with_the_new_key(world: &World) {
    let rotated = rotates(world, adding("k9", &Secret::generate(), Some(9_000))).await;
    assert_eq!(rotated.current, kid("k9"));
    assert_eq!(rotated.keys.len(), 2);
    for (key, expires_at) in rotated.keys {
        let expected = (key != kid("k9")).then(|| world.after(9_000));
        assert_eq!(expires_at, expected, "{key}");
    }
}

pub async fn rotate_keyring_repeated_changes_nothing(world: &World) {
    let request = adding("k9", &Secret::generate(), Some(9_000));
    let first = rotates(world, request.clone()).await;
    world.advance(100).await;
    assert_eq!(world.unchanged(world.rotate_keyring(request)).await, first);
}

pub async fn rotate_keyring_refuses_a_known_id_with_another_secret(world: &World) {
    rotates(world, adding("k9", &Secret::generate(), None)).await;
    let other = adding("k9", &Secret::generate(), None);
    let refusal = world.refuses(world.rotate_keyring(other)).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::KeyIdTaken { kid: id }) if id == kid("k9")
    );
}

pub async fn rotate_keyring_refuses_to_sign_with_an_old_key_again(world: &World) {
    let old = Secret::generate();
    rotates(world, adding("k8", &old, None)).await;
    rotates(world, adding("k9", &Secret::generate(), None)).await;
    let refusal = world.refuses(world.rotate_keyring(adding("k8", &old, None))).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::KeyIdTaken { .. }));
}

pub async fn rotate_keyring_refuses_more_keys_than_the_limit(world: &World) {
    for n in 1..KEYRING_KIDS_MAX {
        rotates(world, adding(&format!("n{n}"), &Secret::generate(), None)).await;
    }
    let one_more = adding("one-more", &Secret::generate(), None);
    world.refuses(world.rotate_keyring(one_more.clone())).await;
    let revoking = RotateKeyring { add: None, grace_ms: None, revoke: vec![kid("n1")] };
    let rotated = rotates(world, revoking).await;
    assert_eq!(rotated.keys.len(), KEYRING_KIDS_MAX - 1);
    rotates(world, one_more).await;
}

pub async fn revoking_takes_a_key_out_but_never_the_current_one(world: &World) {
    rotates(world, adding("k8", &Secret::generate(), None)).await;
    rotates(world, adding("k9", &Secret::generate(), None)).await;
    let revoke = |kids: &[&str]| RotateKeyring {
        add: None,
        grace_ms: None,
        revoke: kids.iter().map(|text| kid(text)).collect(),
    };
    let rotated = rotates(world, revoke(&["k8", "unknown"])).await;
    assert!(rotated.keys.iter().all(|(key, _)| *key != kid("k8")));
    let before = world.rotate_keyring(revoke(&[])).await.expect("a look");
    let _ = world.rotate_keyring(revoke(&["k9"])).await;
    let after = world.rotate_keyring(revoke(&[])).await.expect("a look");
    assert_eq!((after.current, after.keys), (before.current, before.keys));
}

pub async fn rotate_keyring_refuses_a_grace_past_its_bound(world: &World) {
    let request = adding("k9", &Secret::generate(), Some(SPAN_MS_MAX + 1));
    let refusal = world.refuses(world.rotate_keyring(request)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
}
