//! The command: which arguments it refuses, and what it prints.

use std::process::{Command, Output};

/// Keys whose values differ from run to run.
const TIMED: [&str; 2] = ["wall_seconds", "peak_memory_bytes"];
/// Keys whose values a seed decides.
const KEYS: [&str; 16] = [
    "success",
    "depth_mean",
    "depth_max",
    "rpcs_mean",
    "datagrams_mean",
    "requester_datagrams_mean",
    "requester_bytes_mean",
    "timeouts_mean",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "maintenance_bytes_per_node_second",
    "maintenance_messages_per_node_second",
    "records_lost",
    "load_max_over_mean",
    "seed",
];

fn sim(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kadlet-sim")).args(line.split_whitespace()).output().expect("the command runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_argument_out_of_range_is_a_usage_error_that_names_it() {
    for (line, parameter) in [
        ("run --scenario stale --nodes 10 --dead 0.95", "--dead"),
        ("run --scenario stale --dead 1.2", "--dead"),
        ("run --scenario stale --dead -0.1", "--dead"),
        ("run --scenario loss --loss 1.5", "--loss"),
        ("run --scenario loss --loss nan", "--loss"),
        ("run --scenario static --nodes 0", "--nodes"),
        ("run --scenario static --nodes -4", "--nodes"),
        ("run --scenario static --nodes 99999999999", "--nodes"),
        ("run --scenario storm --nodes 1000000", "--nodes"),
        ("run --scenario static --lookups 0", "--lookups"),
        ("run --scenario static --k 33", "--k"),
        ("run --scenario static --alpha 0", "--alpha"),
        ("run --scenario churn --session -5", "--session"),
        ("run --scenario churn --session inf", "--session"),
        ("run --scenario churn --minutes 0", "--minutes"),
        ("run --scenario nothing", "--scenario"),
        ("run", "--scenario"),
        ("attack --attack invent --attackers 900", "--attackers"),
        ("attack --attack none --attackers 0 --records 0", "--records"),
        ("gates --only nothing", "--only"),
        ("plot", "--out"),
    ] {
        let output = sim(line);
        let words = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {words}");
        assert!(words.starts_with("error: ") && words.contains(parameter), "{line}: {words}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_run_prints_one_json_object_with_all_keys_and_the_same_each_time() {
    let object = || {
        let output = sim("run --scenario churn --nodes 50 --lookups 20 --minutes 1 --seed 9 --json");
        let mut object: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("the output is one JSON object");
        let object = object.as_object_mut().expect("the output is one JSON object").clone();
        object
            .into_iter()
            .map(|(key, value)| (key.clone(), if TIMED.contains(&&*key) { 0.into() } else { value }))
            .collect::<Vec<_>>()
    };
    let first = object();
    for key in KEYS.into_iter().chain(TIMED) {
        assert!(first.iter().any(|(name, _)| name == key), "{key}");
    }
    assert_eq!(first, object());
}
