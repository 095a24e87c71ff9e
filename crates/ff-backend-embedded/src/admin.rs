//! Admin: set the store up, look after it.

use crate::MemoryBackend;
use crate::backend::State;
use crate::memory::MemoryPartition;
use ff_core::contracts::AdminBackend;
use ff_core::contracts::admin::*;
use ff_core::error::{ConflictKind, ValidationKind};
use ff_core::limits::{DOCTOR_FINDINGS_MAX, KEYRING_KIDS_MAX};
use ff_core::policy::LaneDefaults;
use ff_core::state::OwnerIndex;
use ff_core::token::RotateFault;
use ff_core::{EngineError, EngineResult, ExecutionId, LaneId, Namespace};
use ff_lifecycle::PartitionStore;
use std::collections::BTreeMap;

#[async_trait::async_trait]
impl AdminBackend for MemoryBackend {
    async fn prepare(&self) -> EngineResult<Prepared> {
        let nodes = vec!["memory of this process".to_owned()];
        Ok(Prepared { nodes, partitions: self.map().count() })
    }

    async fn ping(&self) -> EngineResult<Pong> {
        Ok(Pong { server_time: self.now() })
    }

    async fn rotate_keyring(&self, request: RotateKeyring) -> EngineResult<KeyringRotated> {
        request.check()?;
        let now = self.now();
        let mut state = self.lock();
        let mut keyring = state.keyring.clone();
        // Before, so that there is room; and after, for the key that signed until now.
        request.revoke.iter().for_each(|kid| {
            keyring.revoke(kid);
        });
        if let Some((kid, secret)) = request.add {
            let grace_until = request.grace_ms.map(|grace_ms| now.plus_ms(grace_ms));
            keyring.rotate(kid.clone(), secret, grace_until, now).map_err(|fault| match fault {
                RotateFault::Conflict => ConflictKind::KeyIdTaken { kid }.into(),
                RotateFault::Full => EngineError::validation(
                    ValidationKind::Argument,
                    format!("the keyring holds {KEYRING_KIDS_MAX} keys: revoke one first"),
                ),
            })?;
        }
        request.revoke.iter().for_each(|kid| {
            keyring.revoke(kid);
        });
        let keys = keyring.keys().iter().map(|(kid, key)| (kid.clone(), key.expires_at));
        let rotated = KeyringRotated { current: keyring.current().clone(), keys: keys.collect() };
        state.keyring = keyring;
        Ok(rotated)
    }

    async fn configure_lane(&self, request: ConfigureLane) -> EngineResult<()> {
        request.defaults.check()?;
        self.lock().lanes.insert((request.namespace, request.lane), request.defaults);
        Ok(())
    }

    async fn describe_lane(
        &self,
        namespace: Namespace,
        lane: LaneId,
    ) -> EngineResult<LaneDefaults> {
        Ok(self.lock().lanes.get(&(namespace, lane)).cloned().unwrap_or_default())
    }

    async fn doctor(&self, fix: bool) -> EngineResult<Diagnosis> {
        let mut state = self.lock();
        let State { partitions, .. } = &mut *state;
        let mut diagnosis = Diagnosis::default();
        for store in partitions {
            examine(store, fix, &mut diagnosis);
        }
        Ok(diagnosis)
    }
}

fn examine(store: &mut MemoryPartition, fix: bool, diagnosis: &mut Diagnosis) {
    let mut entries: BTreeMap<ExecutionId, Vec<(OwnerIndex, i64)>> = BTreeMap::new();
    for (_, index, score, id) in store.entries() {
        entries.entry(id).or_default().push((index, score));
        diagnosis.index_entries += 1;
    }
    let due: BTreeMap<_, _> = store.due_entries().map(|(at, id)| (*id, *at)).collect();
    let mut wrong = Vec::new();
    for execution in store.records() {
        diagnosis.executions += 1;
        let (id, owner) = (execution.id(), execution.owner());
        let found = entries.remove(&id).unwrap_or_default();
        if found != [(owner.index, owner.score)] {
            wrong.push((id, format!("belongs in {owner:?} alone, stands in {found:?}")));
        } else if due.get(&id).copied() != execution.due() {
            wrong.push((id, format!("is due at {:?}, not {:?}", execution.due(), due.get(&id))));
        }
    }
    let strays = entries.into_keys().map(|id| (id, "has an entry but no record".to_owned()));
    wrong.extend(strays);
    for (id, problem) in wrong {
        let record = store.get(id).filter(|_| fix);
        let fixed = record.is_some();
        if let Some(execution) = record {
            store.put(execution);
        }
        diagnosis.findings_total += 1;
        if diagnosis.findings.len() < DOCTOR_FINDINGS_MAX {
            diagnosis.findings.push(Finding { execution_id: Some(id), problem, fixed });
        }
    }
}
