//! The grammar of a form's headers: what all programs write, and only that. A parameter that is read here must be read so by
//! every server, above all a part's name.

/// What a part's head says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartHead {
    pub(super) name: String,
    pub(super) is_file: bool,
}

impl PartHead {
    pub(super) fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let head = String::from_utf8_lossy(head);
        let mut part = None;
        for line in head.split("\r\n") {
            if line.contains(['\r', '\n']) || line.starts_with([' ', '\t']) {
                return Err("has a part whose head's lines are broken in an unusual way");
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err("has a part whose head has a line without a colon");
            };
            if name.trim().eq_ignore_ascii_case("content-disposition")
                && part.replace(Self::of_disposition(value)?).is_some()
            {
                return Err("has a part with two Content-Dispositions");
            }
        }
        part.ok_or("has a part without a Content-Disposition")
    }

    fn of_disposition(value: &str) -> Result<Self, &'static str> {
        const UNUSUAL: &str = "has a part with an unusual Content-Disposition";
        let (kind, parameters) = parameters(value).ok_or(UNUSUAL)?;
        if !kind.eq_ignore_ascii_case("form-data") {
            return Err(UNUSUAL);
        }
        let mut name = None;
        let mut is_file = false;
        for (parameter, value) in parameters {
            let is = |known: &str| parameter.eq_ignore_ascii_case(known);
            if is("filename") || is("filename*") {
                is_file = true;
                // Some servers look for semicolons before quotes.
                let is_name =
                    |piece: &str| piece.trim_start().to_ascii_lowercase().starts_with("name");
                if value.split(';').skip(1).any(is_name) || value.contains(|c: char| c < ' ') {
                    return Err(UNUSUAL);
                }
            } else if !is("name")
                // Escapes of whatever kind, and what ends it for servers that look for semicolons before quotes.
                || value.contains(['\\', '%', ';'])
                || value.contains("=?")
                || name.replace(value).is_some()
            {
                return Err(UNUSUAL);
            }
        }
        let name = name.ok_or("has a part without a name")?;
        Ok(Self {
            name: name.to_owned(),
            is_file,
        })
    }
}

/// A header's value and its parameters (RFC 9110 section 5.6.6). `None` for what is written in an unusual way.
fn parameters(value: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let (first, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut found = Vec::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            let (value, after) = quoted.split_once('"')?;
            // Where an escaped quote ends the string, others may go on.
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
            let value = value.trim();
            if value.is_empty() || value.contains(['"', ' ', '\t', '=']) {
                return None;
            }
            (value, after)
        };
        found.push((name, value));
        let after = after.trim_start();
        rest = match after.strip_prefix(';') {
            Some(rest) => rest.trim(),
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some((first.trim(), found))
}

/// Whether a file name, behind its opening quote, ends the header and has its quotes and backslashes escaped (RFC 9110 section
/// 5.6.4), as Go's `mime/multipart` writes them. To readers that know no escapes (the WHATWG's way of writing forms) it ends at
/// the first quote, and the rest would be parameters: there is none in it, nor what could be taken for the beginning of one.
fn is_last_and_escaped(quoted: &str) -> bool {
    let mut is_escaped = false;
    let mut was_escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            b';' | b'=' if was_escaped => return false,
            _ if is_escaped => is_escaped = false,
            b'\\' => (is_escaped, was_escaped) = (true, true),
            b'"' => return quoted[at + 1..].trim().is_empty(),
            _ => {}
        }
    }
    false
}

/// How often a reader could find a value assigned to a parameter, as `name=`, `name *0 =` (RFC 2231) or the end of a longer
/// name. The word alone is none: it is a part of many programs' boundaries.
fn assignments_of(parameter: &str, text: &str) -> usize {
    let text = text.to_ascii_lowercase();
    let is_between = |c: char| c.is_whitespace() || c.is_ascii_digit() || c == '*';
    text.match_indices(parameter)
        .map(|(at, word)| text[at + word.len()..].trim_start_matches(is_between))
        .filter(|rest| rest.starts_with('='))
        .count()
}

