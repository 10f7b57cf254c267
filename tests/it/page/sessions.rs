//! Who gets in, what they see, and when it ends.

use super::{HOSTILE, TOKEN, Visitor, form, proxy};
use crate::harness::{
    Answer, Backend, Home, PATIENCE, Request, assert_guesses_are_slowed_down, wait_until,
};

/// The pages and changes that are for operators only.
const OPERATORS_GET: [&str; 3] = ["/page/users", "/page/user?name=alice", "/page/live"];
const OPERATORS_POST: [&str; 6] = [
    "/page/user/add",
    "/page/user/rotate",
    "/page/user/forbid",
    "/page/user/allow",
    "/page/user/budget",
    "/page/user/no-budget",
];

fn is_sign_in(page: &str) -> bool {
    page.contains("<h1>Sign in</h1>")
}

#[track_caller]
fn assert_strict(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
    ] {
        assert!(policy.contains(directive), "{answer:?}");
    }
    for unsafe_word in ["unsafe", "http:", "https:", "data:", "*"] {
        assert!(!policy.contains(unsafe_word), "{answer:?}");
    }
    assert!(policy.contains("frame-ancestors 'none'"), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(
        answer.header("x-llmproxy-request-id").is_some(),
        "{answer:?}"
    );
}

#[test]
fn the_token_opens_the_pages_of_an_operator_with_a_strict_cookie() {
    let (_backend, proxy) = proxy();
    let mut visitor = Visitor::new(&proxy);
    assert!(is_sign_in(&visitor.page("/")));
    let wrong = visitor.post("/page/sign-in", &[("secret", "a-guessed-token")]);
    assert_eq!(wrong.status, 401, "{wrong:?}");
    assert!(
        wrong.text().contains("neither the admin token"),
        "{wrong:?}"
    );
    assert!(wrong.header("set-cookie").is_none(), "{wrong:?}");
    let right = visitor.post("/page/sign-in", &[("secret", TOKEN)]);
    assert_eq!(right.status, 303, "{right:?}");
    assert_eq!(right.header("location"), Some("/"));
    let cookie = right.header("set-cookie").unwrap();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let id = pair.strip_prefix("llmproxy_session=").unwrap();
    assert_eq!(id.len(), 64, "256 bits: {cookie}");
    assert!(visitor.page("/").contains("<h1>Overview</h1>"));

    // A second session has another id, and signing out ends one of them.
    let other = Visitor::signed_in(&proxy, TOKEN);
    assert_ne!(other.cookie, visitor.cookie);
    let before = visitor.cookie.clone();
    let signed_out = visitor.change("/page/sign-out", &[]);
    assert!(is_sign_in(&signed_out));
    assert_eq!(visitor.cookie, None);
    visitor.cookie = before;
    assert!(
        is_sign_in(&visitor.page("/")),
        "the old cookie is worthless"
    );
    assert!(other.page("/").contains("<h1>Overview</h1>"));
}

#[test]
fn a_cookie_is_for_tls_only_when_the_browser_speaks_it() {
    let (_backend, proxy) = proxy();
    let sign_in = form("/page/sign-in", &[("secret", TOKEN)]);
    let host = proxy.address().to_string();
    for (name, value) in [
        ("Origin", format!("https://{host}")),
        ("X-Forwarded-Proto", "https".to_owned()),
    ] {
        let request = sign_in.clone().header("Sec-Fetch-Site", "same-origin");
        let answer = proxy.send(&request.header(name, &value));
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
    }
}

