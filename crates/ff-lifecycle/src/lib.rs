//! The rules of an execution as pure functions over records.
