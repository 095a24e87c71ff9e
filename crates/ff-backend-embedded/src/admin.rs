//! Admin: set the store up, look after it.

use crate::EmbeddedBackend;
use crate::store::{Room, Store};
use ff_core::contracts::AdminBackend;
use ff_core::contracts::admin::*;
use ff_core::error::{ConflictKind, ValidationKind};
use ff_core::limits::KEYRING_KIDS_MAX;
use ff_core::policy::LaneDefaults;
use ff_core::token::{Keyring, RotateFault};
use ff_core::{EngineError, EngineResult, LaneId, Namespace, TimestampMs};

fn rotate(keyring: &mut Keyring, request: &RotateKeyring, now: TimestampMs) -> EngineResult<()> {
    let revoke = |keyring: &mut Keyring| {
        request.revoke.iter().for_each(|kid| {
            keyring.revoke(kid);
        });
    };
    // Before, so that there is room; and after, for the key that signed until now.
    revoke(keyring);
    if let Some((kid, secret)) = request.add.clone() {
        let grace_until = request.grace_ms.map(|grace_ms| now.plus_ms(grace_ms));
        keyring.rotate(kid.clone(), secret, grace_until, now).map_err(|fault| match fault {
            RotateFault::Conflict => ConflictKind::KeyIdTaken { kid }.into(),
            RotateFault::Full => EngineError::validation(
                ValidationKind::Argument,
                format!("the keyring holds {KEYRING_KIDS_MAX} keys: revoke one first"),
            ),
        })?;
    }
    revoke(keyring);
    Ok(())
}

#[async_trait::async_trait]
impl<S: Store> AdminBackend for EmbeddedBackend<S> {
    async fn prepare(&self) -> EngineResult<Prepared> {
        Ok(Prepared { nodes: vec![self.store.place()], partitions: self.store.map().count() })
    }

    async fn ping(&self) -> EngineResult<Pong> {
        let ping = |_: &mut S::Room, now| Ok(Pong { server_time: now });
        self.store.read("ping", ping).await
    }

    async fn rotate_keyring(&self, request: RotateKeyring) -> EngineResult<KeyringRotated> {
        request.check()?;
        let rotate = move |room: &mut S::Room, now| {
            let mut keyring = room.keyring();
            rotate(&mut keyring, &request, now)?;
            let keys = keyring.keys().iter().map(|(kid, key)| (kid.clone(), key.expires_at));
            let rotated =
                KeyringRotated { current: keyring.current().clone(), keys: keys.collect() };
            room.put_keyring(keyring);
            Ok(rotated)
        };
        self.store.write("rotate_keyring", rotate).await
    }

    async fn configure_lane(&self, request: ConfigureLane) -> EngineResult<()> {
        request.defaults.check()?;
        let configure = move |room: &mut S::Room, _| {
            let ConfigureLane { namespace, lane, defaults } = request.clone();
            room.put_lane_defaults(namespace, lane, defaults);
            Ok(())
        };
        self.store.write("configure_lane", configure).await
    }

    async fn describe_lane(
        &self,
        namespace: Namespace,
        lane: LaneId,
    ) -> EngineResult<LaneDefaults> {
        let describe = move |room: &mut S::Room, _| Ok(room.lane_defaults(&namespace, &lane));
        self.store.read("describe_lane", describe).await
    }

    async fn doctor(&self, fix: bool) -> EngineResult<Diagnosis> {
        let seen = self.store.read("doctor", |room: &mut S::Room, _| Ok(room.examine(false)));
        let seen = seen.await?;
        if !fix || seen.findings_total == 0 {
            return Ok(seen);
        }
        // Only what is ill keeps everybody else waiting.
        self.store.write("doctor", |room: &mut S::Room, _| Ok(room.examine(true))).await
    }
}
