//! FlowFabric in one process: the pure rules over a store in memory.
