//! FlowFabric on Valkey: every function call, reply and reconnect.
