//! Waitpoint tokens: who holds one may signal the waitpoint it names, and nothing else.
//!
//! A token is `<kid>.<base64url HMAC-SHA-256>` over the length-prefixed execution id, waitpoint id
//! and kid. It is checked from the request alone; the rules then compare it with the waitpoint.
//! Whoever can read the keyring can forge.

use crate::error::{EngineError, ValidationKind};
use crate::ids::{ExecutionId, WaitpointId};
use crate::limits::{KEYRING_KIDS_MAX, SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use crate::name::KeyId;
use crate::time::TimestampMs;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt;

/// Characters of the encoded signature.
const SIGNATURE_CHARS: usize = 43;

/// A signed token. Its text is shown only on request: `Debug` and `Display` hide it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WaitpointToken(String);

impl WaitpointToken {
    /// Takes the text of a token, whatever it says; [`Keyring::verify`] judges it.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be handed to whoever may signal.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the id of the key that it claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.0.split_once('.').map(|(kid, _)| kid)
    }
}

impl fmt::Debug for WaitpointToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitpointToken({}.***)", self.kid().unwrap_or(""))
    }
}

/// A signing key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes 16 to 256 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, EngineError> {
        let bytes = bytes.into();
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(EngineError::validation(
                ValidationKind::Argument,
                format!(
                    "secret is {} bytes, it must be {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX}",
                    bytes.len()
                ),
            ));
        }
        Ok(Self(bytes))
    }

    /// Makes 32 bytes from the system's randomness (two version 4 UUIDs hashed together).
    pub fn generate() -> Self {
        use sha2::Digest;
        let mut hash = Sha256::new();
        for _ in 0..4 {
            hash.update(uuid::Uuid::new_v4().as_bytes());
        }
        Self(hash.finalize().to_vec())
    }

    /// Returns the bytes, for the store.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// One key of a keyring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringKey {
    /// The key.
    pub secret: Secret,
    /// From when on its tokens are refused; `None` keeps it until it is revoked.
    pub expires_at: Option<TimestampMs>,
}

/// The keys that tokens are signed with: the current one signs, all of them verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    current: KeyId,
    keys: BTreeMap<KeyId, KeyringKey>,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not of the form of a token, or its signature is wrong.
    Invalid,
    /// Its key is not in the keyring; a newer keyring may hold it.
    UnknownKey,
    /// Its key is past its expiry.
    KeyExpired,
}

impl Keyring {
    /// Makes a keyring of one key.
    pub fn new(kid: KeyId, secret: Secret) -> Self {
        let key = KeyringKey { secret, expires_at: None };
        Self { current: kid.clone(), keys: BTreeMap::from([(kid, key)]) }
    }

    /// Puts a keyring together from the store; the current key must be among the keys.
    pub fn from_keys(current: KeyId, keys: BTreeMap<KeyId, KeyringKey>) -> Option<Self> {
        keys.contains_key(&current).then_some(Self { current, keys })
    }

    /// Returns the id of the key that signs.
    pub const fn current(&self) -> &KeyId {
        &self.current
    }

    /// Returns every key.
    pub const fn keys(&self) -> &BTreeMap<KeyId, KeyringKey> {
        &self.keys
    }

    /// Signs with a new key from now on. The keys before stay good until `grace_until`, or until
    /// they are revoked when that is `None`. Adding the same key again changes nothing; another
    /// secret under a known id is refused, and so is a key past [`KEYRING_KIDS_MAX`].
    pub fn rotate(
        &mut self,
        kid: KeyId,
        secret: Secret,
        grace_until: Option<TimestampMs>,
        now: TimestampMs,
    ) -> Result<bool, RotateFault> {
        if let Some(known) = self.keys.get(&kid) {
            let same = known.secret == secret && self.current == kid;
            return if same { Ok(false) } else { Err(RotateFault::Conflict) };
        }
        self.keys.retain(|_, key| key.expires_at.is_none_or(|at| at > now));
        if self.keys.len() >= KEYRING_KIDS_MAX {
            return Err(RotateFault::Full);
        }
        if let Some(until) = grace_until {
            for key in self.keys.values_mut() {
                key.expires_at = Some(key.expires_at.map_or(until, |at| at.min(until)));
            }
        }
        self.keys.insert(kid.clone(), KeyringKey { secret, expires_at: None });
        self.current = kid;
        Ok(true)
    }

    /// Takes a key out; its tokens are refused from now on. The current key stays.
    pub fn revoke(&mut self, kid: &KeyId) -> bool {
        *kid != self.current && self.keys.remove(kid).is_some()
    }

    /// Signs a token for a waitpoint with the current key. The same three give the same text.
    pub fn mint(&self, execution_id: ExecutionId, waitpoint_id: WaitpointId) -> WaitpointToken {
        // `current` is among the keys by construction; an empty signature verifies nowhere.
        let signature = self.keys.get(&self.current).map_or_else(String::new, |key| {
            let mac = signed(&key.secret, execution_id, waitpoint_id, &self.current);
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
        });
        WaitpointToken(format!("{}.{signature}", self.current))
    }

