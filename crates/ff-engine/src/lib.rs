//! The loop that keeps a FlowFabric store ticking.
