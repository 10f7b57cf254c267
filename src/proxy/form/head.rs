//! The grammar of a form's headers: what all programs write, and only that. A parameter that is read here must be read so by
//! every server, above all a part's name.

use crate::proxy::parameters::parameters;

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

    proptest! {
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