    /// Checks, in constant time, that a token was signed for this waitpoint by a key that is good
    /// at `now`.
    pub fn verify(
        &self,
        token: &WaitpointToken,
        execution_id: ExecutionId,
        waitpoint_id: WaitpointId,
        now: TimestampMs,
    ) -> Result<(), TokenFault> {
        let (kid, signature) = token.0.split_once('.').ok_or(TokenFault::Invalid)?;
        let kid = KeyId::new(kid).map_err(|_| TokenFault::Invalid)?;
        if signature.len() != SIGNATURE_CHARS {
            return Err(TokenFault::Invalid);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenFault::Invalid)?;
        let key = self.keys.get(&kid).ok_or(TokenFault::UnknownKey)?;
        if key.expires_at.is_some_and(|at| at <= now) {
            return Err(TokenFault::KeyExpired);
        }
        signed(&key.secret, execution_id, waitpoint_id, &kid)
            .verify_slice(&signature)
            .map_err(|_| TokenFault::Invalid)
    }
}

/// Why a keyring refuses a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotateFault {
    /// The id is taken by another secret, or by a key that no longer signs.
    Conflict,
    /// There are too many keys; revoke one first.
    Full,
}

fn signed(
    secret: &Secret,
    execution_id: ExecutionId,
    waitpoint_id: WaitpointId,
    kid: &KeyId,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0)
        .expect("HMAC takes a key of any length, so this cannot fail");
    for part in [&execution_id.to_string(), &waitpoint_id.to_string(), kid.as_str()] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::Partition;

    const NOW: TimestampMs = TimestampMs::from_millis(1_000);

    fn kid(text: &str) -> KeyId {
        KeyId::new(text).expect("a legal key id")
    }

    fn secret(byte: u8) -> Secret {
        Secret::new(vec![byte; 32]).expect("a legal secret")
    }

    #[test]
    fn a_token_is_good_for_its_waitpoint_alone() {
        let ring = Keyring::new(kid("k1"), secret(1));
        let execution = ExecutionId::generate(Partition::new_unchecked(0));
        let waitpoint = WaitpointId::generate();
        let token = ring.mint(execution, waitpoint);
        assert_eq!(token, ring.mint(execution, waitpoint));
        assert_eq!(ring.verify(&token, execution, waitpoint, NOW), Ok(()));
        let other = ExecutionId::generate(Partition::new_unchecked(0));
        assert_eq!(ring.verify(&token, other, waitpoint, NOW), Err(TokenFault::Invalid));
        assert_eq!(
            ring.verify(&token, execution, WaitpointId::generate(), NOW),
            Err(TokenFault::Invalid)
        );
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let ring = Keyring::new(kid("k1"), secret(1));
        let execution = ExecutionId::generate(Partition::new_unchecked(0));
        let waitpoint = WaitpointId::generate();
        let good = ring.mint(execution, waitpoint).expose().to_owned();
        let cut = &good[..good.len() - 1];
        let longer = format!("{good}A");
        for bad in ["", ".", "k1", "k1.", cut, &longer, "k1.!!!", &good.replace("k1", "")] {
            let token = WaitpointToken::from_text(bad);
            assert_eq!(
                ring.verify(&token, execution, waitpoint, NOW),
                Err(TokenFault::Invalid),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn rotation_keeps_old_tokens_for_the_grace_and_no_longer() {
        let mut ring = Keyring::new(kid("k1"), secret(1));
        let execution = ExecutionId::generate(Partition::new_unchecked(0));
        let waitpoint = WaitpointId::generate();
        let old = ring.mint(execution, waitpoint);
        let grace_until = NOW.plus_ms(500);
        assert_eq!(ring.rotate(kid("k2"), secret(2), Some(grace_until), NOW), Ok(true));
        assert_eq!(ring.rotate(kid("k2"), secret(2), Some(grace_until), NOW), Ok(false));
        assert_eq!(ring.rotate(kid("k1"), secret(9), None, NOW), Err(RotateFault::Conflict));
        assert_eq!(ring.verify(&old, execution, waitpoint, NOW), Ok(()));
        assert_eq!(
            ring.verify(&old, execution, waitpoint, grace_until),
            Err(TokenFault::KeyExpired)
        );
        assert!(ring.revoke(&kid("k1")));
        assert_eq!(ring.verify(&old, execution, waitpoint, NOW), Err(TokenFault::UnknownKey));
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let ring = Keyring::new(kid("k1"), Secret::new(*b"sixteen bytes ok").expect("legal"));
        let token =
            ring.mint(ExecutionId::generate(Partition::new_unchecked(0)), WaitpointId::generate());
        let shown = format!("{ring:?} {token:?}");
        assert!(!shown.contains("sixteen") && !shown.contains(&token.expose()[3..]));
    }
}
