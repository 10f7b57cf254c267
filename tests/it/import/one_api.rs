//! The databases of one-api and new-api, as GORM makes them.

use super::*;

const ALICE: &str = "sk-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8";
const LAPTOP: &str = "sk-bB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8";

const ONE_API: &str = "
CREATE TABLE `users` (`id` integer,`username` text,`password` text NOT NULL,`display_name` text,`role` int DEFAULT 1,
    `status` int DEFAULT 1,`email` text,`github_id` text,`wechat_id` text,`lark_id` text,`oidc_id` text,`access_token` char(32),
    `quota` bigint DEFAULT 0,`used_quota` bigint DEFAULT 0,`request_count` int DEFAULT 0,`group` varchar(32) DEFAULT \"default\",
    `aff_code` varchar(32),`inviter_id` integer,PRIMARY KEY (`id`));
CREATE TABLE `tokens` (`id` integer,`user_id` integer,`key` char(48),`status` integer DEFAULT 1,`name` text,`created_time` bigint,
    `accessed_time` bigint,`expired_time` bigint DEFAULT -1,`remain_quota` bigint DEFAULT 0,`unlimited_quota` numeric DEFAULT false,
    `used_quota` bigint DEFAULT 0,`models` text,`subnet` text DEFAULT \"\",PRIMARY KEY (`id`));
CREATE TABLE `logs` (`id` integer,`user_id` integer,`created_at` bigint,`type` integer,`content` text,`username` text DEFAULT \"\",
    `token_name` text DEFAULT \"\",`model_name` text DEFAULT \"\",`quota` integer DEFAULT 0,`prompt_tokens` integer DEFAULT 0,
    `completion_tokens` integer DEFAULT 0,`channel_id` integer,`request_id` text DEFAULT \"\",`elapsed_time` integer DEFAULT 0,
    `is_stream` numeric DEFAULT false,`system_prompt_reset` numeric DEFAULT false,PRIMARY KEY (`id`));
CREATE TABLE `channels` (`id` integer PRIMARY KEY);
CREATE TABLE `options` (`key` text,`value` text,PRIMARY KEY (`key`));
INSERT INTO users (id, username, password, display_name, role, status, access_token, quota, used_quota, `group`) VALUES
    (1, 'root', 'hash', 'Root User', 100, 1, 'secret-access-token', 500000000000000, 0, 'default'),
    (2, 'alice', 'hash', 'Alice', 1, 1, 't2', 5000000, 33350, 'vip'),
    (3, 'mallory', 'hash', '', 1, 2, 't3', 5000000, 0, 'default');
INSERT INTO tokens (id, user_id, key, status, name, created_time, accessed_time, expired_time, remain_quota, unlimited_quota, models) VALUES
    (1, 2, 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 1, 'default', 1770000000, 1770544800, -1, 0, 1, NULL),
    (2, 2, 'bB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 2, 'laptop', 1770000000, 1770000000, -1, 0, 1, ''),
    (3, 2, 'cB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 3, 'old', 1770000000, 1770000000, 1770100000, 0, 1, ''),
    (4, 2, 'dB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 4, 'empty', 1770000000, 1770000000, -1, 0, 0, ''),
    (5, 3, 'eB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 1, 'm', 1770000000, 1770000000, -1, 0, 1, '');
INSERT INTO logs (id, user_id, created_at, type, username, token_name, model_name, quota, prompt_tokens, completion_tokens, elapsed_time) VALUES
    (1, 2, 1770000000, 4, 'alice', '', '', 0, 0, 0, 0),
    (2, 2, 1770544800, 2, 'alice', 'default', 'gpt-4o', 33333, 1000, 500, 1234),
    (3, 2, 1770544801, 2, 'alice', 'laptop', 'my-own-model', 17, 10, 5, 99),
    (4, 1, 1770544802, 1, 'root', '', '', 500000, 0, 0, 0);
";

const NEW_API: &str = "
CREATE TABLE `users` (`id` integer PRIMARY KEY AUTOINCREMENT,`username` text,`password` text NOT NULL,`display_name` text,
    `role` int DEFAULT 1,`status` int DEFAULT 1,`email` text,`access_token` char(32),`quota` int DEFAULT 0,`used_quota` int DEFAULT 0,
    `group` varchar(64) DEFAULT \"default\",`deleted_at` datetime,`setting` text);
CREATE TABLE `tokens` (`id` integer PRIMARY KEY AUTOINCREMENT,`user_id` integer,`key` char(48),`status` integer DEFAULT 1,`name` text,
    `created_time` bigint,`accessed_time` bigint,`expired_time` bigint DEFAULT -1,`remain_quota` integer DEFAULT 0,
    `unlimited_quota` numeric,`model_limits_enabled` numeric,`model_limits` text,`allow_ips` text DEFAULT \"\",
    `used_quota` integer DEFAULT 0,`group` text DEFAULT \"\",`deleted_at` datetime);
CREATE TABLE `logs` (`id` integer PRIMARY KEY AUTOINCREMENT,`user_id` integer,`created_at` bigint,`type` integer,`content` text,
    `username` text DEFAULT \"\",`token_name` text DEFAULT \"\",`model_name` text DEFAULT \"\",`quota` integer DEFAULT 0,
    `prompt_tokens` integer DEFAULT 0,`completion_tokens` integer DEFAULT 0,`use_time` integer DEFAULT 0,`is_stream` numeric,
    `channel_id` integer,`token_id` integer DEFAULT 0,`group` text,`ip` text DEFAULT \"\",`other` text);
INSERT INTO users (id, username, password, quota, used_quota, deleted_at) VALUES
    (1, 'alice', 'h', 1000000, 0, NULL), (2, 'gone', 'h', 0, 0, '2026-01-01 10:00:00.000000000+08:00'),
    (3, 'nobody', 'h', 0, 0, '2026-01-01 10:00:00.000000000+08:00');
INSERT INTO tokens (id, user_id, key, status, name, created_time, expired_time, remain_quota, unlimited_quota, model_limits_enabled, model_limits, deleted_at) VALUES
    (1, 1, 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 1, 'main', 1770000000, -1, 250000, 0, 1, 'gpt-4.1-mini,my-own-model', NULL),
    (2, 1, 'bB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 1, 'main', 1770000000, -1, 0, 1, 0, '', '2026-01-01 10:00:00'),
    (3, 2, 'cB3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6gH9iJ2kL5mN8', 1, 'x', 1770000000, -1, 0, 1, 0, '', NULL);
INSERT INTO logs (id, user_id, created_at, type, username, token_name, model_name, quota, prompt_tokens, completion_tokens, use_time, token_id, other) VALUES
    (1, 1, 1770544800, 2, 'alice', 'main', 'gpt-4.1-mini', 300, 1000, 50, 3, 1, '{\"cache_tokens\":400,\"cache_ratio\":0.25,\"frt\":250}'),
    (2, 1, 1770544801, 2, 'alice', 'main', 'claude-sonnet-4', 200, 100, 50, 3, 2, '{\"claude\":true,\"cache_tokens\":30,\"cache_creation_tokens\":20}'),
    (3, 1, 1770544802, 5, 'alice', 'main', 'gpt-4.1-mini', 0, 0, 0, 3, 1, '{}'),
    (4, 1, 1770544803, 6, 'alice', 'main', 'gpt-4.1-mini', 100, 0, 0, 3, 1, '{}'),
    (5, 2, 1770544804, 2, 'gone', 'x', 'gpt-4.1-mini', 1000, 10, 5, 3, 3, '');
";

#[test]
fn users_tokens_and_logs_of_one_api_come_over() {
    let (_backend, home) = home();
    database(&home, "one-api.db", ONE_API);
    let summary = import(&home, &["one-api.db"]);
    assert_eq!(summary["format"], "one-api");
    assert_eq!(
        (&summary["new_users"], &summary["new_keys"]),
        (&3.into(), &5.into())
    );
    // 500,000 are a dollar.
    assert_eq!(summary["cost_usd"], "0.066700000");
    assert_eq!(
        sums(&home, "alice"),
        (1010, 0, 505, 2, "0.066700000".to_owned())
    );
    // What was used and what is left.
    assert_eq!(limits(&home, "alice")[0], "budget 10.0667usd/total");
    assert_eq!(home.users()[1]["group"], "vip");
    let keys = run(&home, &["key", "list", "alice", "--json"]).json();
    let states: Vec<_> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            (
                key["label"].as_str().unwrap(),
                key["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("default", "active"),
            ("laptop", "revoked"),
            ("old", "expired"),
            ("empty", "revoked")
        ]
    );
    let by_key = run(&home, &["costs", "--by", "key", "--user", "alice", "--csv"]).stdout;
    assert!(
        by_key.contains(":default") && by_key.contains(":laptop"),
        "{by_key}"
    );
    assert!(
        !bytes(&home, "test.db")
            .windows(19)
            .any(|part| part == b"secret-access-token")
    );
    assert_consistent(&home);
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 200);
    for key in [
        LAPTOP,
        &LAPTOP.replace("sk-b", "sk-c"),
        &LAPTOP.replace("sk-b", "sk-d"),
    ] {
        wait_for_chat(&proxy, key, 401);
    }
    wait_for_chat(&proxy, &LAPTOP.replace("sk-b", "sk-e"), 403);
    // A model that has no price here goes on, too.
    assert_eq!(proxy.chat(ALICE, &ask("my-own-model")).status, 200);
}

#[test]
fn users_tokens_and_logs_of_new_api_come_over() {
    let (_backend, home) = home();
    database(&home, "new-api.db", NEW_API);
    let summary = import(&home, &["new-api.db", "--format", "new-api"]);
    assert_eq!(summary["left_out_users"], 1, "deleted, and without usage");
    let users = summary["users"].as_array().unwrap();
    assert_eq!(
        (&users[1]["username"], &users[1]["is_deleted"]),
        (&"gone".into(), &true.into())
    );
    // Claude's prompt tokens are without those of the cache.
    assert_eq!(
        sums(&home, "alice"),
        (1000 + 150, 430, 100, 2, "0.001000000".to_owned())
    );
    assert_eq!(sums(&home, "gone").4, "0.002000000");
    let rows = home.rows();
    assert_eq!(
        (rows[0].duration_ms, rows[0].first_byte_ms),
        (Some(3_000), Some(250))
    );
    let mut limits = limits(&home, "alice");
    limits.sort();
    // 250,000 are left of the key, which is less than what is left of the user.
    assert_eq!(
        limits,
        [
            "budget 0.501usd/total",
            "models gpt-4.1-mini,my-own-model",
            "unpriced allow"
        ]
    );
    assert_consistent(&home);
    let names: Vec<_> = home
        .users()
        .iter()
        .map(|user| user["username"].clone())
        .collect();
    assert_eq!(names, ["alice"], "the deleted one is in reports only");
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 200);
    assert_eq!(
        proxy.chat(ALICE, &ask("gpt-4o")).status,
        404,
        "not on the list"
    );
    for key in [LAPTOP, &LAPTOP.replace("sk-b", "sk-c")] {
        wait_for_chat(&proxy, key, 401);
    }
}

#[test]
fn a_user_without_quota_is_refused_as_before() {
    let (_backend, home) = home();
    let source = database(&home, "one-api.db", ONE_API);
    source
        .execute_batch("UPDATE users SET quota = 0 WHERE id = 2")
        .unwrap();
    let summary = import(&home, &["one-api.db"]);
    assert!(
        summary["notes"].to_string().contains("no quota left"),
        "{}",
        summary["notes"]
    );
    let proxy = home.serve();
    wait_for_chat(&proxy, ALICE, 429);
    run(&proxy, &["user", "set", "alice", "--budget", "5usd/total"]);
    wait_for_chat(&proxy, ALICE, 200);
}

#[test]
fn another_quota_for_a_dollar_counts() {
    let (_backend, home) = home();
    let source = database(&home, "one-api.db", ONE_API);
    source
        .execute_batch("INSERT INTO options VALUES ('QuotaPerUnit', '1000000')")
        .unwrap();
    assert_eq!(import(&home, &["one-api.db"])["cost_usd"], "0.033350000");
}

#[test]
fn logs_may_be_in_another_file() {
    let (_backend, home) = home();
    let source = database(&home, "one-api.db", ONE_API);
    source.execute_batch("DROP TABLE logs").unwrap();
    let summary = import(&home, &["one-api.db"]);
    assert_eq!(
        (&summary["new_users"], &summary["new_rows"]),
        (&3.into(), &0.into())
    );
    assert!(
        summary["notes"].to_string().contains("no usage comes"),
        "{summary}"
    );
}
