//! What no query may say: another method or path, or a stored object. Some frameworks take the parameters of a query for
//! fields of the body, where such a thing would have been looked at.

use actix_web::http::StatusCode;
use percent_encoding::percent_decode;

use super::{ApiError, references, request};

/// Checks the names of a query's parameters.
///
/// # Errors
/// 400 for a parameter that would override the method or the path, or, unless the endpoint is one of the operator's own, that
/// would name a stored object.
pub(super) fn check(query: &str, is_extra: bool) -> Result<(), ApiError> {
    // Older servers separate parameters by semicolons.
    for parameter in query.split(['&', ';']) {
        let name = parameter.split('=').next().unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        // Twice: a server behind the backend may decode once more.
        let once: Vec<u8> = percent_decode(name.replace('+', " ").as_bytes()).collect();
        let twice: Vec<u8> = percent_decode(&once).collect();
        for name in [&once, &twice] {
            if request::is_override(name) {
                return Err(request::refused_override());
            }
            let name = String::from_utf8_lossy(name);
            if !is_extra && references::is_of_query(&name) {
                let name = request::clean_text(&name);
                return Err(ApiError::invalid_request(
                    StatusCode::BAD_REQUEST,
                    None,
                    format!("`{name}` names a stored object; send it in the body or the path, not in the query."),
                )
                .with_param(name));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

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
