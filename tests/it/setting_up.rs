//! `llmproxy demo`, `init` and `check`: the first minutes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::harness::{Backend, Connection, Home, PATIENCE, Ran, Request, Screen, wait_until};

const LIST: &str = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#;
const KEY: &str = "sk-p'r$o\"j#1";

/// Lists two models to those who have [`KEY`].
fn openai() -> Backend {
    Backend::start(|request, wire| {
        if request.header("authorization") == Some(&format!("Bearer {KEY}")) {
            wire.json(LIST);
        } else {
            wire.answer("401 Unauthorized", &[], r#"{"error":{"message":"no"}}"#);
        }
    })
}

/// Where a newcomer begins: a directory without a database and without settings.
fn newcomer(backend: &Backend) -> Home {
    let url = backend.url();
    Home::new(backend)
        .unset("OPENAI_API_KEY")
        .unset("DATABASE_URL")
        .unset("PORT")
        .set("OPENAI_BACKEND_URL", &url)
}

fn with_input(home: &Home, arguments: &[&str], input: &str) -> Ran {
    let mut command = home.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn files(home: &Home) -> Vec<String> {
    let entries = std::fs::read_dir(home.path("")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_demonstration_books_two_requests_and_leaves_nothing_behind() {
    let backend = openai();
    let home = newcomer(&backend);
    let temporary = home.path("").display().to_string();
    let home = home.set("TMPDIR", &temporary);
    let demo = home.cli(&["demo"]);
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert_eq!(demo.stderr, "");
    let answer = "< You said: Hello! Is anybody there?\n";
    assert_eq!(demo.stdout.matches(answer).count(), 2, "{demo:?}");
    let line = "│ alice ┆ gpt-4.1-mini ┆        2 ┆     8 ┆      2 ┆     12 ┆ 0.000022 │";
    assert!(demo.stdout.contains(line), "{demo:?}");
    assert!(demo.stdout.contains("llmproxy init"), "{demo:?}");
    assert_eq!(files(&home), [""; 0]);
}

#[test]
fn the_demonstration_ignores_settings() {
    let backend = openai();
    let home = newcomer(&backend)
        .set("HTTP_PROXY", "http://127.0.0.1:1")
        .set("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
        .set("MAX_BODY_SIZE", "nonsense")
        .file(".env", "no settings at all");
    let demo = home.cli(&["demo"]);
    assert_eq!(demo.code, Some(0), "{demo:?}");
}

#[test]
fn the_demonstration_goes_on_serving_an_sdk() {
    let backend = openai();
    let home = newcomer(&backend);
    let temporary = home.path("").display().to_string();
    let home = home.set("TMPDIR", &temporary);
    let mut command = home.command(&["demo", "--serve"]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut exported = |name: &str| {
        let start = format!("  export {name}=");
        let found = lines.find_map(|line| Some(line.unwrap().strip_prefix(&start)?.to_owned()));
        found.unwrap()
    };
    let base_url = exported("OPENAI_BASE_URL");
    let key = exported("OPENAI_API_KEY");
    let database = exported("DATABASE_URL");
    let address = base_url.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/v1").unwrap();
    let mut connection = Connection::open(address.parse().unwrap());
    for (path, body, is_in_answer) in [
        (
            "/v1/responses",
            r#"{"model":"gpt-4.1-mini","input":"one two three"}"#,
            "You said: one two three",
        ),
        (
            "/v1/responses",
            r#"{"model":"gpt-4.1-mini","input":[{"role":"user","content":[{"type":"input_text","text":"four"}]}],"stream":true}"#,
            "event: response.completed\n",
        ),
        (
            "/v1/embeddings",
            r#"{"model":"text-embedding-3-small","input":["a b","c"],"encoding_format":"base64"}"#,
            r#""embedding":""#,
        ),
    ] {
        connection.send(&Request::post(path, body).key(&key));
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().contains(is_in_answer), "{answer:?}");
    }
    let home = home.set("DATABASE_URL", &database);
    let costs = home.cli(&["costs", "--json"]).json();
    assert_eq!(costs["costs"][0]["total_requests"], 5);
    // 4 + 4 for the questions, 3 + 1 for the responses, 2 + 1 for the embeddings.
    assert_eq!(costs["costs"][0]["total_input_tokens"], 15);
    assert_eq!(costs["costs"][0]["total_output_tokens"], 6 + 6 + 5 + 3);

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(files(&home), [""; 0]);
}

#[test]
fn init_tries_the_key_writes_a_private_file_and_makes_a_user() {
    let backend = openai();
    let home = newcomer(&backend).unset("OPENAI_BACKEND_URL");
    let url = backend.url();
    let arguments = ["init", "--user", "alice", "--openai-backend-url", &url];
    let ran = with_input(&home, &arguments, &format!("{KEY}\n"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("accepts the key and lists 2 models"),
        "{ran:?}"
    );
    let key = ran.stdout.trim_end().to_owned();
    assert!(key.starts_with("llmp-"), "{ran:?}");
    let mode = home.path(".env").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut found = files(&home);
    // SQLite leaves these if the process ends before its last connection is closed.
    found.retain(|name| !name.ends_with("-shm") && !name.ends_with("-wal"));
    assert_eq!(found, [".env", "llm_proxy.db"]);

    // The server reads what was written.
    let proxy = home.set("PORT", "0").serve();
    let answer = proxy.send(&Request::get("/v1/models").key(&key));
    assert_eq!(answer.text(), LIST);
}

#[test]
fn init_overwrites_nothing_and_writes_nothing_that_does_not_work() {
    let backend = openai();
    let home = newcomer(&backend);
    let refused = with_input(&home, &["init"], "sk-wrong\n");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("refuses the key (401)"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("sk-wrong"), "{refused:?}");
    assert_eq!(files(&home), [""; 0]);

    let unusable = with_input(&home, &["init"], "sk with spaces\n");
    assert_eq!(unusable.code, Some(1), "{unusable:?}");
    assert_eq!(files(&home), [""; 0]);

    let untried = with_input(&home, &["init", "--no-check"], "sk-wrong\n");
    assert_eq!(untried.code, Some(0), "{untried:?}");
    let written = std::fs::read(home.path(".env")).unwrap();
    let again = with_input(&home, &["init"], &format!("{KEY}\n"));
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("never overwritten"), "{again:?}");
    assert_eq!(std::fs::read(home.path(".env")).unwrap(), written);

    let unreachable = newcomer(&backend).set("OPENAI_BACKEND_URL", "http://127.0.0.1:1");
    let ran = with_input(&unreachable, &["init"], &format!("{KEY}\n"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("cannot connect to the backend"),
        "{ran:?}"
    );
    assert_eq!(files(&unreachable), [""; 0]);
}

#[test]
fn init_does_not_show_the_key_on_a_terminal() {
    let backend = openai();
    let home = newcomer(&backend);
    let mut screen = Screen::start(&home.command(&["init"]), 80, 24);
    screen.wait_for("(not shown; empty for a backend without keys)");
    screen.type_keys("sk-mistyped\n");
    screen.wait_for("Take this key all the same? [y/N]");
    screen.type_keys("n\n");
    wait_until("the second question", PATIENCE, || {
        screen.text().matches("not shown").count() == 2
    });
    screen.type_keys(&format!("{KEY}\n"));
    screen.wait_for("Name of a first user");
    screen.type_keys("bob\n");
    let shown = screen.wait_for("│ bob");
    assert!(screen.end().success());
    assert!(
        !shown.contains(KEY) && !shown.contains("sk-mistyped"),
        "{shown}"
    );
    assert!(home.path(".env").exists());
}

#[test]
fn check_finds_what_is_wrong() {
    let backend = openai();
    let home = newcomer(&backend)
        .set("OPENAI_API_KEY", KEY)
        .set("PORT", "0");
    let ran = home.cli(&["check", "--strict"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("lists 2 models"), "{ran:?}");

    let result = |home: &Home, check: &str| {
        let ran = home.cli(&["check", "--json"]);
        let report = ran.json();
        let checks = report["checks"].as_array().unwrap().clone();
        let found = checks
            .into_iter()
            .rev()
            .find(|found| found["check"] == check);
        let found = found.unwrap();
        (
            ran.code,
            found["result"].as_str().unwrap().to_owned(),
            found["message"].as_str().unwrap().to_owned(),
        )
    };
    let wrong_key = newcomer(&backend)
        .set("OPENAI_API_KEY", "sk-other")
        .set("PORT", "0");
    let (code, verdict, message) = result(&wrong_key, "backend");
    assert_eq!((code, verdict.as_str()), (Some(1), "failed"), "{message}");
    assert!(message.contains("401"), "{message}");

    let home = home.file(".env", "ADMIN_TOKEN=0123456789abcdef0123\nNOBODYS=1\n");
    let open = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(home.path(".env"), open).unwrap();
    let ran = home.cli(&["check"]);
    assert_eq!(ran.code, Some(0), "warnings alone are no failure: {ran:?}");
    assert!(ran.stdout.contains("chmod 600 .env"), "{ran:?}");
    assert!(
        ran.stdout.contains("no setting of llmproxy: NOBODYS"),
        "{ran:?}"
    );
    assert_eq!(home.cli(&["check", "--strict"]).code, Some(1));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = home.set("PORT", &port);
    let (code, verdict, message) = result(&home, "port");
    assert_eq!((code, verdict.as_str()), (Some(1), "failed"), "{message}");

    let home = home
        .set("PORT", "0")
        .set("DATABASE_URL", "sqlite:///./no/such/directory/a.db");
    let (code, verdict, message) = result(&home, "directory");
    assert_eq!((code, verdict.as_str()), (Some(1), "failed"), "{message}");
}

#[test]
fn serve_warns_of_an_env_file_that_others_can_read() {
    let backend = openai();
    let home = newcomer(&backend)
        .set("PORT", "0")
        .file(".env", "OPENAI_API_KEY=sk-1\n");
    let open = PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(home.path(".env"), open).unwrap();
    let proxy = home.serve();
    wait_until("the warning", PATIENCE, || {
        proxy
            .log()
            .contains("others can read .env, which holds OPENAI_API_KEY (mode 0640)")
    });
}

#[test]
fn a_file_of_roots_that_a_services_group_reads_is_no_mistake() {
    let backend = openai();
    let home = newcomer(&backend)
        .set("PORT", "0")
        .file(".env", "OPENAI_API_KEY=sk-1\n");
    let path = home.path(".env");
    // Only root can give it away.
    if std::os::unix::fs::chown(&path, Some(0), Some(12345)).is_err() {
        return;
    }
    let warning = "others can read .env";
    for (mode, is_exposed) in [(0o640, false), (0o644, true)] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let ran = home.cli(&["check"]);
        assert_eq!(
            ran.stdout.contains(warning),
            is_exposed,
            "{mode:o}: {ran:?}"
        );
    }
}

#[test]
fn a_health_check_needs_no_key_and_no_other_program() {
    let backend = openai();
    let proxy = Home::new(&backend).serve();
    let port = proxy.port().to_string();
    let asked = |host: &str, port: &str| {
        let home = newcomer(&backend).set("HOST", host).set("PORT", port);
        home.cli(&["health"])
    };
    for host in ["127.0.0.1", "0.0.0.0"] {
        let ran = asked(host, &port);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stdout, "{\"status\":\"ok\"}\n");
    }
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = other.local_addr().unwrap().port().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"220 mail.example\r\n").unwrap();
    });
    let ran = asked("127.0.0.1", &other_port);
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("is not healthy"), "{ran:?}");
    answering.join().unwrap();
    drop(proxy);
    for port in [port.as_str(), "0"] {
        asked("127.0.0.1", port).assert_one_line_error();
    }
}
