use super::*;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

/// Returns the endpoints with stored objects closed.
fn off(extra: &str) -> Endpoints {
    let endpoints = Endpoints::with_extra(extra).unwrap();
    endpoints.with_stateful(Stateful::Off)
}

fn find<'p>(method: &Method, path: &'p str) -> Result<Route<'p>, ApiError> {
    off("").find(method, path)
}

fn served(path: &str) -> bool {
    find(&Method::GET, path).is_ok()
}

#[test]
fn extra_endpoints_are_served_with_any_method_and_only_they() {
    let endpoints = Endpoints::with_extra(" /v1/rerank, /v1/score/*,/tokenize").unwrap();
    let served = |method: &Method, path: &str| endpoints.find(method, path).is_ok();
    assert!(served(&Method::POST, "/v1/rerank") && served(&Method::GET, "/tokenize"));
    assert!(served(&Method::PUT, "/v1/score/a/b"));
    for path in [
        "/v1/score",
        "/v1/score/",
        "/v1/score/../admin",
        "/v1/reranker",
        "/v2",
    ] {
        assert!(!served(&Method::POST, path), "{path}");
    }
}

#[test]
fn no_setting_opens_what_stays_closed() {
    let endpoints = off("/v1/*");
    for path in [
        "/v1/files",
        "/v1/files/file-1/content",
        "/v1/%66iles/x",
        "/v1/%2566iles/x",
        "/v1/FILES",
        "/files/x",
        "/v1/files;a=b",
        "/v1/responses/resp_1",
        "/v1/realtime/client_secrets",
        "/v1/organization/costs",
        "/v1/chatkit/sessions",
    ] {
        assert!(endpoints.find(&Method::POST, path).is_err(), "{path}");
        assert!(
            Endpoints::with_extra(path.split(';').next().unwrap()).is_err(),
            "{path}"
        );
    }
    assert!(endpoints.find(&Method::POST, "/v1/filesystem").is_ok());
    assert!(endpoints.find(&Method::POST, "/v1/responses").is_ok());
    assert!(
        endpoints
            .find(&Method::POST, "/v1/responses/compact")
            .is_ok()
    );
    for path in [
        "v1/x", "/", "*", "/admin/x", "/health", "/ready", "/metrics", "/v1/../x", "/v1/*/x",
        "/v1?x",
    ] {
        assert!(Endpoints::with_extra(path).is_err(), "{path}");
    }
}

#[test]
fn stored_objects_need_the_setting_and_report_their_ids() {
    let private = Endpoints::default();
    for (method, path, ids) in [
        (Method::GET, "/v1/files", &[][..]),
        (Method::POST, "/v1/files", &[]),
        (Method::DELETE, "/v1/responses/resp_1", &["resp_1"]),
        (
            Method::GET,
            "/v1/vector_stores/vs_1/files/file-2/content",
            &["vs_1", "file-2"],
        ),
        (
            Method::GET,
            "/v1/containers/cntr_1/files/cfile_2",
            &["cntr_1"],
        ),
        (Method::POST, "/v1/videos/edits", &[]),
        (
            Method::GET,
            "/v1/chat/completions/chatcmpl-1/messages",
            &["chatcmpl-1"],
        ),
        (Method::GET, "/v1/chat/completions", &[]),
        (Method::GET, "/v1/videos/characters/char_1", &["char_1"]),
    ] {
        let found = private.find(&method, path).unwrap();
        let found_ids: Vec<&str> = found.ids.iter().map(|(_, id)| *id).collect();
        assert_eq!(found_ids, ids, "{path}");
        let closed = find(&method, path).unwrap_err();
        assert!(
            closed.to_string().contains("STATEFUL_ENDPOINTS"),
            "{path}: {closed}"
        );
    }
    let refused =
        |method: &Method, path: &str| private.find(method, path).unwrap_err().status().as_u16();
    for path in [
        "/v1/files/..",
        "/v1/files/%2e%2e",
        "/v1/files/a%2Fb",
        "/v1/files//content",
        "/v1/files/a/b",
        "/v1/files/",
        "/v1/%66iles",
        "/v1/organization/users",
        "/v1/threads/thread_1",
        "/v1/realtime/client_secrets",
    ] {
        assert_eq!(refused(&Method::GET, path), 404, "{path}");
    }
    let put = private.find(&Method::PUT, "/v1/files/file-1").unwrap_err();
    assert_eq!(put.status(), 405);
    assert!(put.to_string().contains("GET and DELETE"), "{put}");
}

