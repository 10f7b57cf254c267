//! Settings: flag before environment before `.env`, one clear line for a bad one, no secret in any output.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use super::home;
use crate::harness::{ASK, ASK_STREAM, BACKEND_KEY, Backend, Home, Ran, Request, chat_completion};

/// Which of these files the settings made `user add` create.
fn created(home: &Home, arguments: &[&str]) -> Vec<&'static str> {
    let ran = home.cli(&[&["user", "add", "alice"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let files = [
        "flag.db",
        "variable.db",
        "dotenv.db",
        "env-file.db",
        "llm_proxy.db",
    ];
    files
        .into_iter()
        .filter(|file| home.path(file).exists())
        .collect()
}

#[test]
fn a_flag_comes_before_a_variable_and_that_before_dotenv() {
    let flag = ["--database-url", "sqlite:///flag.db"];
    let home = || home().unset("DATABASE_URL");
    let dotenv = "DATABASE_URL=sqlite:///dotenv.db\n";
    let variable = ("DATABASE_URL", "sqlite:///variable.db");
    assert_eq!(created(&home(), &[]), ["llm_proxy.db"]);
    assert_eq!(created(&home().file(".env", dotenv), &[]), ["dotenv.db"]);
    assert_eq!(
        created(
            &home().file(".env", dotenv).set(variable.0, variable.1),
            &[]
        ),
        ["variable.db"]
    );
    assert_eq!(
        created(
            &home().file(".env", dotenv).set(variable.0, variable.1),
            &flag
        ),
        ["flag.db"]
    );
}

#[test]
fn another_file_can_be_read_in_the_place_of_dotenv() {
    let home = home().unset("DATABASE_URL");
    let home = home
        .file(".env", "DATABASE_URL=sqlite:///dotenv.db")
        .file("prod.env", "DATABASE_URL=sqlite:///env-file.db");
    assert_eq!(created(&home, &["--env-file", "prod.env"]), ["env-file.db"]);
    let ran = home.cli(&["user", "list", "--env-file", "missing.env"]);
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("missing.env"), "{ran:?}");
}

#[test]
fn the_seeds_dotenv_is_all_that_serve_needs() {
    let backend = Backend::json(chat_completion(19, 10));
    let url = backend.url();
    let mut home = Home::new(&backend);
    for name in [
        "HOST",
        "PORT",
        "OPENAI_API_KEY",
        "OPENAI_BACKEND_URL",
        "RUST_LOG",
    ] {
        home = home.unset(name);
    }
    let dotenv = format!(
        "OPENAI_BACKEND_URL={url}\nexport OPENAI_API_KEY=\"{BACKEND_KEY}\"\n\n# Optional\nHOST='127.0.0.1'\nPORT=0 # any\nMAX_CONCURRENT_REQUESTS=500\n"
    );
    let (proxy, key) = home.file(".env", &dotenv).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_eq!(
        backend.last().header("authorization"),
        Some(format!("Bearer {BACKEND_KEY}").as_str())
    );
}

#[test]
fn values_of_the_env_file_are_read_as_they_are() {
    let backend = Backend::json(chat_completion(19, 10));
    let home = Home::new(&backend)
        .unset("OPENAI_API_KEY")
        .set("tail", "unseen");
    let dotenv = "ADMIN_TOKEN=s3cret$tail${tail}\nOPENAI_API_KEY=\"sk-$tail\\d\"\n";
    let (proxy, key) = home.file(".env", dotenv).serve_alice();
    let with = |token: &str| {
        let request = Request::get("/admin/list_users").key(token);
        proxy.send(&request).status
    };
    assert_eq!(with("s3cret$tail${tail}"), 200);
    assert_eq!(with("s3cret"), 401, "a shortened secret opens nothing");
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_eq!(
        backend.last().header("authorization"),
        Some("Bearer sk-$tail\\d")
    );
}

#[test]
fn an_invalid_env_file_line_is_reported_without_its_value() {
    let bad = [
        ("# all\nADMIN_ALLOW=10.0.0.0/8, hunter2\n", 2, "ADMIN_ALLOW"),
        ("\n\nexport HOST='hunter2\nPORT=0\n", 3, "HOST"),
        ("HOST=\"hunter2", 1, "HOST"),
        ("PORT=0\r\nhunter2\r\n", 2, ""),
        ("PORT=0\n=hunter2\n", 2, ""),
        ("OPENAI-API-KEY=hunter2\n", 1, ""),
    ];
    for (dotenv, line, name) in bad {
        let home = home().file(".env", dotenv);
        for ran in [home.refused(), home.cli(&["user", "add", "alice"])] {
            ran.assert_one_line_error();
            let place = format!(".env\" line {line}");
            assert!(ran.stderr.contains(&place), "{dotenv:?}: {ran:?}");
            assert!(ran.stderr.contains(name), "{dotenv:?}: {ran:?}");
            assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        }
    }
}

#[test]
fn variables_without_a_flag_are_read_from_dotenv_too() {
    let home = || {
        let dotenv = "SSL_CERT_FILE=missing.pem\nHTTPS_PROXY=ftp://x\n";
        Home::with_backend_url("https://api.example").file(".env", dotenv)
    };
    let ran = home().refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("HTTPS_PROXY"), "{ran:?}");
    let ran = home().set("HTTPS_PROXY", "").refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("missing.pem"), "{ran:?}");
}

