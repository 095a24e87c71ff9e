//! Tokens that are signed anew.

use crate::prelude::*;

fn reissue(address: &Address) -> ReissueWaitpointToken {
    ReissueWaitpointToken { execution_id: address.execution_id, waitpoint_id: address.waitpoint_id }
}

async fn rotated(world: &World) {
    let rotation = RotateKeyring {
        add: Some((KeyId::new("next").expect("a legal key id"), Secret::generate())),
        grace_ms: None,
        revoke: Vec::new(),
    };
    world.rotate_keyring(rotation).await.expect("a rotation");
}

pub async fn a_reissued_token_replaces_the_one_before(world: &World) {
    let (_, before) = world.suspended(&["go"]).await;
    rotated(world).await;
    let token = world.reissue_waitpoint_token(reissue(&before)).await.expect("a token");
    assert_ne!(token, before.token);
    assert_eq!(token.kid(), Some("next"));
    let refusal = world.refuses(world.deliver_signal(signal(&before, "go"))).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::InvalidToken, .. });
    let after = Address { token, ..before };
    assert_matches!(world.signal(&after, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn reissue_repeated_answers_the_same_token(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    rotated(world).await;
    let first = world.reissue_waitpoint_token(reissue(&address)).await.expect("a token");
    let again = world.unchanged(world.reissue_waitpoint_token(reissue(&address))).await;
    assert_eq!(again, first);
}

pub async fn reissue_under_the_same_key_changes_nothing(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let token = world.unchanged(world.reissue_waitpoint_token(reissue(&address))).await;
    assert_eq!(token, address.token);
}

pub async fn a_suspend_repeated_after_a_reissue_tells_the_current_token(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend(&handle);
    let address = world.suspend(request.clone()).await;
    rotated(world).await;
    let token = world.reissue_waitpoint_token(reissue(&address)).await.expect("a token");
    let again = world.unchanged(world.suspend_execution(request)).await;
    assert_matches!(again, ExecutionSuspended::Suspended(s) if s.waitpoint_token == token);
}

pub async fn reissue_works_for_a_pending_waitpoint(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    let before = Address::of_pending(handle.execution_id(), &opened);
    rotated(world).await;
    let token = world.reissue_waitpoint_token(reissue(&before)).await.expect("a token");
    let after = Address { token, ..before };
    assert_matches!(
        world.signal(&after, "go").await,
        SignalOutcome::Accepted { effect: SignalEffect::Buffered, .. }
    );
}

pub async fn reissue_refuses_what_is_not_open(world: &World) {
    let (_, closed) = world.suspended(&["go"]).await;
    world.signal(&closed, "go").await;
    let unknown = Address { waitpoint_id: WaitpointId::generate(), ..closed.clone() };
    let refusal = world.refuses(world.reissue_waitpoint_token(reissue(&unknown))).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::InvalidToken, .. });
    let refusal = world.refuses(world.reissue_waitpoint_token(reissue(&closed))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    let nowhere = Address { execution_id: ExecutionId::generate(world.partition()), ..closed };
    let refusal = world.refuses(world.reissue_waitpoint_token(reissue(&nowhere))).await;
    assert_matches!(refusal, EngineError::NotFound { .. });
}
