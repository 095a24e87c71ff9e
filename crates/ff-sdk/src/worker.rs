//! The worker: claims executions and hands them out as tasks.

use crate::claim::Pull;
use crate::config::WorkerConfig;
use crate::error::SdkError;
use crate::lease::Renewer;
use crate::lookout::Lookout;
use crate::register::Registration;
use crate::stay::{Stays, rotation};
use crate::task::ClaimedTask;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::claim::{Grant, GrantKind};
use ff_core::contracts::notice::{Notice, NoticeReceiver};
use ff_core::contracts::signal::{Signal, SignalOutcome};
use ff_core::ids::{ExecutionId, WaitpointId};
use ff_core::time::Clock;
use ff_engine::{Engine, EngineGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Claims work of its lanes for one process, and looks after it: renews leases, listens to
/// notices, drives the store's timers, and keeps itself registered.
///
/// Use [`run`](Self::run), or [`claim_next`](Self::claim_next) for a loop of your own.
#[derive(Debug)]
pub struct FlowFabricWorker {
    pub(crate) core: Arc<Core>,
    listener: AbortHandle,
}

/// What claims and the worker loop share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) backend: Arc<dyn EngineBackend>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: WorkerConfig,
    pub(crate) lookout: Lookout,
    pub(crate) engine: EngineGuard,
    pub(crate) renewer: Arc<Renewer>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) registration: Registration,
    /// Held while a claim of the waiting slot is in flight.
    pub(crate) waiting_slot: Arc<tokio::sync::Mutex<()>>,
    /// The worker was dropped: nothing is sent for its sake any more.
    over: AtomicBool,
    /// Slots that no running task uses.
    slots: Mutex<Vec<u16>>,
}

/// A claim slot of one running task; it goes back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    core: Arc<Core>,
    pub(crate) number: u16,
}

impl FlowFabricWorker {
    /// Starts a worker on a backend: subscribes to its notices and starts the background work. Must
    /// be called on a tokio runtime. The worker is registered with its first claim.
    pub async fn connect_with(
        config: WorkerConfig,
        backend: Arc<dyn EngineBackend>,
    ) -> Result<Self, SdkError> {
        let partitions = backend.partitions();
        let notices = backend.subscribe(partitions.iter().collect()).await?;
        let tasks_max = config.max_concurrent_tasks();
        let order = rotation(partitions, config.worker_instance_id());
        let core = Arc::new(Core {
            clock: backend.clock(),
            lookout: Lookout::new(order, config.idle_poll_ceiling_ms(), Stays::new(tasks_max)),
            engine: Engine::start(backend.clone()),
            renewer: Arc::new(Renewer::start(backend.clone(), config.lease_ttl_ms())),
            permits: Arc::new(Semaphore::new(usize::from(tasks_max))),
            registration: Registration::new(backend.clone(), &config),
            waiting_slot: Arc::default(),
            over: AtomicBool::new(false),
            slots: Mutex::new((1..=tasks_max).rev().collect()),
            backend,
            config,
        });
        let listener = tokio::spawn(listen(Arc::downgrade(&core), notices));
        Ok(Self { core, listener: listener.abort_handle() })
    }

    /// Waits for a place among the concurrent tasks, then up to the idle poll ceiling for work,
    /// then answers `None`. Dropping the future loses nothing: what it would have returned is
    /// given back.
    ///
    /// A store that does not answer is asked again, with the same claim, and this returns an error
    /// after one lease TTL. The claim itself goes on to be sent until it is answered; what it takes
    /// by then is given back.
    pub async fn claim_next(&self) -> Result<Option<ClaimedTask>, SdkError> {
        self.core.registration.begin();
        let mut permit = self.core.permit().await?;
        let ceiling_ms = self.core.config.idle_poll_ceiling_ms();
        let deadline = self.core.clock.now().plus_ms(ceiling_ms);
        let tasks = self.core.pull(&mut permit, Pull::Task, Some(deadline)).await?;
        Ok(tasks.into_iter().next())
    }

    /// Starts the next attempt of an execution that a scheduler granted to this instance. Waits
    /// for a place among the concurrent tasks first.
    pub async fn claim_from_grant(&self, grant: Grant) -> Result<ClaimedTask, SdkError> {
        self.core.registration.begin();
        self.core.claim_granted(grant, GrantKind::Claim).await
    }

    /// Takes over, by a reclaim grant, an execution that was resumed after a suspension or whose
    /// lease died. Waits for a place among the concurrent tasks first.
    pub async fn claim_from_reclaim_grant(&self, grant: Grant) -> Result<ClaimedTask, SdkError> {
        self.core.registration.begin();
        self.core.claim_granted(grant, GrantKind::Reclaim).await
    }

    /// Delivers a signal to a waitpoint; the token in the signal is the right to do so.
    pub async fn deliver_signal(
        &self,
        execution_id: &ExecutionId,
        waitpoint_id: &WaitpointId,
        signal: Signal,
    ) -> Result<SignalOutcome, SdkError> {
        crate::signal::deliver(&*self.core.backend, execution_id, waitpoint_id, signal).await
    }

    /// Returns the backend.
    pub fn backend(&self) -> &Arc<dyn EngineBackend> {
        &self.core.backend
    }

    /// Returns the settings.
    pub fn config(&self) -> &WorkerConfig {
        &self.core.config
    }
}

impl Drop for FlowFabricWorker {
    fn drop(&mut self) {
        self.listener.abort();
        self.core.over.store(true, Ordering::Relaxed);
    }
}

impl Core {
    /// Tells whether the worker was dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Takes a slot for a running task; there is one for each permit.
    pub(crate) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.pop().map(|number| Slot { core: self.clone(), number })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.core.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.push(self.number);
    }
}

/// Passes notices on for as long as the worker lives.
async fn listen(core: Weak<Core>, mut notices: Box<dyn NoticeReceiver>) {
    loop {
        let notice = notices.receive().await;
        let Some(core) = core.upgrade() else { return };
        match notice {
            Notice::Ready(partition) => core.lookout.notice(Some(partition)),
            Notice::Cancel(execution_id) => core.renewer.look_now(Some(execution_id)),
            Notice::Lagged => {
                core.lookout.notice(None);
                core.renewer.look_now(None);
            }
            Notice::Due { .. } | Notice::Done(_) | Notice::Frame(_) => {}
        }
    }
}
