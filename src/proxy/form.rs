//! Looks into a multipart form as it passes (RFC 7578): the small fields that the proxy must know, wherever among the files
//! they stand, however the body is split. Nothing of a file is kept.

use memchr::memmem;

use super::{
    references,
    request::{clean_text, is_true},
};

/// Names of fields and of parts are short; a longer head is passed over.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Model names are cut far below this.
const MAX_VALUE_BYTES: usize = 1024;

/// What the fields said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// As asked for, cleaned of control characters and shortened.
    pub model: Option<String>,
    pub stream: bool,
    /// The first field that refers to stored objects; empty for a head too long to be read, which may do so unseen.
    pub refers: Option<String>,
}

/// The state between two reads.
#[derive(Debug)]
pub struct FormScan {
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    /// Bytes whose meaning is not known yet.
    carry: Vec<u8>,
    state: State,
    fields: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first delimiter, or in the content of a part.
    Content(Field),
    /// Behind a delimiter: two dashes are the end, the rest of the line is padding.
    AfterDelimiter,
    Head,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Model,
    Stream,
    /// Of no interest, or too long to be one.
    Other,
}

impl FormScan {
    /// `None` when the content type is no multipart form with a boundary.
    #[must_use]
    pub fn new(content_type: &[u8]) -> Option<Self> {
        let boundary = boundary(content_type)?;
        Some(Self {
            delimiter: [b"\r\n--", boundary.as_slice()].concat(),
            // The first delimiter has no line before it.
            carry: b"\r\n".to_vec(),
            state: State::Content(Field::Other),
            fields: Fields::default(),
        })
    }

    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Takes one read.
    pub fn push(&mut self, read: &[u8]) {
        if self.state == State::End {
            return;
        }
        self.carry.extend_from_slice(read);
        let mut done = 0;
        while let Some(used) = self.step(done) {
            done += used;
            if self.state == State::End {
                self.carry = Vec::new();
                return;
            }
        }
        self.carry.drain(..done);
    }

    /// Moves on from `carry[from..]`; how far, or `None` when more is needed.
    fn step(&mut self, from: usize) -> Option<usize> {
        let rest = &self.carry[from..];
        match self.state {
            State::Content(field) => match memmem::find(rest, &self.delimiter) {
                Some(end) => {
                    let value = rest[..end].to_vec();
                    self.state = State::AfterDelimiter;
                    let used = end + self.delimiter.len();
                    self.take_value(field, &value);
                    Some(used)
                }
                None if field == Field::Other || rest.len() > MAX_VALUE_BYTES => {
                    self.state = State::Content(Field::Other);
                    // What may be the beginning of a delimiter stays.
                    let gone = rest.len().saturating_sub(self.delimiter.len() - 1);
                    (gone > 0).then_some(gone)
                }
                None => None,
            },
            State::AfterDelimiter => {
                if rest.starts_with(b"--") {
                    self.state = State::End;
                    return Some(2);
                }
                let line = rest.iter().position(|byte| *byte == b'\n');
                match line {
                    Some(end) => {
                        self.state = State::Head;
                        Some(end + 1)
                    }
                    None if rest.len() > MAX_HEAD_BYTES => {
                        self.state = State::Content(Field::Other);
                        Some(0)
                    }
                    None => None,
                }
            }
            State::Head => {
                // A head may be empty: then the blank line comes at once.
                let (end, used) = if rest.starts_with(b"\r\n") {
                    (0, 2)
                } else {
                    match memmem::find(rest, b"\r\n\r\n") {
                        Some(end) => (end, end + 4),
                        None if rest.len() > MAX_HEAD_BYTES => {
                            self.fields.refers.get_or_insert_with(String::new);
                            self.state = State::Content(Field::Other);
                            return Some(0);
                        }
                        None => return None,
                    }
                };
                let part = PartHead::parse(&rest[..end]);
                if let (None, Some(name)) = (&self.fields.refers, part.refers()) {
                    self.fields.refers = Some(clean_text(name));
                }
                self.state = State::Content(part.field());
                // The line end before a delimiter may be the one that ends the head.
                Some(used - 2)
            }
            State::End => None,
        }
    }

    /// Of a doubled field the last one counts, as with most servers.
    fn take_value(&mut self, field: Field, value: &[u8]) {
        let value = value.strip_prefix(b"\r\n").unwrap_or(value);
        if value.len() > MAX_VALUE_BYTES {
            return;
        }
        let text = String::from_utf8_lossy(value);
        match field {
            Field::Model => self.fields.model = Some(clean_text(&text)),
            Field::Stream => self.fields.stream = is_true(text.trim()),
            Field::Other => {}
        }
    }
}

/// What a part's head says of it.
#[derive(Default)]
struct PartHead {
    /// All names, should there be several: which of them counts is the backend's business.
    names: Vec<String>,
    is_file: bool,
}

