//! The type of a body: JSON in UTF-8, a form with one boundary, or another. A request's type that
//! servers could read in two ways is refused; a parser that accepts all valid types, such as the
//! crate `mime`, would not tell these apart.

use actix_web::http::{
    StatusCode,
    header::{self, HeaderMap},
};

use super::parameters::{assignments_of, parameters};
use crate::proxy::error::ApiError;

/// Returns the type of a body without its parameters, in the case in which it is written. Empty if
/// the headers give none.
#[must_use]
pub fn essence_of(headers: &HeaderMap) -> &[u8] {
    let content_type = headers.get(header::CONTENT_TYPE);
    let essence = content_type.and_then(|value| value.as_bytes().split(|b| *b == b';').next());
    essence.unwrap_or_default().trim_ascii()
}

/// Returns whether a body is JSON by its type. Without a type it is taken for JSON, as most servers
/// do.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return true;
    }
    let essence = essence_of(headers).to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

/// Checks the type of a body that is read as JSON. Without a type it is taken for JSON.
///
/// # Errors
/// 415 for another type, for several of them, and for an encoding other than UTF-8.
pub fn check_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut types = headers.get_all(header::CONTENT_TYPE);
    match (types.next(), types.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if is_json_in_utf_8(only.as_bytes()) => Ok(()),
        _ => Err(unsupported(
            "Send this request as JSON in UTF-8, with one `Content-Type: application/json`.",
        )),
    }
}

/// Checks the type of a body that is read as a form.
///
/// # Errors
/// 415 for another type, or for one that could be read in two ways.
pub fn check_form(headers: &HeaderMap) -> Result<(), ApiError> {
    check_one(headers)?;
    let only = headers.get(header::CONTENT_TYPE);
    if only.is_some_and(|only| boundary(only.as_bytes()).is_some()) {
        return Ok(());
    }
    Err(unsupported(
        "Send this request as multipart/form-data with one boundary, or as JSON.",
    ))
}

/// Checks the type of a body that an operator's own endpoint takes as it comes.
///
/// # Errors
/// 415 for several types, and for a form that cannot be looked into.
pub fn check_any(headers: &HeaderMap) -> Result<(), ApiError> {
    check_one(headers)?;
    let only = headers.get(header::CONTENT_TYPE);
    let is_form = only.is_some_and(|only| {
        let lower = only.as_bytes().to_ascii_lowercase();
        memchr::memmem::find(&lower, b"multipart/form-data").is_some()
    });
    if is_form { check_form(headers) } else { Ok(()) }
}

fn check_one(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut options = headers
        .get_all(header::CONNECTION)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    // A header that `Connection` names does not go on, so that the body would arrive without its
    // type.
    let is_named = options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"content-type"));
    if is_named || headers.get_all(header::CONTENT_TYPE).nth(1).is_some() {
        return Err(unsupported(
            "Send one Content-Type only, and do not name it in Connection.",
        ));
    }
    Ok(())
}

fn unsupported(message: &'static str) -> ApiError {
    ApiError::invalid_request(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Some("unsupported_media_type"),
        message,
    )
}

fn is_json_in_utf_8(content_type: &[u8]) -> bool {
    if content_type == b"application/json" {
        return true;
    }
    let Some((text, (essence, parameters))) = std::str::from_utf8(content_type)
        .ok()
        .and_then(|text| Some((text, parameters(text)?)))
    else {
        return false;
    };
    let essence = essence.to_ascii_lowercase();
    let is_of_subtype = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    let is_json = essence.strip_prefix("application/").is_some_and(|subtype| {
        (subtype == "json" || subtype.ends_with("+json")) && subtype.bytes().all(is_of_subtype)
    });
    is_json && says_utf_8(text, &parameters)
}

/// Returns whether no reader finds another `charset` than UTF-8. Django decodes the names of a form
/// with it, Express the whole body.
fn says_utf_8(content_type: &str, parameters: &[(&str, &str)]) -> bool {
    let mut charsets = parameters
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let is_utf_8 = |value: &str| {
        ["utf-8", "utf8"]
            .iter()
            .any(|known| value.eq_ignore_ascii_case(known))
    };
    let count = match (charsets.next(), charsets.next()) {
        (None, _) => 0,
        (Some((_, value)), None) if is_utf_8(value) => 1,
        _ => return false,
    };
    assignments_of("charset", content_type) == count
}

