//! Looks into a multipart form as it passes (RFC 7578): for the small fields that the proxy must
//! know, wherever they are among the files, however the body is split. No file is kept. Only the
//! value of a field that refers to a stored object is held back, until it is there completely and
//! checked.
//!
//! Servers differ in how they read an unusual form, and one might read a field that is not seen
//! here. So only the form that all programs write is accepted: lines end with CRLF, the head of a
//! part names it once and in quotes or as a token, nothing is before the first delimiter or after
//! the last, and no delimiter is within a line.

mod head;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::proxy::request::{
    clean_text, is_override, is_true,
    media_type::boundary,
    references::{self, Reference},
};
use crate::{
    json::{LooseName, fold_text},
    model::{Claim, ObjectKind},
};

use head::PartHead;

/// Longest head of a part. Names of fields are short.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Longest value of a field. Model names are cut far below this, and ids are shorter.
const MAX_VALUE_BYTES: usize = 1024;

/// What the fields said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The model that is asked for, without control characters and shortened.
    pub model: Option<String>,
    pub stream: bool,
}

/// The state between two reads.
#[derive(Debug)]
struct FormScan {
    /// The boundary with its dashes: `--boundary`.
    dashes: Vec<u8>,
    /// Bytes whose meaning is not known yet.
    carry: Vec<u8>,
    state: State,
    fields: Fields,
    /// The field that refers to an object, while its value comes in.
    referring: Referring,
    references: Vec<Reference>,
    problem: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Referring {
    /// The field's name, folded.
    member: String,
    /// The field has a file name, and so is a file to some servers: an empty one if the user of a
    /// browser chose none, and any content if it is too long for an id.
    may_be_file: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Scanning has not come to the first delimiter.
    Start,
    /// In the content of a part, from the line end on that ends its head.
    Content(Field),
    /// After a delimiter. Two dashes are the end.
    AfterDelimiter,
    Head,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Model,
    Stream,
    /// The field refers to a stored object.
    Refers(ObjectKind),
    /// The field does not matter, or is too long to be one that does.
    Other,
}

impl Field {
    /// Returns the meaning of a part. A part with a file name is a file. A part that refers to an
    /// object is one only if all servers take it for a file.
    fn of(part: &PartHead) -> Result<Self, &'static str> {
        if let Some(kind) = references::of_field(&part.name, part.is_file_to_all) {
            return Ok(Self::Refers(kind));
        }
        if is_override(part.name.as_bytes()) {
            return Err("has a field that would override the request's method or path");
        }
        // This field sets the encoding of all other fields (HTML, section 4.10.22.5).
        if part.name.starts_with('_') && LooseName::of(part.name.as_bytes()).is("charset") {
            return Err("has a field that would change its encoding");
        }
        Ok(match fold_text(&part.name).as_ref() {
            "model" if !part.is_file => Self::Model,
            "stream" if !part.is_file => Self::Stream,
            _ => Self::Other,
        })
    }
}

impl FormScan {
    /// Returns `None` if the content type is no multipart form with one boundary.
    fn new(content_type: &[u8]) -> Option<Self> {
        let boundary = boundary(content_type)?;
        Some(Self {
            dashes: [b"--", boundary.as_bytes()].concat(),
            carry: Vec::new(),
            state: State::Start,
            fields: Fields::default(),
            referring: Referring::default(),
            references: Vec::new(),
            problem: None,
        })
    }

    fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Takes one read.
    ///
    /// # Errors
    /// A text that says how the form could be read in two ways.
    fn push(&mut self, read: &[u8]) -> Result<(), &'static str> {
        self.carry.extend_from_slice(read);
        let mut done = 0;
        while self.problem.is_none()
            && let Some(used) = self.step(done)
        {
            done += used;
        }
        self.carry.drain(..done);
        self.problem.map_or(Ok(()), Err)
    }

    /// Checks the form at its end.
    ///
    /// # Errors
    /// A text that says that the form is incomplete.
    fn finish(&self) -> Result<(), &'static str> {
        match self.state {
            State::End => Ok(()),
            _ => Err("ends before its last delimiter"),
        }
    }

    /// Returns how many bytes at the end may not go out yet: the beginning of a value that refers
    /// to an object.
    fn withheld_bytes(&self) -> usize {
        match self.state {
            State::Content(Field::Refers(_)) => self.carry.len(),
            _ => 0,
        }
    }

    fn refuse(&mut self, problem: &'static str) -> Option<usize> {
        self.problem = Some(problem);
        None
    }

    /// Moves on from `carry[from..]`. Returns how far, or `None` if more bytes are needed or
    /// something is wrong.
    fn step(&mut self, from: usize) -> Option<usize> {
        let rest = &self.carry[from..];
        match self.state {
            State::Start => {
                let known = rest.len().min(self.dashes.len());
                if rest[..known] != self.dashes[..known] {
                    return self.refuse("does not begin with its delimiter");
                }
                if known < self.dashes.len() {
                    return None;
                }
                self.state = State::AfterDelimiter;
                Some(known)
            }
            State::Content(field) => self.step_in_content(from, field),
            State::AfterDelimiter => {
                match rest.get(..2)? {
                    b"--" => self.state = State::End,
                    b"\r\n" => self.state = State::Head,
                    _ => {
                        return self
                            .refuse("has something else than a line end behind a delimiter");
                    }
                }
                Some(2)
            }
            State::Head => match memmem::find(rest, b"\r\n\r\n") {
                Some(end) => {
                    let part = PartHead::parse(&rest[..end]);
                    let (part, field) = match part.and_then(|part| {
                        let field = Field::of(&part)?;
                        Ok((part, field))
                    }) {
                        Ok(known) => known,
                        Err(problem) => return self.refuse(problem),
                    };
                    self.state = State::Content(field);
                    self.referring = Referring {
                        member: fold_text(&part.name).into_owned(),
                        may_be_file: part.is_file,
                    };
                    // The line end before a delimiter may be the one that ends the head.
                    Some(end + 2)
                }
                None if rest.len() > MAX_HEAD_BYTES => {
                    self.refuse("has a part with too long a head")
                }
                None => None,
            },
            State::End => {
                if rest.iter().any(|byte| !b"\r\n".contains(byte)) {
                    return self.refuse("goes on behind its last delimiter");
                }
                (!rest.is_empty()).then_some(rest.len())
            }
        }
    }

    fn step_in_content(&mut self, from: usize, field: Field) -> Option<usize> {
        let rest = &self.carry[from..];
        if let Some(at) = memmem::find(rest, &self.dashes) {
            let Some(value) = rest[..at].strip_suffix(b"\r\n") else {
                return self.refuse("has a delimiter that does not begin a line");
            };
            let value = value.strip_prefix(b"\r\n").unwrap_or(value).to_vec();
            self.state = State::AfterDelimiter;
            let used = at + self.dashes.len();
            self.take_value(field, &value);
            return Some(used);
        }
        if field != Field::Other && rest.len() <= MAX_VALUE_BYTES {
            return None;
        }
        if self.is_too_long_an_id(field) {
            return self.refuse("has too long an id");
        }
        self.state = State::Content(Field::Other);
        // What may be the beginning of a delimiter stays, together with the line end before it.
        let gone = rest.len().saturating_sub(self.dashes.len() + 1);
        (gone > 0).then_some(gone)
    }

    fn is_too_long_an_id(&self, field: Field) -> bool {
        matches!(field, Field::Refers(_)) && !self.referring.may_be_file
    }

    /// The last of doubled fields counts, as with most servers.
    fn take_value(&mut self, field: Field, value: &[u8]) {
        if value.len() > MAX_VALUE_BYTES {
            if self.is_too_long_an_id(field) {
                self.problem = Some("has too long an id");
            }
            return;
        }
        let text = String::from_utf8_lossy(value);
        match field {
            Field::Model => self.fields.model = Some(clean_text(text.trim())),
            Field::Stream => self.fields.stream = is_true(text.trim()),
            Field::Refers(_) if value.is_empty() && self.referring.may_be_file => {}
            Field::Refers(kind) => self.references.push(Reference {
                member: clean_text(&self.referring.member),
                claim: Claim {
                    id: text.into_owned(),
                    kind,
                    is_looked_up: true,
                },
            }),
            Field::Other => {}
        }
    }
}

/// A form on its way. It is looked into, and held back as far as needed.
#[derive(Debug)]
pub struct PassingForm {
    scan: FormScan,
    /// Bytes that came in and may not go out yet.
    withheld: BytesMut,
}

impl PassingForm {
    /// Returns `None` if the content type is no multipart form with one boundary.
    #[must_use]
    pub fn new(content_type: &[u8]) -> Option<Self> {
        Some(Self {
            scan: FormScan::new(content_type)?,
            withheld: BytesMut::new(),
        })
    }

    #[must_use]
    pub fn fields(&self) -> &Fields {
        self.scan.fields()
    }

