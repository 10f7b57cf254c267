//! What must hold of the simulation, checked before it is believed.

use clap::Parser;

use crate::AS_IT_IS;
use crate::design::{Design, Load};
use crate::parameters::Parameters;
use crate::simulation::{Outcome, ns, simulate};

#[derive(Parser)]
struct Defaults {
    #[command(flatten)]
    parameters: Parameters,
}

pub fn run() {
    a_lone_row_waits_for_a_commit_and_a_round_trip();
    nothing_is_lost_and_the_lock_is_held_at_most_all_the_time();
    more_nodes_wait_longer_when_the_lock_is_full();
    the_same_seed_gives_the_same_figures();
}

fn a_lone_row_waits_for_a_commit_and_a_round_trip() {
    let parameters = Parameters {
        long_share: 0.0,
        ..defaults()
    };
    let outcome = run_with(parameters, AS_IT_IS, 1, 1.0, 200.0);
    let commit_ms = parameters.insert_ms + parameters.row_ms + parameters.flush_ms;
    let expected = ns(parameters.round_trip_ms + parameters.plan_ms + commit_ms);
    let median = outcome.waits_ns[outcome.waits_ns.len() / 2];
    assert!(
        median.abs_diff(expected) <= 2,
        "a lone row waits for {median} ns instead of {expected}"
    );
}

fn nothing_is_lost_and_the_lock_is_held_at_most_all_the_time() {
    for requests_per_second in [100.0, 1e6] {
        let outcome = run_with(defaults(), AS_IT_IS, 10, requests_per_second, 3.0);
        assert!(outcome.lock_held <= 1.01, "{}", outcome.lock_held);
        if requests_per_second < 1e6 {
            let offered = requests_per_second * 3.0;
            let missing = (outcome.rows as f64 - offered).abs();
            assert!(
                missing < 0.2 * offered,
                "{} of {offered} rows",
                outcome.rows
            );
        }
    }
}

/// Each node has to wait for all others: with the lock always held, a row waits for about as many commits
/// as there are nodes.
fn more_nodes_wait_longer_when_the_lock_is_full() {
    let parameters = Parameters {
        long_share: 0.0,
        row_ms: 0.0,
        sum_row_ms: 0.0,
        ..defaults()
    };
    let outcome = run_with(parameters, AS_IT_IS, 100, 20_000.0, 10.0);
    let waits = &outcome.waits_ns;
    let mean_ms = waits.iter().sum::<u64>() as f64 / waits.len() as f64 / 1e6;
    let turn_ms = 100.0 * (parameters.insert_ms + parameters.flush_ms);
    let turns = mean_ms / turn_ms;
    assert!((1.0..3.0).contains(&turns), "{turns} turns");
}

fn the_same_seed_gives_the_same_figures() {
    let run = || run_with(defaults(), AS_IT_IS, 10, 1_000.0, 2.0).waits_ns;
    assert_eq!(run(), run());
}

fn defaults() -> Parameters {
    Defaults::parse_from(["defaults"]).parameters
}

fn run_with(
    parameters: Parameters,
    design: Design,
    nodes: usize,
    requests_per_second: f64,
    seconds: f64,
) -> Outcome {
    let load = Load {
        nodes,
        requests_per_second,
        has_budgets: false,
        seconds,
    };
    simulate(parameters, design, load)
}
