//! The FlowFabric worker, task and client.
