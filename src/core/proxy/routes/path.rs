//! The rule for paths: only a path that every server reads the same way is served.

use percent_encoding::percent_decode_str;

/// Returns whether a path is another one or lies below it.
pub(super) fn is_below(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether every server reads the path the same way: no empty, `.` or `..` segment, however
/// written, and none before a parameter (some servers cut `;…` off), no backslash, no control byte,
/// no encoded dot, nothing that is encoded twice or badly, and no dot or slash in another form. A
/// slash may be encoded between the parts of a model's name, as SDKs send it.
pub(super) fn is_unambiguous(path: &str) -> bool {
    if !path.split('%').skip(1).all(is_plain_escape) {
        return false;
    }
    // If a server behind the backend decodes once more, it finds nothing to decode.
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    [path.as_bytes(), &decoded].into_iter().all(|form| {
        let segments_ok = form
            .split(|byte| *byte == b'/')
            .skip(1)
            .map(|segment| {
                segment
                    .split(|byte| *byte == b';')
                    .next()
                    .unwrap_or(segment)
            })
            // Windows ignores blanks and dots at the end of a name.
            .all(|name| !name.iter().all(|byte| b" .".contains(byte)));
        // Bytes that are not UTF-8 may be an overlong `.` or `/`, which some servers read as one.
        let bytes_ok = std::str::from_utf8(form).is_ok_and(|text| {
            !text.contains(|c: char| c == '\\' || c.is_control() || is_of_other_form(c))
        });
        segments_ok && bytes_ok
    })
}

/// Returns whether a percent sign is followed by two digits that stand for neither a dot nor
/// another percent sign.
fn is_plain_escape(rest: &str) -> bool {
    let digits = rest.as_bytes().get(..2);
    digits.is_some_and(|digits| {
        digits.iter().all(u8::is_ascii_hexdigit) && !matches!(digits, [b'2', b'e' | b'E' | b'5'])
    })
}

/// Returns whether a character may become a dot, a slash, a backslash or a percent sign on its way:
/// by Unicode's compatibility decomposition (NFKC), as in a host's name (RFC 3490 section 3.1), or
/// by the nearest character of an older encoding.
fn is_of_other_form(c: char) -> bool {
    matches!(
        c,
        '\u{2024}'..='\u{2026}' | '\u{ff0e}' | '\u{fe52}' | '\u{fe19}' | '\u{fe30}' | '\u{3002}' | '\u{ff61}' | '\u{2488}'..='\u{249b}'
            | '\u{1f100}' | '\u{33c2}' | '\u{33c7}' | '\u{33d8}'
            // Slashes.
            | '\u{ff0f}' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}'
            // Backslashes. Japanese and Korean encodings have the yen and the won sign in its
            // place.
            | '\u{ff3c}' | '\u{fe68}' | '\u{2216}' | '\u{29f5}' | '\u{29f9}' | '\u{a5}' | '\u{ffe5}' | '\u{20a9}' | '\u{ffe6}'
            | '\u{fe6a}' | '\u{ff05}'
    )
}

/// Returns a path as a careless server may read it: decoded twice, in lower case, without
/// parameters and `/v1`.
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
