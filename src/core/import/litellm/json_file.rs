//! Keys as JSON: an array of objects, an object for each line, or what LiteLLM's own API answers.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::record::Record;
use crate::import::ImportError;

/// Members of an object that have keys, as LiteLLM's answers and exports call them.
const LISTS: [&str; 7] = [
    "keys",
    "info",
    "data",
    "rows",
    "tokens",
    "LiteLLM_VerificationToken",
    "litellm_verificationtoken",
];
/// How deep objects of objects are looked into.
const MAX_DEPTH: usize = 4;

type Members<'a> = HashMap<String, &'a RawValue>;

/// Returns the records of a file, which may have several JSON values one after the other.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record>, ImportError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ImportError::Line {
        line: line_at(bytes, error.valid_up_to()),
        reason: "it is not UTF-8".to_owned(),
    })?;
    let mut reader = Reader {
        text,
        records: Vec::new(),
        known_line: (0, 1),
    };
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value.map_err(|error| in_words(&error))?;
        reader.take(value, 0)?;
    }
    if reader.records.is_empty() {
        return Err(ImportError::NoKeys);
    }
    Ok(reader.records)
}

struct Reader<'a> {
    text: &'a str,
    records: Vec<Record>,
    /// A place in the text, and its line.
    known_line: (usize, u64),
}

impl<'a> Reader<'a> {
    /// Takes in a value: an array of keys, a key, or an object that has one of these.
    fn take(&mut self, value: &'a RawValue, depth: usize) -> Result<(), ImportError> {
        let line = self.line_of(value);
        let wrong = |reason: &str| ImportError::Line {
            line,
            reason: reason.to_owned(),
        };
        let json = value.get();
        if depth > MAX_DEPTH {
            return Err(wrong("there is no key in these objects"));
        }
        match json.as_bytes().first() {
            Some(b'[') => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(json).map_err(|_| wrong("it is no array of keys"))?;
                items
                    .into_iter()
                    .try_for_each(|item| self.take(item, depth + 1))
            }
            Some(b'{') => {
                let members: Members<'a> =
                    serde_json::from_str(json).map_err(|_| wrong("it is no object"))?;
                self.take_object(line, members, depth)
            }
            Some(b'"') if depth > 0 => Err(ImportError::HashesOnly),
            _ => Err(wrong("it is no object with the members of a key")),
        }
    }

    fn take_object(
        &mut self,
        line: u64,
        members: Members<'a>,
        depth: usize,
    ) -> Result<(), ImportError> {
        if members.contains_key("token") {
            self.add(Record::of_object(line, members));
            return Ok(());
        }
        // /key/info answers with the hash of the key beside an object of all other members.
        if let (Some(key), Some(info)) = (members.get("key"), members.get("info"))
            && key.get().starts_with('"')
            && let Ok(mut inner) = serde_json::from_str::<Members<'a>>(info.get())
        {
            inner.entry("token".to_owned()).or_insert(key);
            self.add(Record::of_object(line, inner));
            return Ok(());
        }
        let list = LISTS.iter().find_map(|name| members.get(*name));
        // psql's row_to_json and json_agg put the object into a column of that name.
        let only = || {
            (members.len() == 1)
                .then(|| members.values().next())
                .flatten()
        };
        if let Some(list) = list.or_else(only) {
            return self.take(list, depth + 1);
        }
        let mut found: Vec<&str> = members.keys().map(String::as_str).collect();
        found.sort_unstable();
        found.truncate(10);
        let reason = format!("no member token in an object with {}", found.join(", "));
        Err(ImportError::Line { line, reason })
    }

    fn add(&mut self, mut record: Record) {
        record.unfold_budget();
        self.records.push(record);
    }

    /// Returns the line at which a value begins. Values come in their order.
    fn line_of(&mut self, value: &RawValue) -> u64 {
        let start = self.text.as_ptr().addr();
        let offset = value.get().as_ptr().addr().saturating_sub(start);
        let (known, line) = self.known_line;
        let passed = self.text.as_bytes().get(known..offset).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', passed).count();
        if offset > known {
            self.known_line = (offset, line + u64::try_from(lines).unwrap_or(0));
        }
        self.known_line.1
    }
}

fn line_at(bytes: &[u8], offset: usize) -> u64 {
    let before = bytes.get(..offset).unwrap_or_default();
    let lines = memchr::memchr_iter(b'\n', before).count();
    u64::try_from(lines).unwrap_or(0) + 1
}

fn in_words(error: &serde_json::Error) -> ImportError {
    let line = u64::try_from(error.line()).unwrap_or(0);
    let reason = if error.is_eof() {
        "the JSON ends in the middle".to_owned()
    } else {
        format!("the JSON is broken at column {}", error.column())
    };
    ImportError::Line { line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(u64, String)> {
        let records = records(text.as_bytes()).unwrap();
        let token = |record: &Record| record.text("token").unwrap_or_default().to_owned();
        records
            .iter()
            .map(|record| (record.line, token(record)))
            .collect()
    }

    #[test]
    fn keys_are_found_in_every_shape() {
        for text in [
            r#"[{"token":"a"},{"token":"b"}]"#,
            r#"{"keys":[{"token":"a"},{"token":"b"}],"total_count":2}"#,
            r#"{"token":"a"} {"token":"b"}"#,
            r#"[{"row_to_json":{"token":"a"}},{"row_to_json":{"token":"b"}}]"#,
            r#"[{"json_agg":[{"token":"a"},{"token":"b"}]}]"#,
            r#"{"key":"a","info":{"spend":1}} {"key":"b","info":{"spend":2}}"#,
        ] {
            let found = tokens(text);
            assert_eq!(found, [(1, "a".to_owned()), (1, "b".to_owned())], "{text}");
        }
        assert_eq!(tokens("{\"token\":\"a\"}\n\n{\"token\":\"b\"}\n")[1].0, 3);
        assert_eq!(
            tokens("[\n {\"token\":\"a\"},\n {\"token\":\"b\"}\n]")[1].0,
            3
        );
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let records =
            records(br#"[{"token":"a","spend":0.12345678901234567890,"rpm_limit":null}]"#);
        let records = records.unwrap();
        assert_eq!(records[0].text("spend"), Some("0.12345678901234567890"));
        assert_eq!(records[0].text("rpm_limit"), None);
    }

    #[test]
    fn errors_name_the_line() {
        let deep = "[".repeat(100_000);
        for (text, says) in [
            (
                "[\n{\"token\":\"a\"},\n{\"token\":}]",
                "line 3: the JSON is broken at column",
            ),
            (
                "[\n{\"token\":\"a\"}",
                "line 2: the JSON ends in the middle",
            ),
            ("{\"keys\":[\"abc\"]}", "return_full_object"),
            (
                "[\n\n{\"alias\":\"x\",\"spend\":1}]",
                "line 3: no member token in an object with alias, spend",
            ),
            ("[1]", "line 1: "),
            ("[]", "no keys"),
            ("{}", "no member token"),
            ("[[[[[[[]]]]]]]", "no key in these objects"),
            (deep.as_str(), "the JSON ends in the middle"),
        ] {
            let error = records(text.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains(says),
                "{}: {error}",
                &text[..text.len().min(40)]
            );
        }
        let error = records(b"[\n{\"token\":\"\xff\"}]")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2: it is not UTF-8"), "{error}");
    }
}
