//! Durable execution on the Valkey you already run, or in one process: pick a backend by its URL.