/// Returns the boundary of a form (RFC 2046 section 5.1.1: 1 to 70 characters), or `None` if the
/// type is no form with one boundary.
pub fn boundary(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (essence, parameters) = parameters(text)?;
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    // Some servers look for semicolons before quotes, or only for the word, and would find one
    // inside of another parameter.
    if assignments_of("boundary", text) > 1 || !says_utf_8(text, &parameters) {
        return None;
    }
    let mut boundaries = parameters
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("boundary"));
    match (boundaries.next(), boundaries.next()) {
        (Some((name, value)), None)
            if name.eq_ignore_ascii_case("boundary")
                && (1..=70).contains(&value.len())
                && value.bytes().all(is_of_boundary) =>
        {
            Some((*value).to_owned())
        }
        _ => None,
    }
}

/// Returns whether a byte may be in a boundary (RFC 2046 section 5.1.1, without the blank).
fn is_of_boundary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_boundary_or_charset_in_another_parameter_is_refused() {
        for hidden in [
            "foo=\"a; boundary=y\"; boundary=x",
            "foo=\";Boundary=y\";boundary=x",
            "boundary=x; charset=utf-7",
            "boundary=x; charset=utf-8; charset=utf-7",
            "boundary=x; foo=\"; charset=utf-7\"",
            "boundary=x; charset*=utf-7",
            "boundary=\"x \"",
            "boundary=\"x\ty\"",
        ] {
            let content_type = format!("multipart/form-data; {hidden}");
            assert_eq!(boundary(content_type.as_bytes()), None, "{hidden}");
        }
    }

    #[test]
    fn json_in_utf_8_is_known() {
        for text in [
            "application/json",
            "Application/JSON",
            "application/json;",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; version=1; charset=utf8",
            "application/vnd.api+json",
        ] {
            assert!(is_json_in_utf_8(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "json",
            "text/json",
            "application/json5",
            "application/json, text/plain",
            "application/x,application/json",
            "text/plain;+json",
            "a/b, application/x+json",
            "application/json; charset=",
            "application/json; charset=utf-7",
            "application/json; charset=utf-8 ; charset=utf-7",
            "application/json; charset =utf-7",
            "application/json; \"charset\"=utf-7",
            "application/json; x=\"y; charset=utf-7\"",
            "application/json; x-charset=utf-7",
            "application/json; charset*0=utf-7",
        ] {
            assert!(!is_json_in_utf_8(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn boundaries_of_all_programs_are_taken() {
        for of_program in [
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "-WebkitFormBoundary0123456789abcdef0123456789abcdef",
            "----geckoformboundary6c1ac0c0a2d8c3b1f5f6c7d8e9f0a1b2",
            "---------------------------974767299852498929531610575",
            "------------------------d74496d66958873e",
            "dart-http-boundary-Kk3yJm5LRL8O1pB.2MQ8.pZ1yIhXhVLK2rCUcyQpTTyRpN0",
            "Boundary-6E0F1D9B-2C5A-4A6F-9E0C-3B8A5D1C7F42",
            "MyBoundary123",
            "boundary",
            "c3ff37d4a0a34d36b28e7f3d0d9c4d1e",
        ] {
            for (before, after) in [("", ""), ("\"", "\""), ("", "; charset=utf-8")] {
                let content_type =
                    format!("multipart/form-data; boundary={before}{of_program}{after}");
                assert_eq!(
                    boundary(content_type.as_bytes()).as_deref(),
                    Some(of_program),
                    "{content_type}"
                );
            }
        }
    }

    /// Returns the boundaries that lenient servers find.
    fn boundaries_read_leniently(content_type: &str) -> Vec<String> {
        let lower = content_type.to_ascii_lowercase();
        let unquoted = |value: &str| {
            let value = value.split(';').next().unwrap_or_default().trim();
            value.trim_matches('"').to_owned()
        };
        let of_word = lower.match_indices("boundary=");
        let of_word = of_word.map(|(at, word)| unquoted(&content_type[at + word.len()..]));
        let pieces = content_type
            .split(';')
            .filter_map(|piece| piece.split_once('='));
        let of_pieces = pieces
            .filter(|(name, _)| name.trim().to_ascii_lowercase().starts_with("boundary"))
            .map(|(_, value)| unquoted(value));
        of_word.chain(of_pieces).collect()
    }

    proptest! {
        #[test]
        fn an_accepted_form_has_one_boundary_for_every_reader(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "boundary=", "boundary", "Boundary =", "boundary*0=", "; ", ";", "\"", "=", "x", "-1", "xboundary=a", "charset=",
            ]), 0..12),
        ) {
            let content_type = format!("multipart/form-data; {}", pieces.concat());
            if let Some(taken) = boundary(content_type.as_bytes()) {
                for read in boundaries_read_leniently(&content_type) {
                    prop_assert_eq!(&read, &taken, "{}", &content_type);
                }
            }
        }
    }
}
