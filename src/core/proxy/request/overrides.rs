//! Names by which some frameworks take a request for one of another method or path: Rails, Laravel
//! and Symfony read `_method` in a form or a query, and others take a parameter for a header.

use actix_web::http::StatusCode;

use crate::{json::LooseName, proxy::error::ApiError};

/// Names that override, with a mark before them or not.
const OVERRIDES: [&str; 6] = [
    "x_http_method_override",
    "x_http_method",
    "x_method_override",
    "x_original_url",
    "x_original_uri",
    "x_rewrite_url",
];
/// Names that override if they begin with a character other than a letter or a digit, as `_method`
/// does.
const MARKED: [&str; 6] = ["method", "http_method", "path", "url", "uri", "route"];

/// Returns whether a parameter, field or member of this name may override the method or the path.
/// PHP takes dots, blanks and brackets for underscores.
pub fn is_override(name: &[u8]) -> bool {
    let Some(mark) = name.first() else {
        return false;
    };
    // After a bracket comes a key of a list or map of this name.
    let end = name.iter().skip(1).position(|byte| *byte == b'[');
    let loose = LooseName::of(&name[..end.map_or(name.len(), |end| end + 1)]);
    let is_one_of = |known: &[&str]| known.iter().any(|known| loose.is(known));
    is_one_of(&OVERRIDES) || !mark.is_ascii_alphanumeric() && is_one_of(&MARKED)
}

/// Returns the 400 for a request with such a name.
pub fn refused() -> ApiError {
    ApiError::invalid_request(
        StatusCode::BAD_REQUEST,
        Some("override_not_supported"),
        "This request would override its method or path, which this proxy does not serve; send it with the method and path that \
         you mean.",
    )
}

#[cfg(test)]
mod tests {
    use super::is_override;

    #[test]
    fn overrides_are_known_by_their_names() {
        for name in [
            "_method",
            "_METHOD",
            "__method",
            "_Method[]",
            "_method[0]",
            ".method",
            " method",
            "[method",
            "_http_method",
            "X-HTTP-Method-Override",
            "xHttpMethodOverride",
            "x_method_override",
            "X-Original-URL",
            "_url",
        ] {
            assert!(is_override(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "method",
            "my_method",
            "path",
            "url",
            "_methods",
            "_metadata",
            "[a][method]",
            "x",
            "messages",
        ] {
            assert!(!is_override(name.as_bytes()), "{name}");
        }
    }
}
