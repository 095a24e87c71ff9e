//! What belongs to no partition: the keyring and the lanes' defaults, each kept for a while.

use crate::args::text;
use crate::backend::ValkeyBackend;
use crate::error::BACKEND;
use ff_core::error::{BugKind, EngineError, EngineResult, StateKind, ValidationKind};
use ff_core::ids::{ExecutionId, WaitpointId};
use ff_core::keys::META;
use ff_core::limits::{KEYRING_AGE_MAX_MS, LANE_DEFAULTS_AGE_MAX_MS};
use ff_core::name::{KeyId, LaneId, Namespace};
use ff_core::policy::LaneDefaults;
use ff_core::time::TimestampMs;
use ff_core::token::{Keyring, KeyringKey, Secret, TokenFault, WaitpointToken};
use ff_script::functions::{DESCRIBE_LANE, READ_KEYRING};
use ff_script::{Fields, Subject};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lanes whose defaults are kept; past this many all are read anew.
const LANES_KEPT_MAX: usize = 1_024;

/// A value, and when it was read: by the backend's clock, which tests move, and by the machine's.
#[derive(Clone, Debug)]
struct Aged<T> {
    value: Arc<T>,
    read_at: TimestampMs,
    read: Instant,
}

impl<T> Aged<T> {
    fn new(value: T, now: TimestampMs) -> Self {
        Self { value: Arc::new(value), read_at: now, read: Instant::now() }
    }

    /// Returns the value while it is young enough by both clocks.
    fn young(&self, now: TimestampMs, age_max_ms: u64) -> Option<Arc<T>> {
        let young = now.since_ms(self.read_at) < age_max_ms
            && self.read.elapsed() < Duration::from_millis(age_max_ms);
        young.then(|| Arc::clone(&self.value))
    }
}

/// The copies that this process trusts for a while.
#[derive(Debug, Default)]
pub(crate) struct Meta {
    keyring: Mutex<Option<Aged<Keyring>>>,
    lanes: Mutex<HashMap<(Namespace, LaneId), Aged<LaneDefaults>>>,
}

impl Meta {
    /// Forgets the keyring, which has changed.
    pub(crate) fn forget_keyring(&self) {
        *lock(&self.keyring) = None;
    }

    /// Forgets the defaults of a lane, which have changed.
    pub(crate) fn forget_lane(&self, namespace: &Namespace, lane: &LaneId) {
        lock(&self.lanes).remove(&(namespace.clone(), lane.clone()));
    }
}

impl ValkeyBackend {
    /// Signs a token for a waitpoint.
    pub(crate) async fn mint(
        &self,
        execution_id: ExecutionId,
        waitpoint_id: WaitpointId,
    ) -> EngineResult<WaitpointToken> {
        let keyring = self.keyring().await?;
        Ok(keyring.mint(execution_id, waitpoint_id))
    }

    /// Checks a token from the request alone. A key that is not known makes the keyring be read
    /// anew, once.
    pub(crate) async fn verify(
        &self,
        token: &WaitpointToken,
        execution_id: ExecutionId,
        waitpoint_id: WaitpointId,
    ) -> EngineResult<()> {
        let now = self.clock.now();
        let keyring = self.keyring().await?;
        let mut checked = keyring.verify(token, execution_id, waitpoint_id, now);
        if checked == Err(TokenFault::UnknownKey) {
            let keyring = self.read_keyring().await?;
            checked = keyring.verify(token, execution_id, waitpoint_id, now);
        }
        checked.map_err(|fault| match fault {
            TokenFault::KeyExpired => StateKind::TokenExpired { execution_id }.into(),
            TokenFault::Invalid | TokenFault::UnknownKey => EngineError::validation(
                ValidationKind::InvalidToken,
                format!("token was not signed for waitpoint {waitpoint_id} of {execution_id}"),
            ),
        })
    }

