//! `OPENAI_BASE_URL` and `OPENAI_BACKEND_URL` exclude each other, and errors have the name that was used.

use super::home;
use crate::harness::{ASK, Backend, Home, chat_completion};

fn with_base(value: &str) -> Home {
    home()
        .unset("OPENAI_BACKEND_URL")
        .set("OPENAI_BASE_URL", value)
}

#[test]
fn a_base_url_and_a_backend_url_together_are_refused() {
    let base = ["--openai-base-url", "http://127.0.0.1:9/v1"];
    for home in [
        home().set("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"),
        home().arguments(&base),
        home().file(".env", "OPENAI_BASE_URL=http://127.0.0.1:9/v1\n"),
        with_base("http://127.0.0.1:9/v1")
            .file(".env", "OPENAI_BACKEND_URL=https://api.openai.com\n"),
    ] {
        let ran = home.refused();
        assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
        let line = ran.stderr.trim_end();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(
            line.contains("OPENAI_BASE_URL") && line.contains("OPENAI_BACKEND_URL"),
            "{line}"
        );
    }
}

#[test]
fn an_empty_base_url_or_backend_url_counts_as_unset() {
    let backend = Backend::json(chat_completion(1, 1));
    let base = format!("{}/v1", backend.url());
    for home in [
        Home::new(&backend).set("OPENAI_BASE_URL", ""),
        Home::new(&backend).set("OPENAI_BASE_URL", " "),
        Home::new(&backend).file(".env", "OPENAI_BASE_URL=\n"),
        with_base(&base).set("OPENAI_BACKEND_URL", ""),
        with_base(&base).file(".env", "OPENAI_BACKEND_URL=\n"),
        with_base("").arguments(&["--openai-base-url", &base]),
    ] {
        let (proxy, key) = home.serve_alice();
        assert_eq!(proxy.chat(&key, ASK).status, 200);
        assert_eq!(backend.last().target(), "/v1/chat/completions");
    }
}

#[test]
fn an_invalid_base_url_is_reported_under_its_own_name() {
    for (value, accepted) in [
        ("ftp://api.example/v1", "http"),
        ("api.example/v1", "https://api.openai.com/v1"),
        ("https://api.example/v1?x=1", "query"),
        ("https://*.example/v1", "certificate"),
    ] {
        let ran = with_base(value).refused();
        ran.assert_one_line_error();
        let line = &ran.stderr;
        assert!(line.contains("OPENAI_BASE_URL"), "{value}: {line}");
        assert!(!line.contains("OPENAI_BACKEND_URL"), "{value}: {line}");
        assert!(line.contains(accepted), "{value}: {line}");
    }
}