/// RFC 2046 section 5.1.1: 1 to 70 characters.
pub(super) fn boundary(content_type: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (essence, parameters) = parameters(text)?;
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    // Some servers look for semicolons before quotes, or for the word alone, and would find one inside another parameter.
    if assignments_of("boundary", text) > 1 {
        return None;
    }
    let mut boundaries = parameters
        .iter()
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("boundary"));
    match (boundaries.next(), boundaries.next()) {
        (Some((name, value)), None)
            if name.eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len()) =>
        {
            Some((*value).to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(parameters: &str) -> Option<String> {
        let head = format!("Content-Disposition: form-data; {parameters}");
        let part = PartHead::parse(head.as_bytes()).ok()?;
        Some(part.name)
    }

    #[test]
    fn what_is_split_at_semicolons_before_quotes_is_refused() {
        for hidden in [
            "foo=\"a; boundary=y\"; boundary=x",
            "foo=\";Boundary=y\";boundary=x",
        ] {
            let content_type = format!("multipart/form-data; {hidden}");
            assert_eq!(boundary(content_type.as_bytes()), None, "{hidden}");
        }
        assert_eq!(
            name_of("name=\"a\"; filename=\"x;\u{1c}name=file_id;\""),
            None
        );
    }

    #[test]
    fn a_file_name_may_have_quotes_and_backslashes_as_go_escapes_them() {
        for filename in [
            r#"a\"b.txt"#,
            r#"\"a\""#,
            r"\\",
            r"a\\",
            r#"C:\\dir\\a\\\"b\\"#,
            r#"x=1;y\"z"#,
            r"C:\dir\a.txt",
        ] {
            let parameters = format!(r#"name="file"; filename="{filename}""#);
            assert_eq!(name_of(&parameters).as_deref(), Some("file"), "{filename}");
        }
    }

    #[test]
    fn a_file_name_in_which_some_reader_could_see_a_parameter_is_refused() {
        for parameters in [
            r#"name="a"; filename="b\"; name="file_id""#,
            r#"name="a"; filename="b\"; name=file_id; x=\"""#,
            r#"name="a"; filename="b\"; name=\"file_id\"""#,
            r#"name="a"; filename="b\\"; name="file_id""#,
            r#"name="a"; filename="\; name=file_id\"""#,
            r#"name="a"; filename="b; name=file_id""#,
            r#"filename="b\"c"; name="a""#,
            r#"filename="b\\"; name="a""#,
            r#"name="a"; filename="b\""#,
            r#"name="a"; filename="b\"c"d""#,
            r#"name="a"; filename="b\\"c""#,
            r#"name="a\"b"; filename="c""#,
            r#"name="file_id;""#,
            r#"name="; filename=""#,
            r#"name="a"; filename*="b\"c""#,
            r#"name="a"; filename="b\"c"; filename="d""#,
        ] {
            assert_eq!(name_of(parameters), None, "{parameters}");
        }
    }

    /// How a server finds the end of a quoted text.
    #[derive(Clone, Copy, PartialEq)]
    enum Quotes {
        Escaped,
        Plain,
        Unknown,
    }

    /// The names that a lenient server takes out of a Content-Disposition.
    fn read_leniently(value: &str, quotes: Quotes) -> Vec<String> {
        let mut pieces = vec![String::new()];
        let (mut is_quoted, mut is_escaped) = (false, false);
        for c in value.chars() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted && quotes == Quotes::Escaped => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                ';' if !is_quoted || quotes == Quotes::Unknown => {
                    pieces.push(String::new());
                    continue;
                }
                _ => {}
            }
            pieces.last_mut().unwrap().push(c);
        }
        let named = pieces.iter().filter_map(|piece| piece.split_once('='));
        named
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("name"))
            .map(|(_, value)| value.trim().trim_matches('"').to_owned())
            .collect()
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

    /// The boundaries that lenient servers find.
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
        fn whatever_is_taken_has_one_boundary_for_every_reader(
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

        #[test]
        fn whatever_is_taken_has_one_name_for_every_reader(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "name=\"a\"", "name=b", "; ", "filename=\"", "\"", "\\", "\\\"", "\\\\", "name=", "x", "=", "c.txt", "filename=d",
            ]), 0..12),
        ) {
            for parameters in [pieces.concat(), format!("name=\"a\"; filename=\"{}\"", pieces.concat())] {
                let Some(name) = name_of(&parameters) else { continue };
                for quotes in [Quotes::Escaped, Quotes::Plain, Quotes::Unknown] {
                    let names = read_leniently(&parameters, quotes);
                    prop_assert_eq!(names, [name.as_str()], "{}", parameters);
                }
            }
        }

        #[test]
        fn any_file_name_that_go_writes_is_taken(name in "[a-z\"\\\\ .()é-]{1,20}") {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let parameters = format!("name=\"file\"; filename=\"{escaped}\"");
            prop_assert_eq!(name_of(&parameters), Some("file".to_owned()));
        }
    }
}