#[test]
fn no_help_text_shows_values_of_the_env_file() {
    let home = home()
        .unset("OPENAI_API_KEY")
        .file(".env", "OPENAI_API_KEY=hunter2\nPORT=4711\n");
    for arguments in [
        &["help", "serve"][..],
        &["serve", "--help"],
        &["serve", "-h"],
    ] {
        let ran = home.cli(arguments);
        assert!(ran.stdout.contains("OPENAI_API_KEY"), "{ran:?}");
        assert!(!ran.stdout.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_name_like_a_help_flag_does_not_skip_the_env_file() {
    let home = home()
        .unset("DATABASE_URL")
        .file(".env", "DATABASE_URL=sqlite:///dotenv.db\n");
    let ran = home.cli(&["user", "add", "--", "-h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(home.path("dotenv.db").exists());
    assert!(!home.path("llm_proxy.db").exists());
}

#[test]
fn a_variable_that_is_not_utf_8_is_reported() {
    use std::os::unix::ffi::OsStringExt;
    let odd = std::ffi::OsString::from_vec(vec![b'a', 0xff, b'b']);
    let ran = Ran::of(home().command(&["serve"]).env("OPENAI_ORG_ID", odd));
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("OPENAI_ORG_ID"), "{ran:?}");
}

#[test]
fn every_setting_of_serve_is_a_flag_too() {
    let backend = Backend::json(chat_completion(19, 10));
    let mut home = Home::new(&backend);
    for name in ["HOST", "PORT", "OPENAI_API_KEY", "OPENAI_BACKEND_URL"] {
        home = home.unset(name);
    }
    let url = backend.url();
    let flags = [
        ["--host", "127.0.0.1"],
        ["--port", "0"],
        ["--openai-api-key", "sk-from-flag"],
        ["--openai-backend-url", &url],
        ["--max-concurrent-requests", "3"],
        ["--admin-token", "a-long-admin-token"],
        ["--admin-allow", "10.0.0.0/8"],
        ["--ledger-sync", "full"],
        ["--on-ledger-failure", "serve"],
        ["--shutdown-grace", "1s"],
        ["--backend-connect-timeout", "1s"],
        ["--backend-idle-timeout", "1min"],
        ["--stream-usage", "leave"],
        ["--max-body-size", "1KiB"],
    ];
    let (proxy, key) = home.arguments(&flags.concat()).serve_alice();
    assert_eq!(proxy.chat(&key, ASK_STREAM).status, 200);
    assert_eq!(backend.last().text(), ASK_STREAM, "--stream-usage leave");
    assert_eq!(
        backend.last().header("authorization"),
        Some("Bearer sk-from-flag")
    );
    assert_eq!(
        proxy
            .chat(&key, &format!("{}{ASK}", " ".repeat(1024)))
            .status,
        413
    );
    assert_eq!(proxy.send(&Request::get("/admin/list_users")).status, 401);
}

#[test]
fn a_bad_setting_is_one_line_with_name_value_and_rule() {
    let bad = [
        ("PORT", "99999", "65535"),
        ("PORT", "http", "65535"),
        ("HOST", "not a host", ""),
        ("OPENAI_BACKEND_URL", "ftp://api.example", "http"),
        ("OPENAI_BACKEND_URL", "api.example", "http"),
        ("MAX_CONCURRENT_REQUESTS", "-1", ""),
        ("MAX_CONCURRENT_REQUESTS", "many", ""),
        ("ADMIN_ALLOW", "10.0.0.0/99", "/8"),
        ("LEDGER_SYNC", "sometimes", "full"),
        ("ON_LEDGER_FAILURE", "panic", "serve"),
        ("SHUTDOWN_GRACE", "soon", "30s"),
        ("BACKEND_CONNECT_TIMEOUT", "soon", "s"),
        ("BACKEND_IDLE_TIMEOUT", "5 parsecs", "s"),
        ("STREAM_USAGE", "perhaps", "leave"),
        ("MAX_BODY_SIZE", "lots", "MiB"),
    ];
    for (name, value, accepted) in bad {
        let ran = home().set(name, value).refused();
        ran.assert_one_line_error();
        let line = &ran.stderr;
        assert!(
            line.contains(name) && line.contains(value),
            "{name}={value}: {ran:?}"
        );
        assert!(
            line.replacen(value, "", 1).contains(accepted),
            "{name}={value}: what is accepted? {ran:?}"
        );
        // The same from a .env file.
        let ran = home()
            .unset(name)
            .file(".env", &format!("{name}=\"{value}\"\n"))
            .refused();
        ran.assert_one_line_error();
        assert!(
            ran.stderr.contains(name) && ran.stderr.contains(value),
            "{name}={value}: {ran:?}"
        );
    }
}

#[test]
fn a_missing_key_for_the_backend_is_one_line() {
    let ran = home().unset("OPENAI_API_KEY").refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("OPENAI_API_KEY"), "{ran:?}");
}

#[test]
fn a_bad_secret_is_reported_and_not_shown() {
    for (name, value) in [
        ("OPENAI_API_KEY", "sk-hunter2\nx"),
        ("ADMIN_TOKEN", "hunter2\nx"),
    ] {
        let ran = home().set(name, value).refused();
        ran.assert_one_line_error();
        assert!(ran.stderr.contains(name), "{ran:?}");
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_password_in_the_backends_url_is_not_shown() {
    // Whether such a URL is served or refused is not promised; that its password stays unseen is.
    let home = Home::with_backend_url("http://user:hunter2@127.0.0.1:9");
    let mut serve = home
        .command(&["serve"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(serve.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
    {
        said.push_str(&line);
        if line.contains("listening on") {
            break;
        }
    }
    let _ = serve.kill();
    let _ = serve.wait();
    assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
}

#[test]
fn no_secret_is_ever_logged_and_each_request_has_one_line() {
    for level in ["info", "debug"] {
        let backend = Backend::json(chat_completion(1, 1));
        let (proxy, key) = Home::new(&backend).set("RUST_LOG", level).serve_alice();
        for _ in 0..3 {
            proxy.chat(&key, ASK);
        }
        proxy.chat(&format!("{key}x"), ASK);
        proxy.send(&Request::get("/v1/models?api_key=x").header("api-key", &key));
        proxy.send(&Request::post("/admin/gen_key", r#"{"username":"bob"}"#));
        let bob = proxy.cli(&["user", "list", "--json"]).json()["users"][1]["api_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let lines = || {
            proxy
                .log()
                .lines()
                .filter(|line| line.contains("/v1/chat/completions"))
                .count()
        };
        crate::harness::wait_until("each request is logged", crate::harness::PATIENCE, || {
            lines() >= 4
        });
        let log = proxy.log();
        for secret in [BACKEND_KEY, &key, &bob] {
            assert!(!log.contains(secret), "{log}");
        }
        if level == "info" {
            assert_eq!(lines(), 4, "one line a request: {log}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ran = home().set("PORT", &port).refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains(&port), "{ran:?}");
    assert!(ran.stderr.contains("stop the program"), "{ran:?}");
}

#[test]
fn a_foreign_listen_address_is_not_reported_as_port_in_use() {
    for host in ["999.1.1.1", "192.0.2.1"] {
        let ran = home().set("HOST", host).refused();
        ran.assert_one_line_error();
        assert!(ran.stderr.contains("HOST"), "{ran:?}");
        assert!(!ran.stderr.contains("stop the program"), "{ran:?}");
    }
}
