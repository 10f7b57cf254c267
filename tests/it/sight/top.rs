//! `llmproxy top`: the live view on a terminal.

use crate::harness::{
    ASK, Backend, CHAT, Home, PATIENCE, Proxy, Request, Screen, Terminal, ask, wait_until,
};

/// Starts `top` against the server, on a terminal of 80 columns and 24 lines.
fn top(proxy: &Proxy, arguments: &[&str]) -> Screen {
    let server = format!("http://{}", proxy.address());
    let words = [
        &["top", "--interval", "100ms", "--server", &server],
        arguments,
    ]
    .concat();
    let mut command = proxy.command(&words);
    command.env("TERM", "xterm-256color");
    Screen::start(&command, 80, 24)
}

#[test]
fn users_are_seen_with_what_they_do_now() {
    let (backend, turnstile) = Backend::held();
    let (proxy, alice) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let bob = proxy.user("bob");
    wait_until("bob's key works", PATIENCE, || {
        proxy.send(&Request::get("/v1/usage").key(&bob)).status == 200
    });
    let ran = proxy.cli(&["user", "set", "bob", "--budget", "4requests/day"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut first = proxy.start(&Request::post(CHAT, ask("gpt-4.1-mini")).key(&alice));
    backend.wait_for_requests(1);
    let mut second = proxy.start(&Request::post(CHAT, ask("gpt-4.1-mini")).key(&bob));
    let mut screen = top(&proxy, &[]);
    let text = screen.wait_for("2 in flight, 1 waiting");
    assert!(text.contains("llmproxy top"), "{text}");
    screen.type_keys("\t");
    let text = screen.wait_for("live requests");
    screen.wait_for("waiting");
    assert!(text.lines().count() <= 24, "{text}");
    screen.type_keys("\t\t");
    turnstile.allow(2);
    assert_eq!(first.answer().status, 200);
    assert_eq!(second.answer().status, 200);
    // A request of four is a quarter of the budget.
    screen.wait_for(" 25%");
    // A request is in flight for a moment after its row is booked.
    let text = screen.wait_for("0 in flight");
    // The report has the same cost.
    let cost = proxy.cli(&["costs", "--today", "--json"]).json();
    assert_eq!(cost["total"]["cost_usd"], "0.000015200");
    screen.wait_for("today 0.000015 USD");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    screen.type_keys("q");
    assert_eq!(screen.end().code(), Some(0));
    screen.wait_until_restored();
}

#[test]
fn a_user_is_forbidden_and_allowed_after_a_question() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let mut screen = top(&proxy, &["--all"]);
    screen.wait_for("alice");
    screen.type_keys("jf");
    screen.wait_for("Forbid all keys of alice?");
    screen.type_keys("n");
    screen.wait_for("nothing was changed");
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    screen.type_keys("fy");
    screen.wait_for("alice (forbidden)");
    assert_eq!(proxy.chat(&key, ASK).status, 403);
    screen.type_keys("f");
    screen.wait_for("Allow the keys of alice again?");
    screen.type_keys("y");
    wait_until("alice is allowed", PATIENCE, || {
        proxy.chat(&key, ASK).status == 200
    });
    screen.type_keys("\u{3}");
    assert_eq!(screen.end().code(), Some(0));
    screen.wait_until_restored();
}

#[test]
fn the_list_is_filtered_sorted_resized_and_explained() {
    let backend = Backend::chats(1, 1);
    let (proxy, _) = Home::new(&backend).serve_alice();
    for name in ["anton", "berta", "caesar"] {
        proxy.user(name);
    }
    let mut screen = top(&proxy, &["--all", "--sort", "name"]);
    let text = screen.wait_for("caesar");
    let place = |name: &str| text.find(name).unwrap();
    assert!(place("alice") < place("anton") && place("anton") < place("berta"));
    screen.type_keys("/BERT");
    screen.wait_for("filter: BERT");
    wait_until("others are gone", PATIENCE, || {
        let text = screen.text();
        text.contains("berta") && !text.contains("anton")
    });
    screen.type_keys("\r\u{1b}");
    screen.wait_for("anton");
    screen.resize(40, 12);
    wait_until("it fits", PATIENCE, || {
        let text = screen.text();
        text.contains("anton") && text.lines().count() <= 12
    });
    screen.resize(120, 40);
    // A key in the same moment as the change would be read with the next key only.
    wait_until("the change is seen", PATIENCE, || {
        let text = screen.text();
        text.lines()
            .next()
            .is_some_and(|title| title.trim_end().len() > 100)
    });
    screen.type_keys("?");
    screen.wait_for("forbid all keys of the selected user");
    screen.type_keys("?q");
    assert_eq!(screen.end().code(), Some(0));
    screen.wait_until_restored();
}

#[test]
fn the_terminal_is_restored_when_a_signal_ends_it() {
    let backend = Backend::chats(1, 1);
    let (proxy, _) = Home::new(&backend).serve_alice();
    for (signal, number) in [("TERM", 15), ("HUP", 1), ("INT", 2)] {
        let mut screen = top(&proxy, &[]);
        screen.wait_for("in flight");
        let pid = screen.pid().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status();
        assert!(sent.unwrap().success());
        let status = screen.end();
        let ended_by = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(ended_by, Some(number), "{status:?}");
        screen.wait_until_restored();
    }
}

#[test]
fn a_server_that_is_gone_is_said_and_comes_back() {
    let backend = Backend::chats(1, 1);
    let (mut proxy, _) = Home::new(&backend).serve_alice();
    let mut screen = top(&proxy, &["--all"]);
    screen.wait_for("alice");
    proxy.kill9();
    let text = screen.wait_for("cannot");
    assert!(text.contains("alice"), "what was known stays:\n{text}");
    screen.type_keys("q");
    assert_eq!(screen.end().code(), Some(0));
}

#[test]
fn once_and_json_need_no_terminal() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let server = format!("http://{}", proxy.address());
    let from_server = ["top", "--once", "--server", &server];
    let from_file = ["top", "--once"];
    for arguments in [&from_server[..], &from_file] {
        wait_until("alice is listed", PATIENCE, || {
            let ran = proxy.cli(arguments);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let line = ran.stdout.lines().find(|line| line.starts_with("alice"));
            let words = line.map(|line| line.split_whitespace().collect::<Vec<_>>());
            // in flight, waiting, requests and tokens of the last minute
            words.is_some_and(|words| words[1..5] == ["0", "0", "1", "30"])
        });
    }
    let json = proxy.cli(&["top", "--json"]).json();
    assert_eq!(
        (&json["is_live"], &json["users_total"]),
        (&false.into(), &1.into())
    );
    let json = proxy.cli(&["top", "--json", "--server", &server]).json();
    assert_eq!(json["is_live"], true);
    let table = Terminal::of_columns(80).run(&mut proxy.command(&["top", "--once"]));
    assert!(
        table.stdout.contains("today 0.000036 USD"),
        "{}",
        table.stdout
    );
    assert!(table.stdout.lines().all(|line| line.chars().count() <= 80));
    for wrong in [
        &["top"][..],
        &["top", "--once", "--sort", "size"],
        &["top", "--interval", "1ms"],
    ] {
        assert_eq!(proxy.cli(wrong).code, Some(2), "{wrong:?}");
    }
}
