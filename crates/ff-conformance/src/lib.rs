//! One behaviour suite for every FlowFabric backend.
