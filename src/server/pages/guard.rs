//! What a request must have before it may change something: a cookie of ours, and signs that a page
//! of this server sent it.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap, HeaderValue},
};

use crate::proxy::error::ApiError;

/// The name of the session's cookie.
pub(super) const COOKIE: &str = "llmproxy_session";

/// Returns the id of the session that a request names.
pub(super) fn session_id(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE);
    let cookies = lines.filter_map(|line| line.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE && !value.is_empty()).then_some(value))
}

/// Returns the value of `Set-Cookie` for a session. The cookie has no end, so the browser forgets it
/// when it is closed. `None` stands for no session, and removes the cookie.
pub(super) fn session_cookie(headers: &HeaderMap, id: Option<&str>) -> Option<HeaderValue> {
    let secure = if is_behind_tls(headers) {
        "; Secure"
    } else {
        ""
    };
    let (id, end) = match id {
        Some(id) => (id, ""),
        None => ("", "; Max-Age=0"),
    };
    let cookie = format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{end}");
    HeaderValue::try_from(cookie).ok()
}

/// Returns whether the browser speaks TLS to whatever is in front of this server. The browser says
/// so itself with a form, and most reverse proxies do. A lie changes the liar's own cookie only.
fn is_behind_tls(headers: &HeaderMap) -> bool {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase()
    };
    text("origin").starts_with("https://")
        || text("x-forwarded-proto") == "https"
        || text("forwarded").contains("proto=https")
}

/// Checks that a page of this server sent a form. Browsers say which page sends a request in
/// `Sec-Fetch-Site` (over TLS and on this machine) or in `Origin`, and no page can change either.
///
/// # Errors
/// 403 if another page sent it, or if nothing says which one.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let only = |name: &str| {
        let mut values = headers.get_all(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value.to_str().unwrap_or_default()),
            (None, _) => None,
            _ => Some(""),
        }
    };
    let is_own = match (only("sec-fetch-site"), only("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            let host = only("host").filter(|host| !host.is_empty());
            match (authority, host) {
                (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
                _ => false,
            }
        }
        (None, None) => false,
    };
    if is_own {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "foreign_form",
        "Another page sent this form, or your browser does not say which one did. Nothing was changed. Open the page again and \
         send the form from there.",
    ))
}

/// Returns the error for a form without the value that a page of the session has.
pub(super) fn no_csrf() -> ApiError {
    ApiError::forbidden(
        "foreign_form",
        "This form is of an older session. Nothing was changed. Open the page again and send the form from there.",
    )
}

/// Checks that a body is a form.
///
/// # Errors
/// 415 for any other type.
pub(super) fn check_form(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let essence = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Ok(());
    }
    Err(ApiError::invalid_request(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Some("unsupported_media_type"),
        "The page takes forms only. Programs use the admin API, which takes JSON.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut request = TestRequest::get();
        for (name, value) in fields {
            request = request.append_header((*name, *value));
        }
        request.to_http_request().headers().clone()
    }

    #[test]
    fn a_form_must_come_from_a_page_of_this_server() {
        for own in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "http://box:8000"), ("host", "box:8000")],
            &[("origin", "https://llm.example"), ("host", "LLM.example")],
            // A reverse proxy may put its own name into Host.
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://llm.example"),
                ("host", "127.0.0.1:8000"),
            ],
        ] {
            assert!(check_origin(&headers(own)).is_ok(), "{own:?}");
        }
        for foreign in [
            &[][..],
            &[("host", "box:8000")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://box:8000"),
                ("host", "box:8000"),
            ],
            &[("origin", "null"), ("host", "box:8000")],
            &[("origin", "http://evil.example"), ("host", "box:8000")],
            &[
                ("origin", "http://box:8000.evil.example"),
                ("host", "box:8000"),
            ],
            &[("origin", "http://"), ("host", "")],
            &[
                ("origin", "http://box:8000"),
                ("origin", "http://box:8000"),
                ("host", "box:8000"),
            ],
        ] {
            assert!(check_origin(&headers(foreign)).is_err(), "{foreign:?}");
        }
    }

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let id = |cookie: &str| session_id(&headers(&[("cookie", cookie)])).map(str::to_owned);
        assert_eq!(id("a=b; llmproxy_session=12; c=d"), Some("12".to_owned()));
        assert_eq!(id("xllmproxy_session=12"), None);
        assert_eq!(id("llmproxy_session="), None);
    }

    #[test]
    fn a_cookie_is_for_tls_only_if_the_browser_speaks_it() {
        for (fields, is_secure) in [
            (&[][..], false),
            (&[("origin", "http://box:8000")], false),
            (&[("origin", "https://llm.example")], true),
            (&[("x-forwarded-proto", "https")], true),
            (&[("forwarded", "for=1.2.3.4;proto=https")], true),
        ] {
            assert_eq!(is_behind_tls(&headers(fields)), is_secure, "{fields:?}");
        }
    }
}
