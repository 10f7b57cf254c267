//! What an operator changes on the page.

use super::{HOSTILE, TOKEN, Visitor, between, proxy};
use crate::harness::ASK;

#[test]
fn a_new_user_s_key_works_at_once_and_is_shown_once() {
    let (_backend, proxy) = proxy();
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    assert!(
        operator
            .page("/page/users")
            .contains("There are no users yet")
    );
    let page = operator.change(
        "/page/user/add",
        &[
            ("name", "alice"),
            ("amount", "5"),
            ("unit", "usd"),
            ("window", "month"),
        ],
    );
    let key = between(&page, "tabindex=\"0\">", "<").to_owned();
    assert!(key.starts_with("llmp-"), "{page}");
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    for path in ["/page/users", "/page/user?name=alice", "/"] {
        assert!(!operator.page(path).contains(&key), "{path}");
    }
    let limits = proxy.cli(&["limits", "alice", "--json"]).json();
    assert_eq!(limits["limits"][0]["value"], "5usd/month");
    // The name is taken now, and nothing happens.
    let page = operator.change("/page/user/add", &[("name", "alice")]);
    assert!(
        page.contains("Nothing was changed.") && page.contains("alice"),
        "{page}"
    );
    let page = operator.change("/page/user/add", &[("name", "  ")]);
    assert!(page.contains("Nothing was changed."), "{page}");
    assert_eq!(proxy.users().len(), 1);
}

#[test]
fn keys_are_rotated_and_users_forbidden_and_allowed() {
    let (_backend, proxy) = proxy();
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    let page = operator.change("/page/user/add", &[("name", "alice")]);
    let old = between(&page, "tabindex=\"0\">", "<").to_owned();
    let page = operator.change("/page/user/rotate", &[("name", "alice"), ("grace", "24h")]);
    let new = between(&page, "tabindex=\"0\">", "<").to_owned();
    assert!(page.contains("The old one works until"), "{page}");
    assert_eq!(
        [&old, &new].map(|key| proxy.chat(key, ASK).status),
        [200, 200]
    );
    let page = operator.change("/page/user/rotate", &[("name", "alice"), ("grace", "0")]);
    let newest = between(&page, "tabindex=\"0\">", "<").to_owned();
    assert_eq!(
        [&new, &newest].map(|key| proxy.chat(key, ASK).status),
        [401, 200]
    );
    let page = operator.change("/page/user/forbid", &[("name", "alice")]);
    assert!(page.contains("alice is forbidden"), "{page}");
    assert_eq!(proxy.chat(&newest, ASK).status, 403);
    let page = operator.change("/page/user/allow", &[("name", "alice")]);
    assert!(page.contains("alice is allowed again"), "{page}");
    assert_eq!(proxy.chat(&newest, ASK).status, 200);
    let csrf = operator.csrf();
    let unknown = operator.post("/page/user/forbid", &[("name", "nobody"), ("csrf", &csrf)]);
    assert_eq!(unknown.status, 303, "{unknown:?}");
    // A page that is not quickly there begins with 200 and says it later.
    let missing = operator.get("/page/user?name=nobody");
    assert!([404, 200].contains(&missing.status), "{missing:?}");
    assert!(missing.text().contains("No user is called"), "{missing:?}");
}

#[test]
fn a_budget_is_set_watched_and_removed() {
    let (_backend, proxy) = proxy();
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    operator.change("/page/user/add", &[("name", HOSTILE)]);
    let budget = [("name", HOSTILE), ("unit", "tokens"), ("window", "day")];
    let with = |amount: &'static str| [&budget[..], &[("amount", amount)]].concat();
    let page = operator.change("/page/user/budget", &with("2M"));
    assert!(
        page.contains("Tokens a day") && page.contains("2.00\u{202f}M left"),
        "{page}"
    );
    assert!(!page.contains(HOSTILE), "{page}");
    let page = operator.change("/page/user/budget", &with("2 apples"));
    assert!(page.contains("Nothing was changed."), "{page}");
    let page = operator.change("/page/user/budget", &[("name", HOSTILE)]);
    assert!(page.contains("Enter an amount."), "{page}");
    let page = operator.change(
        "/page/user/budget",
        &[&with("3M")[..], &[("watch", "1")]].concat(),
    );
    assert!(
        page.contains("3.00\u{202f}M left") && page.contains("watched"),
        "{page}"
    );
    let page = operator.change("/page/user/no-budget", &[("name", HOSTILE)]);
    assert!(page.contains("No limit applies"), "{page}");
}
