//! The rule for paths: whatever a backend, or a server in front of it, makes of a served path, it
//! stays under `/v1`.

use actix_web::http::Method;
use percent_encoding::percent_decode;

use crate::model::RequestId;
use crate::proxy::{
    error::ErrorShape,
    routes::{Endpoints, Stateful},
};

/// A path that is served names its endpoint however often it is decoded, cut and resolved; all
/// others are 404 or 405.
pub fn path(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    // Ids below the others have a rule of their own.
    let endpoints = Endpoints::default().with_stateful(Stateful::Off);
    // The rule is mostly about what follows a prefix.
    for path in [
        text.clone().into_owned(),
        format!("/v1/models/{text}"),
        format!("/v1/{text}"),
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            match endpoints.find(&method, &path) {
                Ok(found) => check(&path, found.endpoint.path),
                Err(error) => {
                    assert!([404, 405].contains(&error.status().as_u16()), "{path:?}");
                    let _ = error.to_response(ErrorShape::OpenAi, RequestId::new(0));
                }
            }
        }
    }
}

fn check(path: &str, endpoint: &str) {
    match endpoint.strip_suffix('*') {
        Some(prefix) => assert!(path.len() > prefix.len() && path.starts_with(prefix)),
        None => assert_eq!(path, endpoint),
    }
    let once: Vec<u8> = percent_decode(path.as_bytes()).collect();
    let twice: Vec<u8> = percent_decode(&once).collect();
    for form in [path.as_bytes(), &once, &twice] {
        for slash in [
            form.to_vec(),
            replace(form, b"\\", b"/"),
            replace(form, b"\xc0\xaf", b"/"),
        ] {
            let slash = replace(&slash, b"\xc0\xae", b".");
            for cut in [slash.clone(), without_parameters(&slash)] {
                let resolved = resolve(&cut);
                assert!(
                    resolved == cut && (resolved.starts_with(b"/v1/")),
                    "{path:?} may be read as {:?}",
                    String::from_utf8_lossy(&resolved)
                );
            }
        }
    }
}

/// Removes dot segments (RFC 3986 section 5.2.4) and empty ones.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut resolved = vec![b'/'];
    resolved.extend(segments.join(&b'/'));
    resolved
}

/// Cuts `;…` off each segment, as servlet containers do.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let names: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or(b""))
        .collect();
    names.join(&b'/')
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut start = 0;
    for at in memchr::memmem::find_iter(bytes, from) {
        replaced.extend_from_slice(&bytes[start..at]);
        replaced.extend_from_slice(to);
        start = at + from.len();
    }
    replaced.extend_from_slice(&bytes[start..]);
    replaced
}
