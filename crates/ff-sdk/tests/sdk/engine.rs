//! The tick loop, started by itself.

use crate::fake::{Fake, Step, Trace, settle};
use ff_core::contracts::claim::{Tick, Ticked};
use ff_core::contracts::notice::Notice;
use ff_core::partition::Partition;
use ff_engine::{Engine, TICK_IDLE_CEILING_MS};

const P0: Partition = Partition::new_unchecked(0);

fn ticked(handled: u32, more: bool) -> Step {
    Step::Answer(Box::new(Ticked { handled, more, next_due: None }))
}

#[tokio::test]
async fn every_partition_is_ticked_once_and_then_left_alone_to_the_ceiling() {
    let fake = Fake::with_partitions(3);
    let engine = Engine::start(fake.clone());
    settle().await;
    let mut first: Vec<Partition> = fake.sent::<Tick>("tick").iter().map(|t| t.partition).collect();
    first.sort_unstable();
    assert_eq!(first, fake.map.iter().collect::<Vec<_>>());
    fake.advance(TICK_IDLE_CEILING_MS - 1).await;
    assert_eq!(fake.count("tick"), 3);
    fake.advance(1).await;
    assert_eq!(fake.count("tick"), 6);
    engine.stop().await;
}

#[tokio::test]
async fn a_known_due_time_is_met() {
    let fake = Fake::new();
    let _engine = Engine::start(fake.clone());
    settle().await;
    fake.notice(Notice::Due { partition: P0, at: crate::fake::START.plus_ms(1_234) });
    fake.advance(2_000).await;
    assert_eq!(fake.times("tick"), [0, 1_234]);
}

#[tokio::test]
async fn what_a_claim_saw_stands_for_a_tick() {
    let fake = Fake::new();
    let engine = Engine::start(fake.clone());
    settle().await;
    for _ in 0..10 {
        fake.advance(1_000).await;
        engine.saw_next_due(P0, None);
    }
    assert_eq!(fake.count("tick"), 1);
    engine.saw_next_due(P0, Some(crate::fake::START.plus_ms(10_500)));
    fake.advance(1_000).await;
    assert_eq!(fake.times("tick"), [0, 10_500]);
}

#[tokio::test]
async fn timers_left_undone_are_handled_at_once() {
    let fake = Fake::new();
    fake.script("tick", ticked(256, true));
    fake.script("tick", ticked(256, true));
    let _engine = Engine::start(fake.clone());
    settle().await;
    assert_eq!(fake.count("tick"), 3);
}

#[tokio::test]
async fn a_failing_store_is_logged_once_and_asked_again_less_and_less() {
    let (trace, _guard) = Trace::start();
    let fake = Fake::new();
    fake.down("tick");
    let _engine = Engine::start(fake.clone());
    fake.advance(60_000).await;
    assert!(fake.count("tick") < 20, "{:?}", fake.times("tick"));
    assert_eq!(trace.lines("WARN").len(), 1);
    fake.up("tick");
    fake.advance(5_000).await;
    let recovered = fake.count("tick");
    fake.advance(TICK_IDLE_CEILING_MS - 1).await;
    assert!(fake.count("tick") <= recovered + 1);
}

#[tokio::test]
async fn without_notices_it_ticks_by_the_clock_and_subscribes_again() {
    let fake = Fake::new();
    fake.down("subscribe");
    let _engine = Engine::start(fake.clone());
    fake.advance(TICK_IDLE_CEILING_MS).await;
    assert_eq!(fake.times("tick"), [0, TICK_IDLE_CEILING_MS]);
    fake.up("subscribe");
    fake.advance(10_000).await;
    let before = fake.count("tick");
    fake.notice(Notice::Due { partition: P0, at: crate::fake::START });
    settle().await;
    assert_eq!(fake.count("tick"), before + 1);
}

#[tokio::test]
async fn stopping_waits_for_the_tick_under_way_and_dropping_ends_it_too() {
    let fake = Fake::new();
    let engine = Engine::start(fake.clone());
    engine.stop().await;
    let ticks = fake.count("tick");
    let engine = Engine::start(fake.clone());
    settle().await;
    drop(engine);
    settle().await;
    fake.advance(60_000).await;
    assert_eq!(fake.count("tick"), ticks + 1);
}
