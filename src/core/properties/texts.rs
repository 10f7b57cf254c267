//! Texts that an operator types, apart from the settings as a whole: URLs of backends and proxies, time
//! ranges, names, keys. An input is written like an env file.

use super::typed::Typed;
use crate::{
    model::{ApiKey, TimeError, TimeRange, UserName, format_utc},
    proxy::{
        admission::auth::bearer,
        backend::{BASE_URL, BackendUrl, HttpProxy},
    },
};

/// 2026-02-08T00:00:00Z
const NOW_MS: i64 = 1_770_508_800_000;

/// Whatever is typed becomes a valid value, or an error that shows no secret.
pub fn texts(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let typed = Typed::of(&text);
    for found in [
        typed.value("OPENAI_BACKEND_URL").map(str::parse),
        typed.value(BASE_URL).map(BackendUrl::of_base),
    ] {
        match found {
            Some(Ok(url)) => check_backend(&url),
            Some(Err(error)) => typed.check_message(&error.to_string()),
            None => {}
        }
    }
    http_proxy(&typed);
    time_range(
        typed.value("last_hours"),
        typed.value("start_time"),
        typed.value("end_time"),
    );
    if let Some(name) = typed.value("username") {
        user_name(name);
    }
    if let Some(text) = typed.value("api_key") {
        key(text);
    }
}

fn check_backend(url: &BackendUrl) {
    assert!(!url.host.is_empty() && !url.host.contains(['[', ']', '/', '@']));
    assert!(url.authority.contains(&url.host));
    for path in [&url.prefix, &url.v1] {
        assert!(!path.ends_with('/'), "{url:?}");
        assert!(path.is_empty() || path.starts_with('/'), "{url:?}");
    }
    let in_request_line = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(
        in_request_line(&url.prefix) && in_request_line(&url.v1) && in_request_line(&url.authority),
        "{url:?}"
    );
    let text = url.to_string();
    let again = if url.variable == BASE_URL {
        BackendUrl::of_base(&text)
    } else {
        text.parse()
    };
    let again = again.expect("what was accepted, is again");
    // A backend URL with `/v1/v1` loses one `/v1` each time.
    if url.variable == BASE_URL || !url.prefix.ends_with("/v1") {
        assert_eq!(again, *url);
    }
}

fn http_proxy(typed: &Typed<'_>) {
    for backend in [
        "http://api.corp.example:8080",
        "https://[::1]",
        "http://10.1.2.3/v1",
    ] {
        let backend: BackendUrl = backend.parse().expect("a good URL");
        let found = HttpProxy::for_backend(&backend, |name| {
            typed.value(&name.to_ascii_uppercase()).map(str::to_owned)
        });
        match found {
            Ok(None) => {}
            Ok(Some(proxy)) => {
                assert!(!proxy.host.is_empty());
                let header = proxy.authorization.unwrap_or_default();
                assert!(!header.contains(char::is_control));
            }
            Err((_, problem)) => typed.check_message(&problem),
        }
    }
}

fn time_range(last_hours: Option<&str>, start_time: Option<&str>, end_time: Option<&str>) {
    match TimeRange::parse(last_hours, start_time, end_time, NOW_MS) {
        Ok(range) => {
            assert_eq!(
                range.start_ms().is_some(),
                start_time.or(last_hours).is_some()
            );
            assert_eq!(range.end_ms().is_some(), end_time.is_some());
            if let (Some(start), Some(end)) = (range.start_ms(), range.end_ms()) {
                // Two instants within one millisecond have no whole one between them.
                assert!(start <= end + 1, "{range:?}");
            }
            for ms in [range.start_ms(), range.end_ms()].into_iter().flatten() {
                let text = format_utc(ms);
                let again = TimeRange::parse(None, Some(&text), None, NOW_MS);
                assert_eq!(again.map(|range| range.start_ms()), Ok(Some(ms)), "{text}");
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains(error.field()) && !message.contains(char::is_control));
            assert!(error != TimeError::Combined || last_hours.is_some());
        }
    }
}

fn user_name(text: &str) {
    if let Ok(name) = UserName::parse(text) {
        let name = name.as_str();
        assert!(text.contains(name) && name.trim() == name);
        assert!((1..=128).contains(&name.chars().count()));
        assert!(!name.contains(char::is_control));
        assert_eq!(
            UserName::parse(name).as_ref().map(UserName::as_str),
            Ok(name)
        );
    }
}

fn key(text: &str) {
    let key = ApiKey::from_text(text);
    assert_eq!(key.hash(), ApiKey::hash_of(text.as_bytes()));
    let masked = key.masked();
    assert!(masked.chars().count() <= 14 || key.is_masked(), "{masked}");
    assert!(masked != text || key.is_masked());
    assert_eq!(ApiKey::from_text(masked.clone()).masked(), masked);
    if let Some(token) = bearer(format!("Bearer {text}").as_bytes()) {
        assert_eq!(token, text.as_bytes().trim_ascii());
        assert!(!token.is_empty() && !token.contains(&b' '));
    }
}