#[test]
fn the_path_of_an_object_is_known_from_those_below_it() {
    let private = Endpoints::default();
    for (path, is_of_object) in [
        ("/v1/files/file-1", true),
        ("/v1/videos/characters/char_1", true),
        ("/v1/files", false),
        ("/v1/files/file-1/content", false),
        ("/v1/vector_stores/vs_1/files/file-1", false),
        ("/v1/containers/cntr_1/files/cfile_1", false),
        ("/v1/models/gpt-4.1", false),
    ] {
        let found = private.find(&Method::GET, path).unwrap();
        assert_eq!(found.endpoint.is_of_object(), is_of_object, "{path}");
    }
}

#[test]
fn models_are_served_with_slashes_and_colons_in_their_names() {
    for path in [
        "/v1/models",
        "/v1/models/gpt-4.1",
        "/v1/models/org/model",
        "/v1/models/org%2Fmodel",
        "/v1/models/ft:gpt:x::1",
        "/v1/models/org%2fmodel-1.5",
        "/v1/models/%E6%A8%A1%E5%9E%8B",
        "/v1/models/a%20b",
    ] {
        assert!(served(path), "{path}");
    }
}

#[test]
fn paths_that_can_be_read_in_two_ways_are_not_served() {
    for path in [
        "/v1/models/",
        "/v1/models/a//b",
        "/v1/models/../admin",
        "/v1/models/./a",
        "/v1/models/%2e%2e/admin",
        "/v1/models/%2E%2E%2Fadmin",
        "/v1/models/a%2F%2Fb",
        "/v1/models/%252e%252e%252fadmin",
        "/v1/models/..%5cadmin",
        "/v1/models/..;x/admin",
        "/v1/models/a/%2e%2e%3b/admin",
        "/v1/models/%c0%ae%c0%ae/admin",
        "/v1/models/gpt-4%2e1",
        "/v1/models/gpt-4%2E1",
        "/v1/models/gpt-4%252e1",
        "/v1/models/a%252Fb",
        "/v1/models/a%2F",
        "/v1/models/%2Fa",
        "/v1/models/a%5Cb",
        "/v1/models/a%255cb",
        "/v1/models/%u002e%u002e/files",
        "/v1/models/a%",
        "/v1/models/a%2",
        "/v1/models/..%20/files",
        "/v1/models/.../files",
        "/v1/models/\u{ff0e}\u{ff0e}/files",
        "/v1/models/\u{2025}\u{2215}files",
        "/v1/models/%EF%BC%8E%EF%BC%8E%EF%BC%8Ffiles",
        "/v1/models/%E2%80%A5/files",
        "/v1/models/%E2%80%A4%E2%80%A4/files",
        "/v1/models/a%E2%88%95b",
        "/v1/models/a%E2%81%84b",
        "/v1/models/a%EF%BC%BCb",
        "/v1/models/a%E3%80%82b",
        "/v1/models/a%C2%A5b",
        "/v1/models/a%EF%BC%852eb",
        "/v1/models/a%25EF%25BC%258Eb",
        "/v1/models/a%00",
        "/v1/models/a%0d%0ab",
        "//v1/models",
        "/V1/models",
        "/v1/models;x=1",
        "/v1/model%73",
    ] {
        assert!(!served(path), "{path}");
    }
}

#[test]
fn the_list_of_stored_chat_completions_is_closed_as_they_are() {
    let all = off("/v1/*");
    for endpoints in [&off(""), &all] {
        for path in [
            "/v1/chat/completions",
            "/v1/chat/completions/x",
            "/v1/responses",
        ] {
            let error = endpoints.find(&Method::GET, path).unwrap_err();
            assert_eq!(error.status(), 404, "{path}");
            assert!(error.to_string().contains("closed"), "{path}");
        }
    }
    assert!(all.find(&Method::GET, "/v1/chat/complet%69ons").is_err());
    assert!(all.find(&Method::POST, "/v1/chat/completions").is_ok());
}

#[test]
fn another_method_is_405() {
    let error = find(&Method::GET, "/v1/completions").unwrap_err();
    assert_eq!(error.status(), 405);
    assert_eq!(
        find(&Method::DELETE, "/v1/models/x").unwrap_err().status(),
        405
    );
}

proptest! {
    #[test]
    fn a_served_path_has_no_dot_segment_when_decoded(tail in "[a%2eEfF/.5cC0]{0,12}") {
        let path = format!("/v1/models/{tail}");
        if served(&path) {
            let decoded: Vec<u8> = percent_decode_str(&path).collect();
            prop_assert!(decoded.split(|b| *b == b'/').all(|segment| segment != b".." && segment != b"."));
        }
    }

    #[test]
    fn a_served_path_stays_where_it_is_however_it_is_read(
        pieces in prop::collection::vec(prop::sample::select(vec!["..", "%2e", "%252E", "/", "%2f", "%5c", "\\\\", ";x", "%3B", "admin", "%c0%ae", "a"]), 0..8),
    ) {
        crate::properties::path(pieces.concat().as_bytes());
    }
}
