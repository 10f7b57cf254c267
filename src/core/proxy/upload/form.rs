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
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use crate::proxy::request::{
    clean_text, is_override, is_true,
    media_type::boundary,
    references::{self, Reference},
    whole_number,
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
    /// Number of images that are asked for, 0 if the form does not say so. The largest counts.
    pub choices: u64,
    /// The form names two models.
    pub names_models: bool,
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
    /// The content of a part, from the line end that ends its head.
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
    Choices,
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
            "n" if !part.is_file => Self::Choices,
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
        if self.must_be_id(field) {
            return self.refuse("has too long an id");
        }
        self.state = State::Content(Field::Other);
        // What may be the beginning of a delimiter stays, together with the line end before it.
        let gone = rest.len().saturating_sub(self.dashes.len() + 1);
        (gone > 0).then_some(gone)
    }

    fn must_be_id(&self, field: Field) -> bool {
        matches!(field, Field::Refers(_)) && !self.referring.may_be_file
    }

    /// The last of doubled fields counts, as with most servers.
    fn take_value(&mut self, field: Field, value: &[u8]) {
        if value.len() > MAX_VALUE_BYTES {
            if self.must_be_id(field) {
                self.problem = Some("has too long an id");
            }
            return;
        }
        let text = String::from_utf8_lossy(value);
        match field {
            Field::Model => {
                let model = clean_text(text.trim());
                let before = self.fields.model.replace(model);
                self.fields.names_models |= before.is_some_and(|b| self.fields.model != Some(b));
            }
            Field::Stream => self.fields.stream = is_true(text.trim()),
            Field::Choices => {
                let choices = whole_number(&text).unwrap_or(0);
                self.fields.choices = self.fields.choices.max(choices);
            }
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