impl PartHead {
    fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut part = Self::default();
        for line in head.split("\r\n") {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if name.trim().eq_ignore_ascii_case("content-disposition") {
                part.take_disposition(value);
            }
        }
        part
    }

    fn take_disposition(&mut self, value: &str) {
        for parameter in value.split(';').skip(1) {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let name = name.trim();
            if name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*") {
                self.is_file = true;
            }
            if name.eq_ignore_ascii_case("name") || name.eq_ignore_ascii_case("name*") {
                self.names.push(value.trim().trim_matches('"').to_owned());
            }
        }
    }

    /// A part with a file name is a file.
    fn field(&self) -> Field {
        match self.names.first().map(String::as_str) {
            Some("model") if !self.is_file => Field::Model,
            Some("stream") if !self.is_file => Field::Stream,
            _ => Field::Other,
        }
    }

    /// The name that refers to stored objects, if one does.
    fn refers(&self) -> Option<&str> {
        let mut names = self.names.iter().map(String::as_str);
        names.find(|name| references::is_field(name, self.is_file))
    }
}

/// RFC 2046 section 5.1.1: 1 to 70 characters.
fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (essence, parameters) = text.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let at = parameters.to_ascii_lowercase().find("boundary=")?;
    let value = &parameters[at + "boundary=".len()..];
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => value.split(';').next()?.trim(),
    };
    (1..=70)
        .contains(&value.len())
        .then(|| value.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=\"xX\"";

    fn scan(reads: &[&[u8]]) -> Fields {
        let mut scan = FormScan::new(TYPE).unwrap();
        for read in reads {
            scan.push(read);
        }
        scan.fields().clone()
    }

    fn form(parts: &[(&str, &str)]) -> Vec<u8> {
        let part = |(head, value): &(&str, &str)| {
            format!("--xX\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
        };
        let body: String = parts.iter().map(part).collect();
        (body + "--xX--\r\n").into_bytes()
    }

    #[test]
    fn fields_are_found_wherever_they_stand_and_however_they_are_split() {
        let body = form(&[
            (
                "name=\"file\"; filename=\"a.wav\"",
                "--xY\r\n--x name=\"model\"\r\n\r\nno",
            ),
            ("name=\"empty\"", ""),
            ("name=\"model\"", "whisper\u{7}-1"),
            ("name=\"stream\"", "True"),
        ]);
        let expected = Fields {
            model: Some("whisper\u{fffd}-1".to_owned()),
            stream: true,
            refers: None,
        };
        for first in 0..=body.len() {
            assert_eq!(scan(&[&body[..first], &body[first..]]), expected, "{first}");
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(scan(&bytes), expected);
    }

    #[test]
    fn a_file_called_model_is_a_file() {
        let body = form(&[
            ("name=\"model\"; filename=\"model\"", "x"),
            ("name=model", "y"),
        ]);
        assert_eq!(scan(&[&body]).model.as_deref(), Some("y"));
    }

    #[test]
    fn fields_that_refer_to_stored_objects_are_told() {
        for (head, refers) in [
            ("name=\"video[id]\"", Some("video[id]")),
            ("name=video", Some("video")),
            ("name=\"video\"; filename=\"a.mp4\"", None),
            (
                "name=\"x\"; name=\"input_reference[file_id]\"",
                Some("input_reference[file_id]"),
            ),
            ("name=\"file_id\"; filename=\"a\"", Some("file_id")),
            ("name=\"prompt\"", None),
        ] {
            assert_eq!(
                scan(&[&form(&[(head, "x")])]).refers.as_deref(),
                refers,
                "{head}"
            );
        }
    }

    #[test]
    fn what_is_endless_is_not_kept() {
        let mut scan = FormScan::new(TYPE).unwrap();
        scan.push(b"--xX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n");
        for _ in 0..1000 {
            scan.push(&[b'm'; 1000]);
            assert!(scan.carry.len() < 4 * MAX_VALUE_BYTES);
        }
        assert_eq!(scan.fields(), &Fields::default());
        let mut scan = FormScan::new(TYPE).unwrap();
        scan.push(b"--xX\r\n");
        for _ in 0..1000 {
            scan.push(&[b'h'; 1000]);
            assert!(scan.carry.len() < 2 * MAX_HEAD_BYTES);
        }
        assert_eq!(scan.fields().refers.as_deref(), Some(""));
    }

    #[test]
    fn other_types_are_no_forms() {
        for text in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=x",
        ] {
            assert!(FormScan::new(text.as_bytes()).is_none(), "{text}");
        }
        assert!(FormScan::new(b"Multipart/Form-Data;charset=x; Boundary=a-b").is_some());
    }

    proptest! {
        #[test]
        fn any_split_of_any_bytes_reads_the_same(
            parts in prop::collection::vec(prop::sample::select(vec![
                "--xX", "\r\n", "--", "Content-Disposition: form-data; name=\"model\"", "stream", "m", "\n", ": ;=\"",
            ]), 0..30),
            cut in 0usize..400,
        ) {
            let body = parts.concat().into_bytes();
            let cut = cut.min(body.len());
            let whole = scan(&[&body]);
            prop_assert_eq!(scan(&[&body[..cut], &body[cut..]]), whole.clone());
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            prop_assert_eq!(scan(&bytes), whole);
        }
    }
}
