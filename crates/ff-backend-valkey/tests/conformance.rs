//! The behaviours that every backend shows, on Valkey 8, Valkey 9 and a cluster.

mod support;

use support::fixture::ValkeyFixture;

mod v8 {
    use super::ValkeyFixture;
    use ff_testserver::ServerVersion;
    ff_conformance::conformance_suite!(ValkeyFixture::standalone(ServerVersion::V8).await);
}

mod v9 {
    use super::ValkeyFixture;
    use ff_testserver::ServerVersion;
    ff_conformance::conformance_suite!(ValkeyFixture::standalone(ServerVersion::V9).await);
}

mod cluster {
    use super::ValkeyFixture;
    ff_conformance::conformance_suite!(ValkeyFixture::cluster().await);
}
