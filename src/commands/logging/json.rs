//! A line of the log as a JSON object (`LOG_FORMAT=json`): time, level and target, the message, and
//! a member for each `name=value` at its end. The line of a request is nothing but those.

use std::io::{self, Write};

use log::Level;

/// Members that every line has.
const OWN: [&str; 4] = ["time", "level", "target", "message"];

/// Writes one line.
pub(super) fn write_line(
    out: &mut impl Write,
    time: &dyn std::fmt::Display,
    level: Level,
    target: &str,
    message: &str,
) -> io::Result<()> {
    let (text, fields) = split(message);
    write!(
        out,
        "{{\"time\":\"{time}\",\"level\":\"{}\",\"target\":",
        level.as_str().to_lowercase()
    )?;
    write_text(out, target)?;
    if !text.is_empty() {
        out.write_all(b",\"message\":")?;
        write_text(out, text)?;
    }
    for Field { name, value } in fields {
        write!(out, ",\"{name}\":")?;
        match value {
            Value::Number(number) => out.write_all(number.as_bytes())?,
            Value::Word(word) => write_text(out, word)?,
            Value::Quoted(text) => write_text(out, &text)?,
        }
    }
    out.write_all(b"}\n")
}

#[derive(Debug, PartialEq, Eq)]
struct Field<'m> {
    name: &'m str,
    value: Value<'m>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value<'m> {
    Number(&'m str),
    Word(&'m str),
    Quoted(String),
}

/// Takes a message apart: the text, and the fields behind its last colon. A message that ends
/// otherwise is all text.
fn split(message: &str) -> (&str, Vec<Field<'_>>) {
    if let Some(fields) = fields(message) {
        return ("", fields);
    }
    for (at, _) in message.match_indices(": ") {
        if let Some(fields) = fields(&message[at + 2..]) {
            return (&message[..at], fields);
        }
    }
    (message, Vec::new())
}

/// Reads fields that are separated by blanks; `None` if anything else is there.
fn fields(mut rest: &str) -> Option<Vec<Field<'_>>> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    loop {
        let (name, after) = rest.split_once('=')?;
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        let is_new = || fields.iter().all(|field| field.name != name);
        if name.is_empty() || !name.bytes().all(is_name) || OWN.contains(&name) || !is_new() {
            return None;
        }
        let (value, after) = value(after)?;
        fields.push(Field { name, value });
        if after.is_empty() {
            return Some(fields);
        }
        rest = after.strip_prefix(' ')?;
    }
}

/// Reads a value, and returns what is behind it.
fn value(text: &str) -> Option<(Value<'_>, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, length) = unquoted(quoted)?;
        return Some((Value::Quoted(value), &quoted[length..]));
    }
    let (word, after) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let digits = word.strip_prefix('-').unwrap_or(word);
    let is_number = match digits.as_bytes() {
        [b'0'] => true,
        // A number with more digits could not be read by everybody.
        [b'1'..=b'9', rest @ ..] => rest.len() < 15 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let value = if is_number {
        Value::Number(word)
    } else {
        Value::Word(word)
    };
    Some((value, after))
}

/// Reads a text as `{:?}` writes it, up to its closing quote. Returns it and the length that was
/// read.
fn unquoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (at, '"') => return Some((value, at + 1)),
            (_, '\\') => match chars.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                '0' => value.push('\0'),
                'u' => {
                    let rest = chars.as_str().strip_prefix('{')?;
                    let (code, _) = rest.split_once('}')?;
                    value.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                    chars.nth(code.len() + 1)?;
                }
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

/// Writes a JSON string. All control characters are escaped, those of C1 too, which a terminal may
/// obey.
fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(b"\"")?;
    for (index, part) in text
        .split(|c: char| c.is_control() || matches!(c, '"' | '\\'))
        .enumerate()
    {
        if index > 0 {
            let at = part.as_ptr().addr() - text.as_ptr().addr();
            let special = text[..at].chars().next_back().unwrap_or(' ');
            match special {
                '"' | '\\' => write!(out, "\\{special}")?,
                control => write!(out, "\\u{:04x}", u32::from(control))?,
            }
        }
        out.write_all(part.as_bytes())?;
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(message: &str) -> serde_json::Value {
        let mut out = Vec::new();
        write_line(
            &mut out,
            &"2026-11-29T20:00:00.000Z",
            Level::Warn,
            "ledger",
            message,
        )
        .unwrap();
        assert_eq!(out.split(|byte| *byte == b'\n').count(), 2);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn fields_at_the_end_of_a_message_are_members() {
        let json = line(
            r#"the backend broke off: early: user="al\"ice\u{1b}" rows=7 ms=-1 version=1.2 id=007"#,
        );
        let expected = serde_json::json!({
            "time": "2026-11-29T20:00:00.000Z", "level": "warn", "target": "ledger",
            "message": "the backend broke off: early", "user": "al\"ice\u{1b}",
            "rows": 7, "ms": -1, "version": "1.2", "id": "007",
        });
        assert_eq!(json, expected);
        let access = line(r#"peer=127.0.0.1 user="alice" status=200"#);
        assert!(access.get("message").is_none());
        assert_eq!(
            (&access["peer"], &access["status"]),
            (&"127.0.0.1".into(), &200.into())
        );
    }

    #[test]
    fn another_message_is_all_text() {
        for message in [
            "cannot write: rows=3: disk full",
            "a=b, c",
            "x: a=1 a=2",
            "x: level=high",
            "x: A=1",
            "x: a=\"open",
            "",
        ] {
            let json = line(message);
            assert_eq!(
                json.get("message").and_then(|m| m.as_str()).unwrap_or(""),
                message
            );
            assert_eq!(
                json.as_object().unwrap().len(),
                3 + usize::from(!message.is_empty())
            );
        }
    }

    proptest! {
        #[test]
        fn any_message_makes_one_object_on_one_line(message in "(.{0,20}(: )?([a-z]{1,3}=(\"\\PC{0,6}\"|[0-9]{1,4}|.) ?){0,3})|\\PC{0,40}|.{0,40}") {
            let json = line(&message);
            prop_assert_eq!(&json["level"], "warn");
        }

        #[test]
        fn a_quoted_value_is_read_as_it_was(value in ".{0,20}|\\PC{0,20}|[\"\\\\\u{0}\u{7f}\u{85}\u{200b}']{0,8}") {
            let json = line(&format!("x: value={value:?} n=1"));
            prop_assert_eq!(json["value"].as_str(), Some(value.as_str()));
        }
    }
}
