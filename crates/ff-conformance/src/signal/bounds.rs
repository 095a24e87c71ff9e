//! What a signal may not hold.

use crate::prelude::*;

async fn refuses_with(world: &World, change: impl FnOnce(&mut Signal)) -> EngineError {
    let (_, address) = world.suspended(&["go"]).await;
    let mut request = signal(&address, "go");
    change(&mut request.signal);
    world.refuses(world.deliver_signal(request)).await
}

pub async fn deliver_signal_refuses_a_payload_past_its_limit(world: &World) {
    for bytes in [SIGNAL_PAYLOAD_BYTES_MAX + 1, 10 * 1024 * 1024] {
        let refusal = refuses_with(world, |s| s.payload = Some(bytes_of(bytes))).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::TooLarge, .. });
    }
}

pub async fn deliver_signal_refuses_a_malformed_name(world: &World) {
    for name in [String::new(), "x".repeat(NAME_BYTES_MAX + 1), "\u{0}".to_owned()] {
        let refusal = refuses_with(world, |s| s.signal_name = name).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn deliver_signal_refuses_labels_past_their_limit(world: &World) {
    let long = || "x".repeat(LABEL_BYTES_MAX + 1);
    let refusals = [
        refuses_with(world, |s| s.signal_category = long()).await,
        refuses_with(world, |s| s.source_type = long()).await,
        refuses_with(world, |s| s.source_identity = long()).await,
        refuses_with(world, |s| s.correlation_id = Some(long())).await,
        refuses_with(world, |s| s.idempotency_key = Some(long())).await,
        refuses_with(world, |s| s.correlation_id = Some("\u{1b}".to_owned())).await,
    ];
    for refusal in refusals {
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}
