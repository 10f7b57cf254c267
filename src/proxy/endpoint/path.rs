//! The rule for paths: only what every server reads the same way is served.

use percent_encoding::percent_decode_str;

/// Whether a path is another one or lies below it.
pub(super) fn is_below(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether every server reads the path the same: no empty, `.` or `..` segment, however written, also not in front of a
/// parameter (some servers cut `;…` off), no backslash, no control byte.
pub(super) fn is_unambiguous(path: &str) -> bool {
    // Twice: a server behind the backend may decode once more.
    let once: Vec<u8> = percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    [path.as_bytes(), &once, &twice].into_iter().all(|form| {
        let segments_ok = form
            .split(|byte| *byte == b'/')
            .skip(1)
            .map(|segment| {
                segment
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or(segment)
            })
            .all(|name| !matches!(name, b"" | b"." | b".."));
        // Not UTF-8 may be an overlong `.` or `/`, which some servers read as one.
        let bytes_ok = std::str::from_utf8(form)
            .is_ok_and(|text| text.chars().all(|c| c != '\\' && !c.is_control()));
        segments_ok && bytes_ok
    })
}

/// A path as a careless server may read it: decoded twice, in lower case, without parameters and `/v1`.
pub(super) fn as_read_carelessly(path: &str) -> String {
    let once: Vec<u8> = percent_decode_str(path).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    let plain = String::from_utf8_lossy(&twice).to_ascii_lowercase();
    let plain = plain.strip_prefix("/v1").unwrap_or(&plain);
    let segments = plain
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or(segment));
    segments.collect::<Vec<_>>().join("/")
}
