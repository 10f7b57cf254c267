//! The head of a form's part, as all programs write it. What is read here must be read the same by
//! every server, above all the part's name.

use crate::proxy::request::parameters::parameters;

/// What the head of a part says about the part.
#[derive(Debug, PartialEq, Eq)]
pub struct PartHead {
    pub name: String,
    /// The part has a file name, so that it is no value of `model` or `stream`.
    pub is_file: bool,
    /// Every server takes the part for a file: it has a type, and a file name that is not empty and
    /// that all can read. Without the name's quotes multer, busboy and Go take it for a value,
    /// without a name PHP, and without a type formidable.
    pub is_file_to_all: bool,
}

impl PartHead {
    pub fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let head = String::from_utf8_lossy(head);
        let mut part = None;
        let mut has_type = false;
        for line in head.split("\r\n") {
            // Python's readers end a line at some of these characters, and C's end a text at
            // another.
            if line.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
                || line.starts_with(' ')
            {
                return Err("has a part whose head has control characters or broken lines");
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err("has a part whose head has a line without a colon");
            };
            if !name.bytes().all(is_of_token) {
                return Err("has a part whose head has an unusual header name");
            }
            if name.eq_ignore_ascii_case("content-type") {
                has_type = true;
                if starts_with_word(value.trim(), "multipart/") {
                    return Err("has a part that is a form itself");
                }
            }
            if name.eq_ignore_ascii_case("content-disposition")
                && part.replace(Self::of_disposition(value)?).is_some()
            {
                return Err("has a part with two Content-Dispositions");
            }
        }
        let mut part = part.ok_or("has a part without a Content-Disposition")?;
        part.is_file_to_all &= has_type;
        Ok(part)
    }

    fn of_disposition(value: &str) -> Result<Self, &'static str> {
        const UNUSUAL: &str = "has a part with an unusual Content-Disposition";
        let (kind, parameters) = parameters(value).ok_or(UNUSUAL)?;
        if !kind.eq_ignore_ascii_case("form-data") {
            return Err(UNUSUAL);
        }
        let mut name = None;
        let (mut is_file, mut is_file_to_all) = (false, false);
        for (parameter, value) in parameters {
            let is = |known: &str| parameter.eq_ignore_ascii_case(known);
            if is("filename") || is("filename*") {
                is_file = true;
                is_file_to_all |= is("filename") && !value.is_empty();
                // Some servers look for semicolons before quotes.
                let is_name = |piece: &str| starts_with_word(piece.trim_start(), "name");
                if value.split(';').skip(1).any(is_name) {
                    return Err(UNUSUAL);
                }
            } else if !is("name") || !is_usual_name(value) || name.replace(value).is_some() {
                return Err(UNUSUAL);
            }
        }
        let name = name.ok_or("has a part without a name")?;
        Ok(Self {
            name: name.to_owned(),
            is_file,
            is_file_to_all,
        })
    }
}

/// Returns whether every server takes a name as it is written: ASCII without blanks at its ends,
/// without escapes of any kind, and without what ends a name for servers that look for semicolons
/// before quotes.
fn is_usual_name(name: &str) -> bool {
    name.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && name.trim() == name
        && !name.contains(['\\', '%', ';'])
        && !name.contains("=?")
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Returns whether a byte belongs to a token (RFC 9110 section 5.6.2).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
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
    fn a_part_that_a_semicolon_could_split_is_refused() {
        assert_eq!(
            name_of("name=\"a\"; filename=\"x;\u{1c}name=file_id;\""),
            None
        );
    }

    #[test]
    fn a_file_name_may_contain_quotes_escaped_as_go_does() {
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
    fn a_part_is_a_file_only_if_all_servers_take_it_for_one() {
        for (head, is_file, is_file_to_all) in [
            ("name=\"a\"", false, false),
            ("name=\"a\"\r\nContent-Type: text/plain", false, false),
            (
                "name=\"a\"; filename=\"\"\r\nContent-Type: text/plain",
                true,
                false,
            ),
            (
                "name=\"a\"; filename*=UTF-8''b\r\nContent-Type: text/plain",
                true,
                false,
            ),
            ("name=\"a\"; filename=\"b\"", true, false),
            (
                "name=\"a\"; filename=\"b\"\r\nContent-Type: text/plain",
                true,
                true,
            ),
            (
                "name=\"a\"; filename=b\r\ncontent-type: text/plain",
                true,
                true,
            ),
        ] {
            let head = format!("Content-Disposition: form-data; {head}");
            let part = PartHead::parse(head.as_bytes()).unwrap();
            assert_eq!(
                (part.is_file, part.is_file_to_all),
                (is_file, is_file_to_all),
                "{head}"
            );
        }
    }

    #[test]
    fn an_odd_name_is_refused() {
        for name in [
            " a",
            "a ",
            "a\t",
            "a\u{c}",
            "a\0",
            "a\u{7f}",
            "é",
            "a\u{a0}",
            "\u{feff}a",
            "file\u{ff3f}id",
            "a%5Fb",
        ] {
            assert_eq!(name_of(&format!("name=\"{name}\"")), None, "{name:?}");
        }
        for name in ["a", "a b", "video[id]", "a.b", ""] {
            assert_eq!(name_of(&format!("name=\"{name}\"")).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_file_name_that_may_contain_a_parameter_is_refused() {
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
            "name=\"a\"; filename=\"b\u{85}c\"",
            "name=\"a\"; filename=\"b\u{2028}c\"",
        ] {
            assert_eq!(name_of(parameters), None, "{parameters}");
        }
    }

    /// Ways in which servers find the end of a quoted text.
    #[derive(Clone, Copy, PartialEq)]
    enum Quotes {
        Escaped,
        Plain,
        Unknown,
    }

    /// Returns the names that a lenient server takes out of a Content-Disposition.
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

    proptest! {
        #[test]
        fn an_accepted_part_has_one_name_for_every_reader(
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
