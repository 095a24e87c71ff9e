//! The worker registry: says that this instance lives, for as long as it does.

use crate::config::WorkerConfig;
use crate::resend::no_answer;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::claim::RegisterWorker;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long the goodbye of a worker may take; its registration lapses by itself.
const GOODBYE_MS_MAX: u64 = 1_000;
/// A worker instance is forgotten after this long a silence; it speaks three times as often.
pub(crate) const WORKER_TTL_MS: u64 = 30_000;

/// Keeps a worker registered from its first claim to its end.
#[derive(Debug)]
pub(crate) struct Registration {
    backend: Arc<dyn EngineBackend>,
    request: RegisterWorker,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// Dropped to end the heartbeat, which then deregisters.
    stop: oneshot::Sender<()>,
    heartbeat: JoinHandle<()>,
}

impl Registration {
    pub(crate) fn new(backend: Arc<dyn EngineBackend>, config: &WorkerConfig) -> Self {
        let request = RegisterWorker {
            worker: config.identity().clone(),
            lanes: config.lanes().to_vec(),
            ttl_ms: WORKER_TTL_MS,
        };
        Self { backend, request, running: Mutex::default() }
    }

    /// Registers unless that is done already. Does not wait: claims do not depend on it.
    pub(crate) fn begin(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let (stop, stopped) = oneshot::channel();
            let beat = heartbeat(self.backend.clone(), self.request.clone(), stopped);
            *running = Some(Running { stop, heartbeat: tokio::spawn(beat) });
        }
    }

    /// Deregisters and waits until that is done.
    pub(crate) async fn end(&self) {
        let running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.take()
        };
        if let Some(Running { stop, heartbeat }) = running {
            drop(stop);
            if let Err(error) = heartbeat.await {
                tracing::error!(%error, "the heartbeat of the worker ended badly");
            }
        }
    }
}

async fn heartbeat(
    backend: Arc<dyn EngineBackend>,
    request: RegisterWorker,
    mut stopped: oneshot::Receiver<()>,
) {
    let clock = backend.clock();
    let mut failing = false;
    loop {
        let next_at = clock.now().plus_ms(request.ttl_ms / 3);
        let register = backend.register_worker(request.clone());
        let registered = tokio::select! {
            _ = &mut stopped => break,
            registered = register => registered,
        };
        if let Err(error) = &registered
            && !failing
        {
            tracing::warn!(%error, "the worker is not registered; trying again");
        }
        failing = registered.is_err();
        tokio::select! {
            _ = &mut stopped => break,
            () = clock.sleep_until(next_at) => {}
        }
    }
    let worker = request.worker;
    let give_up_at = clock.now().plus_ms(GOODBYE_MS_MAX);
    let answer = tokio::select! {
        answer = backend.deregister_worker(worker.namespace, worker.worker_instance_id) => answer,
        () = clock.sleep_until(give_up_at) => Err(no_answer("deregister_worker", give_up_at)),
    };
    if let Err(error) = answer {
        tracing::warn!(%error, "the worker was not deregistered; it is forgotten in a while");
    }
}
