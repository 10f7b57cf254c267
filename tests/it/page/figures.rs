//! The figures of the page are those of the admin API, whatever names stand beside them.

use std::time::Instant;

use super::{HOSTILE, HOSTILE_GROUP, HOSTILE_MODEL, TOKEN, Visitor, between, fill, proxy};
use crate::harness::{ASK, Backend, Home, Proxy, Request};

/// HTML, CSS and JavaScript of a page together.
const MAX_PAGE_BYTES: usize = 60_000;

fn admin(proxy: &Proxy, path: &str) -> serde_json::Value {
    let answer = proxy.send(&Request::get(path).key(TOKEN));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Returns dollars as the page writes them from a cent on.
fn dollars(decimal: &serde_json::Value) -> String {
    let nanos: f64 = decimal.as_str().unwrap().parse().unwrap();
    let text = format!("{nanos:.2}");
    let (whole, cents) = text.split_once('.').unwrap();
    match whole.len() {
        ..=3 => format!("${whole}.{cents}"),
        digits => format!("${},{}.{cents}", &whole[..digits - 3], &whole[digits - 3..]),
    }
}

fn tile<'p>(page: &'p str, title: &str) -> &'p str {
    let tile = between(page, &format!("<h2>{title}</h2>"), "</section>");
    between(tile, "class=\"figure\">", "<")
}

#[test]
fn the_page_says_what_the_admin_api_says() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend)
        .set("ADMIN_TOKEN", TOKEN)
        .set("TIME_ZONE", "Asia/Kathmandu");
    fill(&home, 40);
    let proxy = home.serve();
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let page = operator.page("/");
    assert!(
        page.contains("Days and times are those of Asia/Kathmandu."),
        "{page}"
    );
    for (title, period) in [("Today", "today"), ("This month", "month")] {
        let costs = admin(
            &proxy,
            &format!("/admin/list_costs?by=model&period={period}"),
        );
        let sum = dollars(&costs["total"]["cost_usd"]);
        assert_eq!(tile(&page, title), sum, "{title}");
        let user = admin(
            &proxy,
            &format!("/admin/list_costs?by=user&username=bob&period={period}"),
        );
        let own = operator.page("/page/user?name=bob");
        assert_eq!(
            tile(&own, title),
            dollars(&user["total"]["cost_usd"]),
            "{title}"
        );
    }
    let live = admin(&proxy, "/admin/live");
    assert_eq!(tile(&page, "Today"), dollars(&live["cost_today"]));
    // The budgets are those that `limits` shows.
    let limits = admin(&proxy, "/admin/list_limits?group=Compilers");
    let used = dollars(&limits["limits"][0]["used"]);
    assert!(
        page.contains(&format!("{used} of $200.00")),
        "{used}: {page}"
    );
}

#[test]
fn names_models_and_errors_of_any_kind_are_text() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("ADMIN_TOKEN", TOKEN);
    assert_eq!(home.cli(&["group", "add", HOSTILE_GROUP]).code, Some(0));
    let added = home.cli(&[
        "user",
        "add",
        HOSTILE,
        "--group",
        HOSTILE_GROUP,
        "--budget",
        "1usd/day",
    ]);
    let key = added.stdout.trim().to_owned();
    let labelled = ["key", "add", HOSTILE, "--label", HOSTILE_MODEL];
    assert_eq!(home.cli(&labelled).code, Some(0));
    let limited = ["user", "set", HOSTILE, "--deny-models", "'><i>x"];
    assert_eq!(home.cli(&limited).code, Some(0));
    home.writable_database()
        .execute(
            "INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
                 reasoning_tokens, status, outcome, usage_source, duration_ms, cost_nano_usd)
             VALUES (strftime('%s', 'now') * 1000, 1, 1, '/v1/chat/completions', ?1, 5, 7, 0, 0, 200, 'completed', 'backend', 5, 7000)",
            [HOSTILE_MODEL],
        )
        .unwrap();
    let proxy = home.serve();
    let hostile_ask = serde_json::json!({"model": HOSTILE_MODEL, "messages": []}).to_string();
    proxy.chat(&key, &hostile_ask);
    proxy.send(&Request::post("/v1/<b>none</b>", ASK).key(&key));
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    let of_user = Visitor::signed_in(&proxy, &key);
    let user = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    let search = format!("/page/users?q={user}");
    let mut pages = vec![
        operator.page("/"),
        operator.page("/page/live"),
        operator.page("/page/users"),
        operator.page(&search),
        operator.page(&format!("/page/user?name={user}")),
        of_user.page("/"),
        operator
            .get("/page/%3Cscript%3Ealert(1)%3C/script%3E")
            .text(),
    ];
    pages.push(operator.change("/page/user/rotate", &[("name", HOSTILE)]));
    for page in &pages {
        for hostile in [
            "<script>alert",
            "<img src=x",
            "<svg onload",
            "<b>none",
            "<i>x",
        ] {
            assert!(!page.contains(hostile), "{hostile}: {page}");
        }
    }
    for page in [&pages[0], &pages[2], &pages[3], &pages[4], &pages[5]] {
        assert!(
            page.contains("&#60;script&#62;alert(1)"),
            "the name is shown: {page}"
        );
    }
    assert!(
        pages[4].contains("onload=alert(3)&#62;&#38;amp;"),
        "{}",
        pages[4]
    );
}

