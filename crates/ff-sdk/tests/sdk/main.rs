//! The worker, the task and the client against a scripted backend: no store, no real time.

mod fake;

mod client;
mod config;
mod engine;
mod lease;
mod run;
mod stream;
mod suspend;
mod terminal;
mod worker;
