use super::*;

fn partition(number: u16) -> Partition {
    Partition::new(number).expect("legal")
}

fn receivers_of_one() -> (Arc<Receivers>, Receiver) {
    let receivers = Arc::new(Receivers::default());
    let receiver = receivers.add(BTreeSet::from([partition(0)]));
    (receivers, receiver)
}

#[test]
fn notices_are_read_as_they_are_published() {
    let id = ExecutionId::generate(partition(3));
    let uuid = id.uuid().to_string();
    let channel = "ff:{fp:3}:notices";
    let read = |payload: &str| parse(channel, payload).map(|(_, notice)| notice);
    assert_eq!(read("ready"), Some(Notice::Ready(partition(3))));
    let due = Notice::Due { partition: partition(3), at: TimestampMs::from_millis(1_234) };
    assert_eq!(read("due:1234"), Some(due));
    assert_eq!(read(&format!("done:{uuid}")), Some(Notice::Done(id)));
    assert_eq!(read(&format!("frame:{uuid}")), Some(Notice::Frame(id)));
    assert_eq!(read(&format!("cancel:{uuid}")), Some(Notice::Cancel(id)));
    for bad in ["", "what", "due", "due:", "due:x", "due:-1", "done", "done:x", "frame:"] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
    assert_eq!(parse("ff:{b:3}:notices", "ready"), None);
    assert_eq!(parse("other", "ready"), None);
}

#[tokio::test]
async fn a_slow_receiver_is_told_that_it_lags() {
    let (_receivers, mut receiver) = receivers_of_one();
    for _ in 0..=QUEUE_MAX {
        receiver.queue.push(Notice::Ready(partition(0)));
    }
    assert_eq!(receiver.receive().await, Notice::Lagged);
    receiver.queue.push(Notice::Cancel(ExecutionId::generate(partition(0))));
    assert!(matches!(receiver.receive().await, Notice::Cancel(_)));
}

#[tokio::test]
async fn a_lost_connection_replaces_what_was_waiting() {
    let (receivers, mut receiver) = receivers_of_one();
    receiver.queue.push(Notice::Ready(partition(0)));
    receivers.lag();
    assert_eq!(receiver.receive().await, Notice::Lagged);
    assert_eq!(receiver.queue.pop(), None);
}

#[test]
fn a_dropped_receiver_is_forgotten() {
    let (receivers, receiver) = receivers_of_one();
    drop(receiver);
    let state = lock(&receivers.state);
    assert!(state.by_partition[&partition(0)].is_empty());
}
