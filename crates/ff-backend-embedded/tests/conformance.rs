//! The behaviour suite, in memory and on a file.

mod support;

mod memory {
    use super::support::MemoryFixture;
    ff_conformance::conformance_suite!(MemoryFixture::fresh(1));
}

mod memory_of_three_partitions {
    use super::support::MemoryFixture;
    ff_conformance::conformance_suite!(MemoryFixture::fresh(3));
}

mod file {
    use super::support::FileFixture;
    ff_conformance::conformance_suite!(FileFixture::fresh(1).await);
}

mod file_of_three_partitions {
    use super::support::FileFixture;
    ff_conformance::conformance_suite!(FileFixture::fresh(3).await);
}