#[test]
fn every_answer_is_strict_and_none_has_anything_inline() {
    let (_backend, proxy) = proxy();
    let alice = proxy.user("alice");
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let mut seen = Vec::new();
    for path in [
        "/",
        "/page/users",
        "/page/user?name=alice",
        "/page/live",
        "/page/none",
    ] {
        seen.push(operator.get(path));
    }
    seen.push(Visitor::new(&proxy).get("/"));
    wait_until("the key is known", PATIENCE, || {
        Visitor::new(&proxy)
            .post("/page/sign-in", &[("secret", &alice)])
            .status
            == 303
    });
    seen.push(Visitor::signed_in(&proxy, &alice).get("/"));
    seen.push(proxy.send(&Request::new("DELETE", "/page/users")));
    seen.push(proxy.send(&form("/page/user/add", &[("name", "eve")])));
    for answer in &seen {
        assert_strict(answer);
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
        let page = answer.text();
        for inline in [
            " style=",
            "<style",
            "javascript:",
            " onclick",
            " onload",
            "<script>",
        ] {
            assert!(!page.contains(inline), "{inline}: {page}");
        }
    }
    assert_eq!(seen[4].status, 404);
    let page = seen[0].text();
    for (before, content_type) in [
        ("<script src=\"", "text/javascript"),
        ("rel=\"stylesheet\" href=\"", "text/css"),
        ("rel=\"icon\" href=\"", "image/svg+xml"),
    ] {
        let asset = proxy.send(&Request::get(super::between(&page, before, "\"")));
        assert_eq!(asset.status, 200, "{asset:?}");
        assert!(
            asset
                .header("content-type")
                .unwrap()
                .starts_with(content_type)
        );
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
        assert_strict(&asset);
    }
    let head = proxy.start(&Request::new("HEAD", "/")).head();
    assert_eq!(head.status, 200, "{head:?}");
}

