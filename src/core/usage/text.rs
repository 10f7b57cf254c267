//! The text that a stream carries, joined: what a tokenizer makes of it does not depend on how it
//! was cut into events.

use super::strings::TextSink;

/// The longest text that is kept, some 15,000 tokens of English. The rest is assumed to be like it.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The generated text of a stream. It grows with need: a usual answer has two or three kilobytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    kept: String,
    /// Length of the text that was not kept.
    further_bytes: u64,
    /// Length of what could not be read: text, and the JSON around it.
    unread_bytes: u64,
    /// Tokens of pictures.
    tokens: u64,
}

/// The end of a text at an earlier moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    kept_bytes: usize,
    further_bytes: u64,
    unread_bytes: u64,
    tokens: u64,
}

/// How far a stream is: its reported output, and the text that came since that was reported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamProgress {
    pub reported_tokens: u64,
    pub text_bytes: u64,
    /// Tokens of pictures.
    pub media_tokens: u64,
}

impl StreamProgress {
    /// Returns the output tokens so far, with so many tokens in a mebibyte of text.
    #[must_use]
    pub fn tokens(&self, tokens_per_mebibyte: u64) -> u64 {
        let of_text = u128::from(self.text_bytes) * u128::from(tokens_per_mebibyte);
        let of_text = u64::try_from((of_text + (1 << 19)) >> 20).unwrap_or(u64::MAX);
        let known = self.reported_tokens.saturating_add(self.media_tokens);
        known.saturating_add(of_text)
    }
}

/// The longest sample of a text.
const MAX_SAMPLE_BYTES: usize = 1024;

impl Text {
    /// Returns the length of the text, whether it was kept or not.
    pub(super) fn len_bytes(&self) -> u64 {
        (self.kept.len() as u64).saturating_add(self.further_bytes)
    }

    /// Returns the end of the kept text; `None` if there is none.
    pub(super) fn sample(&self) -> Option<String> {
        let from = self.kept.len().saturating_sub(MAX_SAMPLE_BYTES);
        let from = (from..=self.kept.len()).find(|at| self.kept.is_char_boundary(*at))?;
        let sample = &self.kept[from..];
        (!sample.is_empty()).then(|| sample.to_owned())
    }

    /// Creates the text of an answer of which only the length is known.
    pub(super) fn unread(bytes: u64) -> Self {
        let mut text = Self::default();
        text.add_unread(bytes);
        text
    }

    pub(crate) fn add_unread(&mut self, bytes: u64) {
        self.unread_bytes = self.unread_bytes.saturating_add(bytes);
    }

    pub(super) fn kept(&self) -> &str {
        &self.kept
    }

    pub(super) fn further_bytes(&self) -> u64 {
        self.further_bytes
    }

    pub(super) fn unread_bytes(&self) -> u64 {
        self.unread_bytes
    }

    pub(super) fn media_tokens(&self) -> u64 {
        self.tokens
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            kept_bytes: self.kept.len(),
            further_bytes: self.further_bytes,
            unread_bytes: self.unread_bytes,
            tokens: self.tokens,
        }
    }

    /// Forgets everything, and keeps the memory for what follows.
    pub(super) fn clear(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        *self = Self {
            kept,
            ..Self::default()
        };
    }

    /// Returns whether nothing that counts has passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && (self.further_bytes, self.unread_bytes, self.tokens) == (0, 0, 0)
    }

    /// Removes what came since a mark.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.kept.truncate(mark.kept_bytes);
        self.further_bytes = mark.further_bytes;
        self.unread_bytes = mark.unread_bytes;
        self.tokens = mark.tokens;
    }
}

impl TextSink for Text {
    fn text(&mut self, text: &str) {
        // Once something was left out, nothing more is kept: a later character might fit where an
        // earlier one did not.
        let room = match self.further_bytes {
            0 => MAX_KEPT_BYTES - self.kept.len(),
            _ => 0,
        };
        let fitting = text.floor_char_boundary(room);
        self.kept.push_str(&text[..fitting]);
        let further = (text.len() - fitting) as u64;
        self.further_bytes = self.further_bytes.saturating_add(further);
    }

    fn tokens(&mut self, count: u64) {
        self.tokens = self.tokens.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Text {
        let mut text = Text::default();
        for piece in pieces {
            text.text(piece);
        }
        text
    }

    #[test]
    fn kept_text_is_bounded_and_ends_with_a_complete_character() {
        let mut text = of_pieces(std::iter::repeat_n("漢", 30_000));
        assert_eq!(text.kept().len(), MAX_KEPT_BYTES / 3 * 3);
        assert_eq!(text.kept().len() as u64 + text.further_bytes(), 90_000);
        let before = text.clone();
        let mark = text.mark();
        text.text("a");
        text.tokens(5);
        assert_eq!(text.kept(), before.kept());
        text.back_to(mark);
        assert_eq!(text, before);
    }

    #[test]
    fn a_usual_answer_needs_no_more_than_twice_its_length() {
        let text = of_pieces(std::iter::repeat_n(" word", 500));
        assert!(text.kept.capacity() <= 5_120, "{}", text.kept.capacity());
    }

    proptest! {
        #[test]
        fn splitting_a_text_changes_nothing(text in "\\PC{0,40}", repeat in 1usize..3_000, step in 1usize..90) {
            let text = text.repeat(repeat);
            let mut rest = text.as_str();
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(step));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(of_pieces(pieces), of_pieces([text.as_str()]));
        }
    }
}
