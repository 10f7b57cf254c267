//! The grammar of headers with parameters, as all programs write them: `Content-Type`, and the
//! `Content-Disposition` of a form's part. A parameter that is read here must be read the same by
//! every server.

/// White space within a header (RFC 9110 section 5.6.3). Unicode has more characters that some
/// servers take for it.
const BLANKS: [char; 2] = [' ', '\t'];

fn trimmed(text: &str) -> &str {
    text.trim_matches(BLANKS)
}

/// Returns a header's value and its parameters (RFC 9110 section 5.6.6), or `None` if they are
/// written in an unusual way.
pub fn parameters(value: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (first, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut found = Vec::new();
    rest = trimmed(rest);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            let (value, after) = quoted.split_once('"')?;
            // A reader that knows no escapes ends the string at an escaped quote.
            if !value.ends_with('\\') {
                (value, after)
            } else if name.eq_ignore_ascii_case("filename") && is_last_and_escaped(quoted) {
                (quoted, "")
            } else {
                return None;
            }
        } else {
            let end = after.find(';').unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            let value = trimmed(value);
            if value.is_empty() || value.contains(['"', ' ', '\t', '=']) {
                return None;
            }
            (value, after)
        };
        found.push((name, value));
        let after = after.trim_start_matches(BLANKS);
        rest = match after.strip_prefix(';') {
            Some(rest) => trimmed(rest),
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some((trimmed(first), found))
}

/// Returns whether a file name, after its opening quote, ends the header and has its quotes and
/// backslashes escaped (RFC 9110 section 5.6.4), as Go's `mime/multipart` writes them. For readers
/// that know no escapes (the WHATWG's way of writing forms) it ends at the first quote, and the
/// rest would be parameters; so there must be none in it, and nothing that could be taken for the
/// beginning of one.
fn is_last_and_escaped(quoted: &str) -> bool {
    let mut is_escaped = false;
    let mut was_escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b';' | b'=' if was_escaped => return false,
            _ if is_escaped => is_escaped = false,
            b'\\' => (is_escaped, was_escaped) = (true, true),
            b'"' => return trimmed(&quoted[at + 1..]).is_empty(),
            _ => {}
        }
    }
    false
}

/// Returns how often a reader could find a value assigned to a parameter, as `name=`, `name *0 =`
/// (RFC 2231) or the end of a longer name. The name alone assigns nothing: it is a part of many
/// programs' boundaries.
pub fn assignments_of(parameter: &str, text: &str) -> usize {
    let text = text.to_ascii_lowercase();
    let is_between = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == '*';
    text.match_indices(parameter)
        .map(|(at, word)| text[at + word.len()..].trim_start_matches(is_between))
        .filter(|rest| rest.starts_with('='))
        .count()
}
