//! Refuses queries that would change the method or path, or name a stored object. Some frameworks
//! take the parameters of a query for members of the body, where they would have been looked at.

use actix_web::http::StatusCode;
use percent_encoding::percent_decode;

use super::references;
use crate::json::LooseName;
use crate::proxy::{
    error::ApiError,
    request,
    routes::{Body, Endpoint},
};

/// Names that the lists of APIs and frameworks have for where a page begins or ends, compared by
/// their letters alone. Only `after` and `before` in their exact spelling are looked up.
const CURSORS: [&str; 38] = [
    "after",
    "after_cursor",
    "after_id",
    "before",
    "before_cursor",
    "before_id",
    "continuation",
    "continuation_token",
    "cursor",
    "end_before",
    "end_cursor",
    "end_id",
    "ending_before",
    "exclusive_start_key",
    "first_id",
    "from_id",
    "last_id",
    "marker",
    "max_id",
    "min_id",
    "next",
    "next_cursor",
    "next_marker",
    "next_page",
    "next_page_token",
    "next_token",
    "offset",
    "page",
    "page_cursor",
    "page_token",
    "previous_cursor",
    "since_id",
    "skip",
    "skip_token",
    "start_after",
    "start_cursor",
    "start_id",
    "starting_after",
];

/// Checks the names of a query's parameters.
///
/// # Errors
/// 400 for a parameter that would override the method or the path; for one that would name a stored
/// object, unless the endpoint is one of the operator's own; and for a list's cursor under another
/// name than `after` and `before`, which alone are looked up.
pub fn check(query: &str, endpoint: &Endpoint) -> Result<(), ApiError> {
    if query.is_empty() {
        return Ok(());
    }
    let (is_extra, is_list) = (endpoint.body == Body::Any, endpoint.is_list());
    // Older servers separate parameters by semicolons. Cursors are not looked up after one.
    for (place, parameter) in query
        .split('&')
        .flat_map(|part| part.split(';').enumerate())
    {
        let name = parameter.split('=').next().unwrap_or_default();
        let is_looked_up = place == 0 && matches!(name, "after" | "before");
        if name.is_empty() {
            continue;
        }
        // The name is decoded twice, because a server behind the backend may decode it once more.
        let once: Vec<u8> = percent_decode(name.replace('+', " ").as_bytes()).collect();
        let twice: Vec<u8> = percent_decode(&once).collect();
        for name in [&once, &twice] {
            if request::is_override(name) {
                return Err(request::refused_override());
            }
            let name = String::from_utf8_lossy(name);
            if is_list && !is_looked_up && is_cursor(&name) {
                return Err(refused(
                    &name,
                    "is not a parameter of this list. Its pages are asked for with `after` and `limit`.",
                ));
            }
            if !is_extra && references::is_of_query(&name) {
                return Err(refused(
                    &name,
                    "names a stored object; send it in the body or the path, not in the query.",
                ));
            }
        }
    }
    Ok(())
}

/// Returns the 400 for a parameter, and says why it is refused.
fn refused(name: &str, why: &str) -> ApiError {
    let name = request::clean_text(name);
    let message = format!("`{name}` {why}");
    ApiError::invalid_request(StatusCode::BAD_REQUEST, None, message).with_param(name)
}

/// Returns whether a parameter is a list's cursor under some name.
fn is_cursor(name: &str) -> bool {
    let is_known = |part: &str| {
        let loose = LooseName::of(part.as_bytes());
        CURSORS.iter().any(|cursor| loose.is(cursor))
    };
    // The keys of metadata are the users' own.
    !name.starts_with("metadata[") && name.split(['[', ']', '.']).any(is_known)
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;

    use super::ApiError;
    use crate::proxy::routes::{Endpoints, Stateful};

    fn check_at(query: &str, path: &str) -> Result<(), ApiError> {
        let endpoints = Endpoints::with_extra("/v1/extra").unwrap();
        let endpoints = endpoints.with_stateful(Stateful::Private);
        let found = endpoints.find(&Method::GET, path).unwrap();
        super::check(query, &found.endpoint)
    }

    /// Checks a query of an endpoint of OpenAI's, or of the operator's own.
    fn check(query: &str, is_extra: bool) -> Result<(), ApiError> {
        let path = if is_extra {
            "/v1/extra"
        } else {
            "/v1/responses/resp_1"
        };
        check_at(query, path)
    }

    #[test]
    fn a_list_takes_cursors_to_the_letter_only() {
        for path in [
            "/v1/files",
            "/v1/batches",
            "/v1/chat/completions",
            "/v1/chat/completions/chatcmpl-1/messages",
            "/v1/vector_stores/vs_1/files",
            "/v1/vector_stores/vs_1/file_batches/vsfb_1/files",
            "/v1/containers/cntr_1/files",
            "/v1/conversations/conv_1/items",
            "/v1/responses/resp_1/input_items",
        ] {
            let sdk =
                "after=x&before=y&limit=5&order=asc&purpose=batch&metadata[after]=b&include[]=c";
            assert!(check_at(sdk, path).is_ok(), "{path}");
            for name in [
                "After",
                "AFTER",
                "after[]",
                "after[0]",
                "page%5Bafter%5D",
                "a%66ter_id",
                "a%66ter",
                "%2561fter",
                "limit=5;after",
                "page",
                "offset",
                "last_id",
                "starting_after",
                "endingBefore",
                "cursor",
                "page-token",
                "nextToken",
            ] {
                assert!(
                    check_at(&format!("{name}=x"), path).is_err(),
                    "{path} {name}"
                );
            }
        }
        for path in [
            "/v1/responses/resp_1",
            "/v1/files/file-1/content",
            "/v1/models",
        ] {
            assert!(
                check_at("starting_after=5&cursor=x", path).is_ok(),
                "{path}"
            );
        }
    }

    #[test]
    fn a_query_of_an_sdk_passes() {
        for query in [
            "",
            "limit=10&after=file-1&order=desc&purpose=batch",
            "include[]=file_search_call.results&stream=true&starting_after=5",
            "api-version=2025-01-01-preview",
            "model=gpt-realtime&intent=transcription",
            "beta=true",
            "&&=x&",
        ] {
            assert!(check(query, false).is_ok(), "{query}");
        }
        assert!(check("file_id=x", true).is_ok());
    }

    #[test]
    fn an_override_or_a_reference_is_refused() {
        for query in [
            "_method=PUT",
            "x=1;_method=PUT",
            "+method=PUT",
            "%2565=1&%255Fmethod",
            "X-HTTP-Method=PUT",
        ] {
            assert!(check(query, true).is_err(), "{query}");
        }
        for query in [
            "fileId=x",
            "a&file+id=x",
            "conversation[id]=x",
            "video.video_id=x",
            "vector_store_ids%5B%5D=x",
        ] {
            assert!(check(query, false).is_err(), "{query}");
        }
    }
}
