use super::*;
use crate::import::{ImportRow, Note, Notes};

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

fn user(id: i64, quota: i64) -> Vec<Cell<'static>> {
    vec![
        Cell::Integer(id),
        Cell::Text("alice"),
        Cell::Integer(1),
        Cell::Text("vip"),
        Cell::Integer(quota),
        Cell::Null,
        Cell::Null,
    ]
}

fn token(id: i64, key: &'static str, status: i64) -> Vec<Cell<'static>> {
    vec![
        Cell::Integer(id),
        Cell::Integer(1),
        Cell::Text(key),
        Cell::Integer(status),
        Cell::Text("laptop"),
        Cell::Integer(1_705_314_600),
        Cell::Integer(1_705_314_700),
        Cell::Integer(-1),
        Cell::Integer(0),
        Cell::Integer(1),
        Cell::Null,
        Cell::Null,
        Cell::Null,
        Cell::Null,
    ]
}

fn log(kind: i64, quota: i64, other: &'static str) -> Vec<Cell<'static>> {
    vec![
        Cell::Integer(1),
        Cell::Integer(1_705_314_600),
        Cell::Integer(kind),
        Cell::Text("gpt-4o"),
        Cell::Integer(quota),
        Cell::Integer(100),
        Cell::Integer(50),
        Cell::Integer(5),
        Cell::Text("laptop"),
        Cell::Null,
        Cell::Integer(2),
        Cell::Text(other),
    ]
}

fn read(users: &[Vec<Cell<'static>>], tokens: &[Vec<Cell<'static>>]) -> (OneApi, Import) {
    let mut one_api = OneApi::default();
    for cells in users {
        one_api.add_user(1, cells);
    }
    for (number, cells) in (1..).zip(tokens) {
        one_api.add_token(number, cells);
    }
    one_api.end_of_tokens();
    let import = one_api.take_import();
    (one_api, import)
}

fn row(one_api: &OneApi, cells: &[Cell<'_>]) -> Option<ImportRow> {
    one_api.row(9, cells, &mut Notes::default())
}

#[test]
fn a_token_is_the_key_that_clients_send() {
    let (_, import) = read(&[user(1, 500_000)], &[token(5, KEY, 1)]);
    let alice = &import.users[0];
    let key = &alice.keys[0];
    assert_eq!(key.clear.as_ref().unwrap().expose(), format!("sk-{KEY}"));
    assert_eq!(key.label.as_deref(), Some("laptop"));
    assert_eq!((key.expires_at_ms, key.is_stopped), (None, false));
    assert_eq!(key.last_used_at_ms, Some(1_705_314_700_000));
    assert_eq!(alice.group.as_ref().unwrap().as_str(), "vip");
    assert_eq!(alice.left, Some(NanoUsd(1_000_000_000)));
    assert!(alice.limits.is_empty());
}

#[test]
fn tokens_that_do_not_work_there_do_not_work_here() {
    let mut expired = token(6, "expired-0123456789abcdef", 3);
    expired[TOKEN_EXPIRES] = Cell::Integer(1_705_314_600);
    let mut used_up = token(7, "usedup-0123456789abcdef", 1);
    used_up[TOKEN_UNLIMITED] = Cell::Integer(0);
    let mut deleted = token(8, "deleted-0123456789abcdef", 1);
    deleted[TOKEN_DELETED] = Cell::Text("2024-01-15 10:30:00");
    let tokens = [
        token(4, "disabled-0123456789abcdef", 2),
        token(5, "exhausted-0123456789abcdef", 4),
        expired,
        used_up,
        deleted,
    ];
    let (_, import) = read(&[user(1, 1)], &tokens);
    let keys = &import.users[0].keys;
    let stopped: Vec<bool> = keys.iter().map(|key| key.is_stopped).collect();
    assert_eq!(stopped, [true, true, false, true, true]);
    assert_eq!(keys[2].expires_at_ms, Some(1_705_314_600_000));
}

#[test]
fn quotas_and_models_of_tokens_become_those_of_the_user() {
    let limited = |id, key, left, models| {
        let mut cells = token(id, key, 1);
        cells[TOKEN_UNLIMITED] = Cell::Integer(0);
        cells[TOKEN_LEFT] = Cell::Integer(left);
        cells[TOKEN_MODELS] = Cell::Text(models);
        cells
    };
    let two = [
        limited(1, "a0123456789abcdef0123", 100, "gpt-4o,o4-mini"),
        limited(2, "b0123456789abcdef0123", 200, "gpt-4o"),
    ];
    let (_, import) = read(&[user(1, 1_000)], &two);
    let alice = &import.users[0];
    assert_eq!(alice.left, Some(NanoUsd(300 * 2_000)));
    assert_eq!(alice.limits[0].to_string(), "gpt-4o,o4-mini");
    let mixed = [two[0].clone(), token(3, "c0123456789abcdef0123", 1)];
    let (_, import) = read(&[user(1, 1_000)], &mixed);
    let alice = &import.users[0];
    assert_eq!(alice.left, Some(NanoUsd(1_000 * 2_000)));
    assert!(alice.limits.is_empty());
    let notes: Vec<String> = import.notes.into_vec().iter().map(Note::line).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
}

#[test]
fn a_list_of_models_counts_only_if_it_is_enabled() {
    let mut cells = token(1, KEY, 1);
    cells[TOKEN_MODELS] = Cell::Text("gpt-4o");
    cells[TOKEN_MODELS_LIMITED] = Cell::Integer(0);
    let (_, import) = read(&[user(1, 1)], std::slice::from_ref(&cells));
    assert!(import.users[0].limits.is_empty());
    cells[TOKEN_MODELS_LIMITED] = Cell::Integer(1);
    let (_, import) = read(&[user(1, 1)], &[cells]);
    assert_eq!(import.users[0].limits.len(), 1);
}

#[test]
fn consumption_is_booked_to_the_quota_and_nothing_else_is() {
    let (one_api, _) = read(&[user(1, 1)], &[token(5, KEY, 1)]);
    let found = row(&one_api, &log(2, 12_345, "")).unwrap();
    assert_eq!(found.cost, Some(NanoUsd(24_690_000)));
    assert_eq!((found.user, found.key), (0, Some(0)));
    assert_eq!((found.usage.input, found.usage.output), (100, 50));
    assert_eq!(
        (found.started_at_ms, found.duration_ms),
        (1_705_314_600_000, 2_000)
    );
    assert_eq!(
        row(&one_api, &log(2, -5, "")).unwrap().cost,
        Some(NanoUsd(-10_000))
    );
    for kind in [0, 1, 3, 4, 5, 6] {
        assert_eq!(row(&one_api, &log(kind, 5, "")), None, "{kind}");
    }
    assert_eq!(
        row(&one_api, &log(2, i64::MAX, "")),
        None,
        "more than can be"
    );
    let mut of_nobody = log(2, 5, "");
    of_nobody[0] = Cell::Integer(99);
    assert_eq!(row(&one_api, &of_nobody), None);
}

#[test]
fn cached_tokens_are_read_from_the_further_figures() {
    let (one_api, _) = read(&[user(1, 1)], &[]);
    let usage = |other| row(&one_api, &log(2, 1, other)).unwrap().usage;
    let openai = usage(r#"{"cache_tokens":40,"cache_ratio":0.5,"frt":312}"#);
    assert_eq!((openai.input, openai.cached), (100, 40));
    let claude = usage(
        r#"{"claude":true,"cache_tokens":40,"cache_creation_tokens":10,"cache_creation_tokens_1h":4}"#,
    );
    assert_eq!((claude.input, claude.cached), (150, 40));
    assert_eq!(
        (claude.classes.cache_write_5m, claude.classes.cache_write_1h),
        (6, 4)
    );
    assert_eq!(usage("not json, but cache").input, 100);
    assert_eq!(
        row(&one_api, &log(2, 1, r#"{"frt":312.0}"#))
            .unwrap()
            .first_byte_ms,
        Some(312)
    );
    assert_eq!(
        row(&one_api, &log(2, 1, "")).unwrap().key,
        None,
        "its token is gone"
    );
}

#[test]
fn another_quota_for_a_dollar_is_read_from_the_options() {
    let mut one_api = OneApi::default();
    one_api.add_option(&[Cell::Text("QuotaPerUnit"), Cell::Text("1000000")]);
    one_api.add_option(&[Cell::Text("QuotaPerUnit"), Cell::Text("0")]);
    one_api.add_option(&[Cell::Text("Other"), Cell::Text("7")]);
    assert_eq!(one_api.cost_of(1), NanoUsd(1_000));
    one_api.add_option(&[Cell::Text("QuotaPerUnit"), Cell::Text("3.000000")]);
    assert_eq!(
        (one_api.cost_of(2), one_api.cost_of(-2)),
        (NanoUsd(666_666_667), NanoUsd(-666_666_667))
    );
}

#[test]
fn a_deleted_user_stays_for_the_usage_only() {
    let mut cells = user(1, 10);
    cells[USER_DELETED] = Cell::Text("2024-01-15 10:30:00");
    let (one_api, import) = read(&[cells], &[token(5, KEY, 1)]);
    let alice = &import.users[0];
    assert!(alice.is_deleted && !alice.is_active && alice.keys.is_empty());
    assert_eq!(alice.left, None);
    assert!(row(&one_api, &log(2, 1, "")).is_some());
}
