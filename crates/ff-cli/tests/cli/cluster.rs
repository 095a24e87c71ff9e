//! The same commands on a cluster, whose work is spread over many partitions.

use std::collections::BTreeSet;

use ff_testserver::shared_cluster;

use crate::support::{documents, ff};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_loaded_listed_and_examined_as_one() {
    let cluster = shared_cluster().expect("a cluster");
    let url = cluster.url();
    let store = ["--url", &url, "-o", "json"];
    let ask = async |words: &[&str]| {
        let words: Vec<&str> = words.iter().chain(&store).copied().collect();
        let ran = ff(&words).await;
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        documents(&ran.stdout)
    };
    let loaded = &ask(&["lua-load"]).await[0];
    assert_eq!(loaded["nodes"].as_array().map(Vec::len), Some(3));
    let told = &ask(&["load", "-n", "300", "-c", "16"]).await[0];
    assert_eq!((&told["ended_once"], &told["not_ended"]), (&300.into(), &0.into()));
    assert_eq!(ask(&["lanes"]).await[0]["done"], 300);
    let mut rows = ask(&["list", "--limit", "250"]).await;
    let cursor = rows.pop().expect("a row")["next_cursor"].as_str().expect("more").to_owned();
    rows.extend(ask(&["list", "--limit", "250", "--cursor", &cursor]).await);
    let ids: BTreeSet<String> = rows.iter().map(|row| row["execution_id"].to_string()).collect();
    assert_eq!((rows.len(), ids.len()), (300, 300));
    let partitions: BTreeSet<&str> = ids.iter().filter_map(|id| id.split('}').next()).collect();
    assert!(partitions.len() > 1, "the work is spread: {partitions:?}");
    assert_eq!(ask(&["doctor"]).await[0]["findings_total"], 0);
}