    /// Returns the keyring, at most `KEYRING_AGE_MAX_MS` old.
    async fn keyring(&self) -> EngineResult<Arc<Keyring>> {
        let now = self.clock.now();
        let kept =
            lock(&self.meta.keyring).as_ref().and_then(|kept| kept.young(now, KEYRING_AGE_MAX_MS));
        match kept {
            Some(keyring) => Ok(keyring),
            None => self.read_keyring().await,
        }
    }

    async fn read_keyring(&self) -> EngineResult<Arc<Keyring>> {
        // Taken before the call: the copy is at least this old.
        let now = self.clock.now();
        let mut keyring = self.fetch_keyring().await?;
        if keyring.is_none() {
            // The store was emptied under us.
            crate::admin::prepare_store(&self.caller).await?;
            keyring = self.fetch_keyring().await?;
        }
        let keyring = keyring.ok_or_else(|| {
            BugKind::Invariant(format!("a prepared {BACKEND} store has no keyring"))
        })?;
        let aged = Aged::new(keyring, now);
        let value = Arc::clone(&aged.value);
        *lock(&self.meta.keyring) = Some(aged);
        Ok(value)
    }

    async fn fetch_keyring(&self) -> EngineResult<Option<Keyring>> {
        let fields = self.caller.ok(&READ_KEYRING, META, [], &[], &Subject::NONE).await?;
        decode_keyring(fields)
    }

    /// Returns the defaults of a lane, at most `LANE_DEFAULTS_AGE_MAX_MS` old.
    pub(crate) async fn lane_defaults(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
    ) -> EngineResult<Arc<LaneDefaults>> {
        let now = self.clock.now();
        let key = (namespace.clone(), lane.clone());
        let kept = lock(&self.meta.lanes)
            .get(&key)
            .and_then(|kept| kept.young(now, LANE_DEFAULTS_AGE_MAX_MS));
        if let Some(defaults) = kept {
            return Ok(defaults);
        }
        let aged = Aged::new(self.read_lane_defaults(namespace, lane).await?, now);
        let value = Arc::clone(&aged.value);
        let mut lanes = lock(&self.meta.lanes);
        if lanes.len() >= LANES_KEPT_MAX {
            lanes.clear();
        }
        lanes.insert(key, aged);
        Ok(value)
    }

    /// Reads the defaults of a lane from the store: the constants where none were set.
    pub(crate) async fn read_lane_defaults(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
    ) -> EngineResult<LaneDefaults> {
        let arguments = [text(namespace), text(lane)];
        let mut fields =
            self.caller.ok(&DESCRIBE_LANE, META, arguments, &[], &Subject::NONE).await?;
        let defaults = fields.bytes("defaults")?;
        if defaults.is_empty() {
            return Ok(LaneDefaults::default());
        }
        serde_json::from_slice(&defaults).map_err(|_| {
            let got = ff_script::Value::Bytes(defaults);
            fields.bad("defaults", "the defaults of a lane in JSON", &got)
        })
    }
}

fn decode_keyring(mut fields: Fields) -> EngineResult<Option<Keyring>> {
    let current: Option<KeyId> = fields.optional_parsed("current_kid", "a key id")?;
    let keys = fields.list("keys", |row| {
        let kid: KeyId = row.parsed("kid", "a key id")?;
        let expires_at = row.optional_time("expires_at")?;
        let secret = row.bytes("secret")?;
        let secret = Secret::new(secret.to_vec()).map_err(|_| {
            // The value itself must not show.
            let got = ff_script::Value::text(format!("{} bytes", secret.len()));
            row.bad("secret", "16 to 256 bytes", &got)
        })?;
        Ok((kid, KeyringKey { secret, expires_at }))
    })?;
    let Some(current) = current else {
        return Ok(None);
    };
    let keys: BTreeMap<KeyId, KeyringKey> = keys.into_iter().collect();
    let got = ff_script::Value::text(current.as_str());
    Keyring::from_keys(current, keys)
        .map(Some)
        .ok_or_else(|| fields.bad("current_kid", "one of the keys", &got))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
