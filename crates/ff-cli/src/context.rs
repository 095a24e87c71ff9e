//! What a command that asks a store has at hand.

use flowfabric::FlowFabricClient;
use flowfabric::ff_core::name::Namespace;
use flowfabric::ff_core::time::TimestampMs;

use crate::invocation::program;
use crate::out::Out;
use crate::store::Place;

/// A client of the store that was named, and where its answers go.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: FlowFabricClient,
    pub(crate) place: Place,
    pub(crate) out: Out,
}

impl Context {
    /// Returns the time of the store.
    pub(crate) fn now(&self) -> TimestampMs {
        self.client.backend().clock().now()
    }

    /// Returns a command that can be pasted: it starts this program on the same store.
    pub(crate) fn command(&self, words: &str) -> String {
        let store = self.place.option_if_named();
        let namespace = self.client.namespace();
        let namespace = match *namespace == Namespace::default() {
            true => String::new(),
            false => format!(" --namespace {namespace}"),
        };
        format!("{} {words}{store}{namespace}", program())
    }
}
