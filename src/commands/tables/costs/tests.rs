use super::*;
use crate::{
    model::{Dimension, NanoUsd, Usage},
    store::reports::{ModelCosts, SplitCosts, UserCosts},
};
use proptest::prelude::*;

fn totals(n: u32) -> Totals {
    Totals {
        requests: n.into(),
        usage: Usage {
            input: u64::from(n) * 1000,
            output: n.into(),
            cached: u64::from(n) * 10,
            ..Usage::default()
        },
        cost: NanoUsd(i64::from(n) * 2_500_000),
        ..Totals::default()
    }
}

fn user(username: &str, n: u32, model_costs: Option<Vec<ModelCosts>>) -> UserCosts {
    UserCosts {
        username: username.to_owned(),
        is_deleted: false,
        totals: totals(n),
        model_costs,
    }
}

fn report(costs: Vec<UserCosts>) -> CostReport {
    let mut total = Totals::default();
    for user in &costs {
        total.add(&user.totals);
    }
    CostReport { costs, total }
}

#[test]
fn the_costs_table_looks_like_this() {
    let users = report(vec![user("alice", 1234, None), user("bob", 1, None)]);
    let lines = CostLines::of_users(users, false);
    insta::assert_snapshot!(lines.listing(None).boxed(None), @r"
    ┌───────┬──────────┬───────────┬────────┬────────┬────────┐
    │ user  ┆ requests ┆     input ┆ cached ┆ output ┆ cost $ │
    ╞═══════╪══════════╪═══════════╪════════╪════════╪════════╡
    │ alice ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 ┆   3.09 │
    │ bob   ┆        1 ┆     1,000 ┆     10 ┆      1 ┆ 0.0025 │
    │ TOTAL ┆    1,235 ┆ 1,235,000 ┆ 12,350 ┆  1,235 ┆   3.09 │
    └───────┴──────────┴───────────┴────────┴────────┴────────┘
    ");
    insta::assert_snapshot!(lines.listing(Some(SortBy::Cost)).boxed(None), @r"
    ┌───────┬──────────┬───────────┬────────┬────────┬─────────────────┐
    │ user  ┆ requests ┆     input ┆ cached ┆ output ┆          cost $ │
    ╞═══════╪══════════╪═══════════╪════════╪════════╪═════════════════╡
    │ alice ┆    1,234 ┆ 1,234,000 ┆ 12,340 ┆  1,234 ┆   3.09 ████████ │
    │ bob   ┆        1 ┆     1,000 ┆     10 ┆      1 ┆ 0.0025          │
    │ TOTAL ┆    1,235 ┆ 1,235,000 ┆ 12,350 ┆  1,235 ┆   3.09          │
    └───────┴──────────┴───────────┴────────┴────────┴─────────────────┘
    ");
    insta::assert_snapshot!(lines.listing(None).aligned(), @r"
    user   requests    input  cached  output       cost_$
    alice      1234  1234000   12340    1234  3.085000000
    bob           1     1000      10       1  0.002500000
    ");
}

#[test]
fn by_model_a_line_per_user_and_model() {
    let model = |model: &str, n: u32| ModelCosts {
        model: model.to_owned(),
        priced_as: None,
        totals: totals(n),
    };
    let users = report(vec![
        user(
            "alice",
            3,
            Some(vec![model("gpt-4.1-mini", 1), model("o3", 2)]),
        ),
        user("bob", 0, Some(vec![])),
    ]);
    let lines = CostLines::of_users(users, true);
    insta::assert_snapshot!(lines.listing(None).boxed(Some(80)), @r"
    ┌───────┬──────────────┬──────────┬───────┬────────┬────────┬────────┐
    │ user  ┆ model        ┆ requests ┆ input ┆ cached ┆ output ┆ cost $ │
    ╞═══════╪══════════════╪══════════╪═══════╪════════╪════════╪════════╡
    │ alice ┆ gpt-4.1-mini ┆        1 ┆ 1,000 ┆     10 ┆      1 ┆ 0.0025 │
    │ alice ┆ o3           ┆        2 ┆ 2,000 ┆     20 ┆      2 ┆ 0.0050 │
    │ bob   ┆ -            ┆        0 ┆     0 ┆      0 ┆      0 ┆   0.00 │
    │ TOTAL ┆              ┆        3 ┆ 3,000 ┆     30 ┆      3 ┆ 0.0075 │
    └───────┴──────────────┴──────────┴───────┴────────┴────────┴────────┘
    ");
}

#[test]
fn in_a_narrow_terminal_columns_are_dropped_by_rank_and_numbers_never_broken() {
    let users = report(vec![
        user("alice.liddell@wonderland.example.org", 997_831, None),
        user("bob", 12, None),
    ]);
    let listing = CostLines::of_users(users, false).listing(None);
    insta::assert_snapshot!(listing.boxed(Some(80)), @r"
    ┌────────────────────┬──────────┬─────────────┬───────────┬─────────┬──────────┐
    │ user               ┆ requests ┆       input ┆    cached ┆  output ┆   cost $ │
    ╞════════════════════╪══════════╪═════════════╪═══════════╪═════════╪══════════╡
    │ alice.liddell@wond ┆  997,831 ┆ 997,831,000 ┆ 9,978,310 ┆ 997,831 ┆ 2,494.58 │
    │ erland.example.org ┆          ┆             ┆           ┆         ┆          │
    │ bob                ┆       12 ┆      12,000 ┆       120 ┆      12 ┆     0.03 │
    │ TOTAL              ┆  997,843 ┆ 997,843,000 ┆ 9,978,430 ┆ 997,843 ┆ 2,494.61 │
    └────────────────────┴──────────┴─────────────┴───────────┴─────────┴──────────┘
    ");
    insta::assert_snapshot!(listing.boxed(Some(40)), @r"
    ┌───────────────────────────┬──────────┐
    │ user                      ┆   cost $ │
    ╞═══════════════════════════╪══════════╡
    │ alice.liddell@wonderland. ┆ 2,494.58 │
    │ example.org               ┆          │
    │ bob                       ┆     0.03 │
    │ TOTAL                     ┆ 2,494.61 │
    └───────────────────────────┴──────────┘
    ");
}

#[test]
fn where_many_labels_find_no_room_they_stand_below_each_other() {
    let by = [
        Dimension::Endpoint,
        Dimension::Model,
        Dimension::User,
        Dimension::Period(crate::model::Period::Day),
    ];
    let line = |model: &str, n| SplitCosts {
        values: by
            .into_iter()
            .zip(["/v1/chat/completions", model, "alice", "2026-02-08"].map(str::to_owned))
            .collect(),
        is_deleted: false,
        priced_as: None,
        totals: totals(n),
    };
    let mut total = totals(997_831);
    total.add(&totals(1));
    let report = SplitReport {
        costs: vec![line("gpt-4.1-mini", 997_831), line("o3", 1)],
        total,
    };
    let listing = CostLines::of_split(report, &by).listing(None);
    insta::assert_snapshot!(listing.boxed(Some(80)), @r"
    ────────────────────────────────────────────────────────────────────
    endpoint             requests       input    cached  output   cost $
    model
    user
    day
    ════════════════════════════════════════════════════════════════════
    /v1/chat/completions  997,831 997,831,000 9,978,310 997,831 2,494.58
    gpt-4.1-mini
    alice
    2026-02-08
    ────────────────────────────────────────────────────────────────────
    /v1/chat/completions        1       1,000        10       1   0.0025
    o3
    alice
    2026-02-08
    ────────────────────────────────────────────────────────────────────
    TOTAL                 997,832 997,832,000 9,978,320 997,832 2,494.58
    ────────────────────────────────────────────────────────────────────
    ");
}

proptest! {
    /// Names have letters only, so that every other word of a table is a figure.
    #[test]
    fn no_figure_is_broken_and_no_line_too_long_at_any_width(
        names in prop::collection::vec("[a-zA-Z]{1,70}", 1..5),
        figures in prop::collection::vec((0..i64::MAX / 8, 0..i64::MAX / 8, 0..i64::MAX / 8), 5),
        digits in 1_u32..19,
        terminal in prop::sample::select(vec![40_u16, 50, 80, 100]),
        sort in prop::sample::select(vec![None, Some(SortBy::Cost), Some(SortBy::Tokens), Some(SortBy::Requests)]),
    ) {
        let cut = |figure: i64| figure % 10_i64.pow(digits);
        let tokens = |figure: i64| u64::try_from(cut(figure)).unwrap();
        let users = names.iter().zip(&figures).map(|(name, (input, output, cost))| {
            let mut costs = user(name, 1, None);
            costs.totals = Totals {
                requests: cut(*output),
                usage: Usage { input: tokens(*input), output: tokens(*output), cached: tokens(*input) / 2, ..Usage::default() },
                // A million dollars: ten of them and a bar behind it find no room in 40 columns.
                cost: NanoUsd(cut(*cost) % 1_000_000_000_000_000),
                unpriced_requests: cut(*input),
                estimated_input_tokens: cut(*input),
                estimated_output_tokens: cut(*output),
                ..Totals::default()
            };
            costs
        });
        let lines = CostLines::of_users(report(users.collect()), true);
        let listing = lines.listing(sort);
        let table = listing.boxed(Some(terminal));
        let rows = listing.rows.iter().chain(&listing.total);
        let shown: Vec<String> = rows
            .flatten()
            .filter_map(|cell| cell.shown.split(' ').next().map(str::to_owned))
            .collect();
        for line in table.lines() {
            prop_assert!(line.chars().count() <= usize::from(terminal), "{}", table);
            for word in line.split([' ', '│', '┆']) {
                let is_figure = word.starts_with(|c: char| c.is_ascii_digit() || c == ',' || c == '.');
                prop_assert!(!is_figure || shown.iter().any(|figure| figure == word), "{word} in {}", table);
            }
        }
        for (_, totals) in &lines.lines {
            prop_assert!(table.contains(&totals.cost.rounded()), "{}", table);
        }
    }
}

#[test]
fn bars_are_drawn_in_eighths() {
    assert_eq!(bar_of(8, 8), "████████");
    assert_eq!(bar_of(0, 8), "        ");
    assert_eq!(bar_of(1, 64), "▏       ");
    assert_eq!(bar_of(33, 64), "████▏   ");
    assert_eq!(bar_of(5, 0), "        ");
}
