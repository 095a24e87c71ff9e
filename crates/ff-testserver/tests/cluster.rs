//! A cluster serves every slot, survives the restart of a node, and is lent to one at a time.

use ff_testserver::{Cluster, ServerVersion, Value, shared_cluster};

fn start(version: ServerVersion) -> Cluster {
    Cluster::start(version).expect("a cluster")
}

/// Counts the writes, of one hundred keys, that each node takes or redirects.
fn writes_taken(cluster: &Cluster) -> Vec<usize> {
    let taken = |node: &ff_testserver::Server| {
        let mut connection = node.connect().expect("a connection");
        (0..100)
            .map(|number| connection.command(&["SET", &format!("key-{number}"), "1"]))
            .filter(|reply| match reply.as_ref().expect("a reply") {
                Value::Error(text) => {
                    assert!(text.starts_with("MOVED"), "{text}");
                    false
                }
                _ => true,
            })
            .count()
    };
    cluster.nodes().iter().map(taken).collect()
}

fn shares_all_slots(version: ServerVersion) {
    let cluster = start(version);
    let taken = writes_taken(&cluster);
    assert_eq!(taken.len(), 3);
    assert_eq!(taken.iter().sum::<usize>(), 100);
    assert!(taken.iter().all(|&count| count > 0), "{taken:?}");
}

#[test]
fn version_8_shares_all_slots_among_three_primaries() {
    shares_all_slots(ServerVersion::V8);
}

#[test]
fn version_9_shares_all_slots_among_three_primaries() {
    shares_all_slots(ServerVersion::V9);
}

#[test]
fn a_node_comes_back_into_the_cluster() {
    let mut cluster = start(ServerVersion::V8);
    cluster.nodes_mut()[1].restart().expect("restarted");
    cluster.wait_until_ready().expect("whole again");
    assert_eq!(writes_taken(&cluster).iter().sum::<usize>(), 100);
}

#[test]
fn replicas_follow_their_primaries() {
    let cluster = Cluster::builder(ServerVersion::V8)
        .replicas_per_primary(1)
        .config("repl-diskless-sync-delay", "0")
        .start()
        .expect("a cluster");
    assert_eq!(cluster.nodes().len(), 6);
    for replica in &cluster.nodes()[3..] {
        let role = replica.command(&["ROLE"]).expect("a reply");
        let name = role.array().expect("an array")[0].text();
        assert_eq!(name.as_deref(), Some("slave"));
    }
}

#[test]
fn the_shared_cluster_comes_empty_to_each_borrower() {
    let library = "#!lua name=left\nredis.register_function('left', function() return 1 end)";
    let url = {
        let guard = shared_cluster().expect("a cluster");
        assert_eq!(guard.primaries().len(), 3);
        for mut node in guard.connect().expect("connections") {
            let loaded = node.command(&["FUNCTION", "LOAD", library]);
            loaded.expect("a reply").into_result().expect("loaded");
            for number in 0..100 {
                let key = format!("key-{number}");
                node.command(&["SET", &key, "1"]).expect("a reply");
            }
        }
        guard.url()
    };
    let guard = shared_cluster().expect("the cluster again");
    assert_eq!(guard.url(), url);
    for mut node in guard.connect().expect("connections") {
        assert_eq!(node.command(&["DBSIZE"]).expect("a reply"), Value::Integer(0));
        let libraries = node.command(&["FUNCTION", "LIST"]).expect("a reply");
        assert_eq!(libraries, Value::Array(vec![]));
    }
}
