//! Admin: set the store up, rotate its keys, look after its lanes.

use crate::args::{flag, optional, text};
use crate::backend::ValkeyBackend;
use crate::call::Caller;
use crate::error::connection;
use bytes::Bytes;
use ff_core::contracts::AdminBackend;
use ff_core::contracts::admin::*;
use ff_core::error::{EngineError, EngineResult, ValidationKind};
use ff_core::ids::MutationId;
use ff_core::keys::META;
use ff_core::name::{KeyId, LaneId, Namespace};
use ff_core::partition::PartitionMap;
use ff_core::policy::LaneDefaults;
use ff_core::token::Secret;
use ff_script::functions::{CONFIGURE_LANE, PING, PREPARE_STORE, ROTATE_KEYRING};
use ff_script::{Subject, Value};
use fred::util::redis_keyslot;
use std::cmp::Ordering;

/// Partitions of a new store: one on a single server, many to spread over a cluster.
const PARTITIONS_STANDALONE: u16 = 1;
const PARTITIONS_CLUSTER: u16 = 64;
/// The layout of the keys that this crate understands.
const SCHEMA: u32 = 5;
/// Characters of a generated key id that come from an id's random end.
const KID_DIGITS: usize = 8;

/// Writes what a new store lacks, the first keyring included, and returns what it has: whoever
/// came first has decided.
pub(crate) async fn prepare_store(caller: &Caller) -> EngineResult<PartitionMap> {
    let asked = caller.config.partitions;
    let default = match caller.nodes.is_clustered() {
        true => PARTITIONS_CLUSTER,
        false => PARTITIONS_STANDALONE,
    };
    let secret = Secret::generate();
    let arguments = [
        text(asked.unwrap_or(default)),
        text(generated_kid()),
        Bytes::copy_from_slice(secret.expose()),
    ];
    let mut fields = caller.ok(&PREPARE_STORE, META, arguments, &[], &Subject::NONE).await?;
    let count = fields.u32("partitions")?;
    check_schema(fields.u32("schema")?)?;
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    if let Some(asked) = asked.filter(|asked| *asked != count) {
        return Err(connection(format!(
            "the store has {count} partitions, {asked} were asked for: leave the number out to \
             take what the store has"
        )));
    }
    PartitionMap::new(count)
}

/// Refuses a store of another layout before anything of it is touched, its library included: those
/// who still work with it need that.
pub(crate) async fn check_layout(caller: &Caller) -> EngineResult<()> {
    let Some(node) = caller.nodes.of_slot(redis_keyslot(META.as_bytes())) else {
        return Ok(());
    };
    let field = vec![Bytes::from(format!("{META}:store")), Bytes::from_static(b"schema")];
    let schema = match caller.command_at(&node, "HGET", field).await {
        Ok(Value::Bytes(digits)) => {
            std::str::from_utf8(&digits).ok().and_then(|text| text.parse().ok())
        }
        // A new store; or one that cannot be asked, which is told once it is prepared.
        _ => None,
    };
    schema.map_or(Ok(()), check_schema)
}

fn check_schema(schema: u32) -> EngineResult<()> {
    match schema.cmp(&SCHEMA) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(connection(format!(
            "the store has layout {schema}, this program knows {SCHEMA}: upgrade it"
        ))),
        Ordering::Less => Err(connection(format!(
            "the store has layout {schema}, which this program ({SCHEMA}) no longer reads: finish \
             its work with the release that wrote it, or begin with an empty store"
        ))),
    }
}

/// Makes a key id that no other process makes.
fn generated_kid() -> String {
    let id = MutationId::generate().to_string();
    format!("k{}", &id[id.len() - KID_DIGITS..])
}

#[async_trait::async_trait]
impl AdminBackend for ValkeyBackend {
    async fn prepare(&self) -> EngineResult<Prepared> {
        let nodes = self.caller.library.ensure(&self.caller).await?;
        let partitions = prepare_store(&self.caller).await?;
        if partitions != self.partitions {
            return Err(connection(format!(
                "the store had {} partitions when this program connected and has {} now: connect \
                 anew",
                self.partitions.count(),
                partitions.count()
            )));
        }
        Ok(Prepared {
            nodes: nodes.into_iter().map(|line| format!("{line} ({})", self.server)).collect(),
            partitions: partitions.count(),
        })
    }

    async fn ping(&self) -> EngineResult<Pong> {
        let mut fields = self.caller.ok(&PING, META, [], &[], &Subject::NONE).await?;
        Ok(Pong { server_time: fields.time("server_time")? })
    }

    async fn rotate_keyring(&self, request: RotateKeyring) -> EngineResult<KeyringRotated> {
        request.check()?;
        let (kid, secret) = match &request.add {
            Some((kid, secret)) => (text(kid), Bytes::copy_from_slice(secret.expose())),
            None => (Bytes::new(), Bytes::new()),
        };
        let revoke: Vec<Bytes> = request.revoke.iter().map(text).collect();
        if revoke.len() > ROTATE_KEYRING.group.max {
            return Err(EngineError::validation(
                ValidationKind::Argument,
                format!(
                    "{} keys are to be revoked, a keyring holds {}",
                    revoke.len(),
                    ROTATE_KEYRING.group.max
                ),
            ));
        }
        let arguments = [kid, secret, optional(request.grace_ms)];
        let mut fields =
            self.caller.ok(&ROTATE_KEYRING, META, arguments, &revoke, &Subject::NONE).await?;
        self.meta.forget_keyring();
        Ok(KeyringRotated {
            current: fields.parsed("current_kid", "a key id")?,
            keys: fields.list("keys", |row| {
                let kid: KeyId = row.parsed("kid", "a key id")?;
                Ok((kid, row.optional_time("expires_at")?))
            })?,
        })
    }

    async fn configure_lane(&self, request: ConfigureLane) -> EngineResult<()> {
        request.defaults.check()?;
        let defaults = serde_json::to_vec(&request.defaults).map_err(|error| {
            let detail = format!("lane defaults cannot be written as JSON: {error}");
            EngineError::validation(ValidationKind::Argument, detail)
        })?;
        let arguments = [text(&request.namespace), text(&request.lane), Bytes::from(defaults)];
        self.caller.ok(&CONFIGURE_LANE, META, arguments, &[], &Subject::NONE).await?;
        self.meta.forget_lane(&request.namespace, &request.lane);
        Ok(())
    }

    async fn describe_lane(
        &self,
        namespace: Namespace,
        lane: LaneId,
    ) -> EngineResult<LaneDefaults> {
        self.read_lane_defaults(&namespace, &lane).await
    }

    async fn doctor(&self, fix: bool) -> EngineResult<Diagnosis> {
        self.diagnose(fix, flag(fix)).await
    }
}