#[test]
fn five_thousand_users_are_found_and_paged_on_small_pages() {
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("ADMIN_TOKEN", TOKEN);
    fill(&home, 5_000);
    let proxy = home.serve();
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let overview = operator.page("/");
    let assets: usize = ["<script src=\"", "rel=\"stylesheet\" href=\""]
        .iter()
        .map(|before| {
            proxy
                .send(&Request::get(between(&overview, before, "\"")))
                .body
                .len()
        })
        .sum();
    for path in [
        "/",
        "/page/users",
        "/page/users?sort=budget",
        "/page/user?name=alice",
    ] {
        let started = Instant::now();
        let page = operator.page(path);
        let took = started.elapsed();
        let bytes = page.len() + assets;
        eprintln!("{path}: {bytes} bytes with {assets} of files, {took:?}");
        assert!(bytes <= MAX_PAGE_BYTES, "{path}: {bytes} bytes");
    }
    let first = operator.page("/page/users");
    assert!(first.contains("1–50 of 5000"), "{first}");
    let next = between(&first, "</span>\n<a href=\"", "\"").to_owned();
    assert!(operator.page(&next).contains("51–100 of 5000"), "{next}");
    let last = operator.page("/page/users?page=100");
    assert!(
        last.contains("4951–5000 of 5000") && last.contains("student-4999"),
        "{last}"
    );
    let beyond = operator.page("/page/users?page=99999");
    assert!(beyond.contains("4951–5000 of 5000"), "{beyond}");
    let found = operator.page("/page/users?q=STUDENT-0123");
    assert!(
        found.contains("student-0123") && found.contains("1 user,"),
        "{found}"
    );
    let forbidden = operator.page("/page/users?forbidden=1");
    assert!(
        forbidden.contains("farid") && forbidden.contains("1 user,"),
        "{forbidden}"
    );
    let nobody = operator.page("/page/users?q=nobody-has-this-name");
    assert!(nobody.contains("No user is found"), "{nobody}");
}

#[test]
fn a_user_sees_what_is_left_unless_the_operator_hides_it() {
    for hides in [false, true] {
        let backend = Backend::chats(7, 3);
        let home = Home::new(&backend).set("HIDE_LIMITS", if hides { "true" } else { "false" });
        let added = home.cli(&["user", "add", "alice", "--budget", "100tokens/day"]);
        let key = added.stdout.trim().to_owned();
        let proxy = home.serve();
        assert_eq!(proxy.chat(&key, ASK).status, 429);
        let page = Visitor::signed_in(&proxy, &key).page("/");
        assert!(
            page.contains("Tokens a day") && page.contains("resets"),
            "{page}"
        );
        assert_eq!(page.contains("100 left"), !hides, "{page}");
        assert_eq!(page.contains("not shown"), hides, "{page}");
    }
}

#[test]
fn an_empty_server_says_what_to_do_first() {
    let (_backend, proxy) = proxy();
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let page = operator.page("/");
    assert!(
        page.contains("Nothing was used in the last 30 days"),
        "{page}"
    );
    assert!(page.contains("No request is running."), "{page}");
    assert!(page.contains("No budget is set."), "{page}");
}
