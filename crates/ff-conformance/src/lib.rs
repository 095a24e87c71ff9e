//! One behaviour suite for every FlowFabric backend.
//!
//! A behaviour is one fact about the engine, written once, in a file named for its capability, and
//! run against every backend. Behaviours speak only to
//! [`EngineBackend`](ff_core::EngineBackend); `docs/state-machine.md` has the rules that they pin
//! down.
//!
//! # Running the suite against a backend
//!
//! Take this crate as a dev-dependency. Implement [`Fixture`]: a fresh, empty store for each
//! behaviour, whose time begins at [`START`] and moves only when it is advanced. Then, in an
//! integration test, give an expression that makes one; it may await and is made anew for each
//! behaviour:
//!
//! ```
//! use ff_conformance::{Fixture, START};
//! use ff_core::{Clock, EngineBackend, TimestampMs, time::ManualClock};
//! use std::sync::Arc;
//!
//! struct MyFixture {
//!     clock: Arc<ManualClock>,
//!     backend: Arc<dyn EngineBackend>,
//! }
//!
//! impl MyFixture {
//!     async fn fresh() -> Self {
//!         panic!("make an empty store, with a ManualClock::new(START) for its time")
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl Fixture for MyFixture {
//!     fn backend(&self) -> Arc<dyn EngineBackend> {
//!         self.backend.clone()
//!     }
//!     async fn another_connection(&self) -> Arc<dyn EngineBackend> {
//!         self.backend.clone()
//!     }
//!     fn now(&self) -> TimestampMs {
//!         self.clock.now()
//!     }
//!     async fn advance(&self, span_ms: u64) {
//!         self.clock.move_to(self.clock.now().plus_ms(span_ms));
//!     }
//!     async fn dump(&self) -> String {
//!         panic!("write out everything that the store holds")
//!     }
//! }
//!
//! ff_conformance::conformance_suite!(MyFixture::fresh().await);
//! # fn main() {}
//! ```
//!
//! This becomes a module a capability and a named test a behaviour, so that a single one is run
//! with `cargo test lease::renew_lease_refuses_a_stale_epoch`. Tests share nothing and may run at
//! the same time.
//!
//! [`World`] and the requests of [`given`] are public, so that what only one backend can show is
//! written in the same words.
//!
//! # Adding a behaviour
//!
//! Write a `pub async fn` over `&World` in the capability's file or in a file of its folder, and
//! name it in the table at the end of the capability's file. A name without a behaviour does not
//! compile, and a behaviour that the table lacks fails this crate's own tests.

pub mod differential;
pub mod fixture;
pub mod given;
pub mod world;

mod suite;
mod table;

mod fenced;
mod prelude;

// What a behaviour does is its name; it has no other documentation.
#[allow(missing_docs)]
pub mod admin;
#[allow(missing_docs)]
pub mod budget;
#[allow(missing_docs)]
pub mod claim;
#[allow(missing_docs)]
pub mod faults;
#[allow(missing_docs)]
pub mod inspect;
#[allow(missing_docs)]
pub mod lease;
#[allow(missing_docs)]
pub mod notice;
#[allow(missing_docs)]
pub mod refusals;
#[allow(missing_docs)]
pub mod signal;
#[allow(missing_docs)]
pub mod stream;
#[allow(missing_docs)]
pub mod submit;
#[allow(missing_docs)]
pub mod suspend;
#[allow(missing_docs)]
pub mod terminal;

pub use fixture::{Fixture, START};
pub use suite::run;
pub use world::World;