    /// Takes one read. Returns what may go out, as soon as the returned references are checked.
    ///
    /// # Errors
    /// A text that says how the form could be read in two ways.
    pub fn push(&mut self, read: Bytes) -> Result<(Bytes, Vec<Reference>), &'static str> {
        self.scan.push(&read)?;
        let references = std::mem::take(&mut self.scan.references);
        let withheld_bytes = self.scan.withheld_bytes();
        if self.withheld.is_empty() && withheld_bytes == 0 {
            return Ok((read, references));
        }
        let mut all = std::mem::take(&mut self.withheld);
        all.extend_from_slice(&read);
        self.withheld = all.split_off(all.len().saturating_sub(withheld_bytes));
        Ok((all.freeze(), references))
    }

    /// Checks the form at its end, when nothing of it is held back any more.
    ///
    /// # Errors
    /// A text that says that the form is incomplete.
    pub fn finish(&self) -> Result<(), &'static str> {
        self.scan.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=\"xX\"";

    fn scan(reads: &[&[u8]]) -> Result<(Fields, Vec<Reference>), &'static str> {
        let mut scan = FormScan::new(TYPE).unwrap();
        for read in reads {
            scan.push(read)?;
        }
        scan.finish()?;
        let references = std::mem::take(&mut scan.references);
        Ok((scan.fields().clone(), references))
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
        };
        let expected = Ok((expected, Vec::new()));
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
        assert_eq!(scan(&[&body]).unwrap().0.model.as_deref(), Some("y"));
    }

    #[test]
    fn fields_that_refer_to_stored_objects_are_told() {
        for (head, kind) in [
            ("name=\"video[id]\"", Some(ObjectKind::Video)),
            (
                "name=\"video[id]\"; filename=\"a\"",
                Some(ObjectKind::Video),
            ),
            ("name=video", Some(ObjectKind::Video)),
            (
                "name=\"video\"; filename=\"a.mp4\"",
                Some(ObjectKind::Video),
            ),
            (
                "name=\"video\"; filename=\"a.mp4\"\r\nContent-Type: video/mp4",
                None,
            ),
            ("name=\"video\"; filename=\"\"", Some(ObjectKind::Video)),
            (
                "name=\"input_reference\"; filename*=UTF-8''a",
                Some(ObjectKind::File),
            ),
            (
                "name=\"inputReference[]\"; filename=\"\"",
                Some(ObjectKind::File),
            ),
            ("name=\"fileId\"", Some(ObjectKind::File)),
            ("name=\"file id\"", Some(ObjectKind::File)),
            ("name=\"file.id\"", Some(ObjectKind::File)),
            ("name=\"file_id[0][]\"", Some(ObjectKind::File)),
            ("name=\"video.id\"", Some(ObjectKind::Video)),
            (
                "name=\"a[b].vectorStoreIds\"",
                Some(ObjectKind::VectorStore),
            ),
            ("name=\"input_reference[0]\"", Some(ObjectKind::File)),
            ("name=\"input_reference.0\"", Some(ObjectKind::File)),
            ("name=\"input.reference\"", Some(ObjectKind::File)),
            ("name=\"characters[0][]\"", Some(ObjectKind::Character)),
            (
                "name=\"input_reference[0]\"; filename=\"a\"\r\nContent-Type: image/png",
                None,
            ),
            ("name=\"file\"; filename=\"\"", None),
            ("name=\"video_prompt\"", None),
            ("name=\"input_reference[file_id]\"", Some(ObjectKind::File)),
            ("name=\"file_id\"; filename=\"a\"", Some(ObjectKind::File)),
            ("name=\"File_ID\"", Some(ObjectKind::File)),
            (
                "name=\"file_id\"; filename=\"a\\\"b\\\\\"",
                Some(ObjectKind::File),
            ),
            ("name=\"input_reference[image_url]\"", None),
            ("name=\"input_reference\"", Some(ObjectKind::File)),
            ("name=\"prompt\"", None),
        ] {
            let (_, references) = scan(&[&form(&[("name=a", "b"), (head, "the-id")])]).unwrap();
            let found = references.first().map(|found| &found.claim);
            assert_eq!(found.map(|claim| claim.kind), kind, "{head}");
            assert!(found.is_none_or(|claim| claim.id == "the-id"), "{head}");
        }
        let unchosen = form(&[("name=\"video\"; filename=\"\"", "")]);
        assert!(scan(&[&unchosen]).unwrap().1.is_empty());
        let long = "x".repeat(2_000);
        for split in [100, 1_500, 2_050] {
            let id = form(&[("name=file_id", &long)]);
            assert!(scan(&[&id[..split], &id[split..]]).is_err());
            // Python's requests sends a file like this.
            let file = form(&[("name=\"video\"; filename=\"a\"", &long)]);
            assert_eq!(scan(&[&file[..split], &file[split..]]).unwrap().1, []);
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        const PART: &str = "Content-Disposition: form-data; name=\"a\"\r\n\r\nx";
        let whole = format!("--xX\r\n{PART}\r\n--xX--\r\n");
        assert!(scan(&[whole.as_bytes()]).is_ok());
        for body in [
            String::new(),
            format!("preamble\r\n{whole}"),
            format!("--xX--junk\r\n{whole}"),
            whole.replace("\r\n", "\n"),
            whole.replace("x\r\n--xX--", "x\n--xX\r\n--xX--"),
            whole.replace("x\r\n--xX--", "x\r--xX\r\n--xX--"),
            whole.replace("x\r\n--xX--", "x--xX\r\n--xX--"),
            whole.replace("x\r\n--xX--", "x--xX--\r\n--xX--"),
            whole.replace("name=\"a\"", "name=\"_method\""),
            whole.replace("name=\"a\"", "name=\"_charset_\""),
            whole.replace("--xX\r\n", "--xX \r\n"),
            whole.replace("--xX--\r\n", ""),
            format!("{whole}--xX\r\n{PART}\r\n--xX--\r\n"),
            whole.replace("form-data; name", "form-data;\r\n name"),
            whole.replace("name=\"a\"", "name*=UTF-8''file%5Fid"),
            whole.replace("name=\"a\"", "name*0=file_; name*1=id"),
            whole.replace("name=\"a\"", "name=\"a\"; name=\"file_id\""),
            whole.replace("name=\"a\"", "name=\"file\\_id\""),
            whole.replace("name=\"a\"", "name=\"file%5Fid\""),
            whole.replace("name=\"a\"", "x=\"; filename=a\"; name=\"video[id]\""),
            whole.replace(
                "name=\"a\"",
                "name=\"a\"; filename=\"b\\\"; name=\"file_id\"",
            ),
            whole.replace("Content-Disposition", "Content-Type"),
            whole.replace(
                PART,
                &format!("Content-Disposition: form-data; name=b\r\n{PART}"),
            ),
        ] {
            assert!(scan(&[body.as_bytes()]).is_err(), "{body:?}");
        }
    }

    #[test]
    fn what_is_endless_is_not_kept() {
        let mut scan = FormScan::new(TYPE).unwrap();
        let begin = b"--xX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n";
        scan.push(begin).unwrap();
        for _ in 0..1000 {
            scan.push(&[b'm'; 1000]).unwrap();
            assert!(scan.carry.len() < 4 * MAX_VALUE_BYTES);
        }
        assert_eq!(scan.fields(), &Fields::default());
        let mut scan = FormScan::new(TYPE).unwrap();
        scan.push(b"--xX\r\n").unwrap();
        assert!((0..1000).any(|_| scan.push(&[b'h'; 1000]).is_err()));
        assert!(scan.carry.len() < 2 * MAX_HEAD_BYTES);
    }

    #[test]
    fn a_delimiter_of_another_form_is_content() {
        let body = form(&[("name=\"a\"", "x--x\r\n--y\r\n--x-X"), ("name=model", "m")]);
        assert_eq!(scan(&[&body]).unwrap().0.model.as_deref(), Some("m"));
    }

    #[test]
    fn other_types_are_no_forms() {
        for text in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/mixed; boundary=x",
            "multipart/form-data; xboundary=a; boundary=x; boundary=y",
            "multipart/form-data; boundary=\"x",
            "multipart/form-data; boundary*=x",
        ] {
            assert!(FormScan::new(text.as_bytes()).is_none(), "{text}");
        }
        assert!(FormScan::new(b"Multipart/Form-Data;charset=UTF-8; Boundary=a-b").is_some());
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

        #[test]
        fn no_part_of_an_id_leaves_before_all_of_it_is_told(
            fields in prop::collection::vec(prop::sample::select(vec![
                ("name=\"file_id\"", "\u{1}\u{2}\u{3}"), ("name=\"video[id]\"", "\u{4}"), ("name=\"fileIds[]\"", ""),
                ("name=\"a\"", "text"), ("name=\"file\"; filename=\"a\"", "--x\r\n\r\n--x"), ("name=model", "m"),
            ]), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let body = form(&fields);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let mut passing = PassingForm::new(TYPE).unwrap();
            let (mut left, mut told) = (Vec::new(), String::new());
            for pair in cuts.windows(2) {
                let read = Bytes::copy_from_slice(&body[pair[0]..pair[1]]);
                let (may_leave, references) = passing.push(read).unwrap();
                told.extend(references.iter().map(|reference| reference.claim.id.as_str()));
                left.extend_from_slice(&may_leave);
                // The ids of this test are the only control characters but line ends.
                let of_ids = left.iter().filter(|byte| **byte < 10).count();
                prop_assert_eq!(of_ids, told.len());
                prop_assert!(passing.withheld.len() <= MAX_VALUE_BYTES);
            }
            prop_assert!(passing.finish().is_ok());
            prop_assert_eq!(left, body);
        }
    }
}
