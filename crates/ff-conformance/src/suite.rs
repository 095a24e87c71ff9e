//! Runs behaviours as tests.

use crate::fixture::Fixture;
use crate::world::World;
use std::future::Future;

/// Makes a fixture and runs a behaviour against it, on a runtime of their own.
///
/// # Panics
///
/// When the backend does not behave so.
pub fn run<F: Fixture + 'static>(
    fixture: impl Future<Output = F>,
    behaviour: impl AsyncFnOnce(&World),
) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing but memory and a poll handle")
        .block_on(async {
            let world = World::new(fixture.await);
            behaviour(&world).await;
        });
}

/// Expands to a module a capability with a test a behaviour, each with a fixture of its own from
/// the expression, which may await. See [the crate](crate).
#[macro_export]
macro_rules! conformance_suite {
    ($fixture:expr) => {
        $crate::for_each_behaviour! { [$crate::__conformance_tests] $fixture }
    };
}

/// The tests of [`conformance_suite!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($fixture:expr; $capability:ident { $($behaviour:ident)* }) => {
        mod $capability {
            #[allow(unused_imports)]
            use super::*;

            $(#[test]
            fn $behaviour() {
                $crate::run(async { $fixture }, $crate::$capability::$behaviour);
            })*
        }
    };
}