#[test]
fn a_form_needs_a_page_of_this_server_and_the_session_s_value() {
    let (_backend, proxy) = proxy();
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let csrf = operator.csrf();
    let own = format!("http://{}", proxy.address());
    let add = |csrf: &str| form("/page/user/add", &[("name", "eve"), ("csrf", csrf)]);
    for (what, request) in [
        ("no value", add("").header("Origin", &own)),
        (
            "a wrong value",
            add(&csrf.replace(|_| true, "0")).header("Origin", &own),
        ),
        ("no origin", add(&csrf)),
        (
            "another origin",
            add(&csrf).header("Origin", "https://evil.example"),
        ),
        ("a sandboxed page", add(&csrf).header("Origin", "null")),
        (
            "another site",
            add(&csrf)
                .header("Origin", &own)
                .header("Sec-Fetch-Site", "cross-site"),
        ),
    ] {
        let answer = proxy.send(&operator.request(request));
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
    }
    let json = Request::post("/page/user/add", r#"{"name":"eve"}"#).header("Origin", &own);
    assert_eq!(proxy.send(&operator.request(json)).status, 415);
    let long = form("/page/user/add", &[("name", &"x".repeat(20_000))]).header("Origin", &own);
    assert_eq!(proxy.send(&operator.request(long)).status, 413);
    // Without a session there is nothing to do but to sign in.
    let answer = proxy.send(&add(&csrf).header("Origin", &own));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
    assert!(proxy.users().is_empty());
    assert!(!proxy.log().contains(&csrf));
}

#[test]
fn a_user_sees_nothing_of_others_and_no_page_of_an_operator() {
    let (_backend, proxy) = proxy();
    let alice = proxy.user("alice");
    let bob = proxy.user("bob-the-other");
    wait_until("the keys are known", PATIENCE, || {
        [&alice, &bob]
            .iter()
            .all(|key| proxy.chat(key, crate::harness::ASK).status == 200)
    });
    let mut visitor = Visitor::signed_in(&proxy, &alice);
    let page = visitor.page("/");
    assert!(
        page.contains("<h1>alice</h1>") && page.contains("What is left"),
        "{page}"
    );
    assert!(
        !page.contains("bob-the-other") && !page.contains("/page/users"),
        "{page}"
    );
    for path in OPERATORS_GET {
        let answer = visitor.get(path);
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(!answer.text().contains("bob-the-other"), "{answer:?}");
    }
    let csrf = visitor.csrf();
    for path in OPERATORS_POST {
        let fields = [("name", "bob-the-other"), ("amount", "1"), ("csrf", &csrf)];
        let answer = visitor.post(path, &fields);
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
    }
    assert_eq!(proxy.chat(&bob, crate::harness::ASK).status, 200);
    // Nor does somebody who is not signed in.
    let stranger = Visitor::new(&proxy);
    for path in OPERATORS_GET {
        let answer = stranger.get(path);
        assert!(matches!(answer.status, 303 | 401), "{path}: {answer:?}");
        assert!(!answer.text().contains("bob-the-other"), "{answer:?}");
    }
}

#[test]
fn a_user_s_session_ends_when_the_key_stops() {
    let (_backend, proxy) = proxy();
    let alice = proxy.user("alice");
    let bob = proxy.user("bob");
    wait_until("the keys are known", PATIENCE, || {
        [&alice, &bob]
            .iter()
            .all(|key| proxy.chat(key, crate::harness::ASK).status == 200)
    });
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    let (of_alice, of_bob) = (
        Visitor::signed_in(&proxy, &alice),
        Visitor::signed_in(&proxy, &bob),
    );
    operator.change("/page/user/forbid", &[("name", "alice")]);
    assert!(is_sign_in(&of_alice.page("/")));
    // Also after the user is allowed again.
    operator.change("/page/user/allow", &[("name", "alice")]);
    assert!(is_sign_in(&of_alice.page("/")));
    let mut again = Visitor::new(&proxy);
    assert_eq!(
        again.post("/page/sign-in", &[("secret", &alice)]).status,
        303
    );

    assert!(of_bob.page("/").contains("<h1>bob</h1>"));
    operator.change("/page/user/rotate", &[("name", "bob"), ("grace", "0")]);
    assert!(is_sign_in(&of_bob.page("/")));
    let refused = Visitor::new(&proxy).post("/page/sign-in", &[("secret", &bob)]);
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(refused.text().contains("revoked"), "{refused:?}");
}

#[test]
fn without_a_token_this_machine_goes_on_as_operator_and_nobody_else() {
    let backend = Backend::chats(7, 3);
    let proxy = Home::new(&backend).serve();
    let mut visitor = Visitor::new(&proxy);
    assert!(visitor.page("/").contains("Go on as operator"));
    assert_eq!(
        visitor.post("/page/sign-in", &[("as", "operator")]).status,
        303
    );
    assert!(visitor.page("/").contains("<h1>Overview</h1>"));
    // A reverse proxy or a web page may pass the same cookie on.
    for (name, value) in [("X-Forwarded-For", "10.0.0.1"), ("Host", "evil.example")] {
        let mut visitor = Visitor::new(&proxy);
        visitor.post("/page/sign-in", &[("as", "operator")]);
        let request = visitor.request(Request::get("/").header(name, value));
        let page = proxy.send(&request).text();
        assert!(
            is_sign_in(&page) && !page.contains("Go on as operator"),
            "{page}"
        );
        assert!(page.contains("ADMIN_TOKEN"), "{page}");
        let request = form("/page/sign-in", &[("as", "operator")])
            .header("Sec-Fetch-Site", "same-origin")
            .header(name, value);
        assert_eq!(proxy.send(&request).status, 403);
    }
}

#[test]
fn guesses_are_slowed_down_and_an_open_session_is_not() {
    let (_backend, proxy) = proxy();
    let operator = Visitor::signed_in(&proxy, TOKEN);
    let guess = form("/page/sign-in", &[("secret", "a-guessed-token")])
        .header("Sec-Fetch-Site", "same-origin");
    let right = operator.request(Request::get("/"));
    assert_guesses_are_slowed_down(&proxy, &guess, &right);
}

#[test]
fn secrets_are_in_no_log_and_no_address() {
    let (_backend, proxy) = proxy();
    let mut operator = Visitor::signed_in(&proxy, TOKEN);
    let page = operator.change("/page/user/add", &[("name", HOSTILE)]);
    let key = super::between(&page, "tabindex=\"0\">", "<").to_owned();
    operator.post("/page/sign-in", &[("secret", &key)]);
    let log = proxy.log();
    let cookie = operator.cookie.clone().unwrap();
    let id = cookie.split_once('=').unwrap().1;
    for secret in [TOKEN, &key, id] {
        assert!(!log.contains(secret), "{log}");
    }
}
