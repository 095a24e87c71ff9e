//! Every operation that a handle fences, in one list.

use crate::prelude::*;

/// An operation that needs a live lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fenced {
    Complete,
    CompleteMany,
    Fail,
    Cancel,
    Delay,
    Release,
    WaitChildren,
    Suspend,
    Renew,
    Progress,
    Append,
    CreateWaitpoint,
}

impl Fenced {
    pub(crate) const ALL: [Self; 12] = [
        Self::Complete,
        Self::CompleteMany,
        Self::Fail,
        Self::Cancel,
        Self::Delay,
        Self::Release,
        Self::WaitChildren,
        Self::Suspend,
        Self::Renew,
        Self::Progress,
        Self::Append,
        Self::CreateWaitpoint,
    ];

    /// Tells whether it repeats an end that was made by the other.
    pub(crate) fn repeats(self, done: Self) -> bool {
        self == done || (self == Self::CompleteMany && done == Self::Complete)
    }

    /// Calls it with a request that only the handle can be wrong about.
    pub(crate) async fn call(self, world: &World, handle: &Handle) -> EngineResult<()> {
        match self {
            Self::Complete => {
                let request = complete_with(handle, "late");
                world.complete_execution(request).await.map(drop)
            }
            Self::CompleteMany => {
                let request = complete_many(&[handle]);
                let mut outcomes = world.complete_executions(request).await?.outcomes;
                outcomes.remove(0)
            }
            Self::Fail => world.fail_execution(fail(handle, "io")).await.map(drop),
            Self::Cancel => world.cancel_execution(cancel(handle)).await.map(drop),
            Self::Delay => world.delay_execution(delay(handle, world.after(5_000))).await,
            Self::Release => world.release_execution(release(handle)).await,
            Self::WaitChildren => world.move_to_waiting_children(wait_children(handle)).await,
            Self::Suspend => world.suspend_execution(suspend(handle)).await.map(drop),
            Self::Renew => world.renew_one(renew(&[handle])).await.map(drop),
            Self::Progress => world.update_progress(progress(handle, 99)).await,
            Self::Append => world.append_frame(append(handle, 0, &["late"])).await.map(drop),
            Self::CreateWaitpoint => {
                world.create_pending_waitpoint(waitpoint(handle, "late")).await.map(drop)
            }
        }
    }

    /// Calls it, expecting a refusal that changes nothing.
    pub(crate) async fn is_refused(self, world: &World, handle: &Handle) -> EngineError {
        world.refuses(self.call(world, handle)).await
    }
}
