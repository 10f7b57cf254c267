//! Notes on what does not come, or comes changed: each kind once, with how often and the first places.

use serde::Serialize;

/// What a note says of rows whose user is gone.
pub(super) const NO_USER: &str = "usage rows left out, because their user is not in the file";

/// The most places that a note names.
const MAX_PLACES: usize = 3;

/// A kind of note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub what: &'static str,
    pub count: u64,
    /// The first places.
    pub places: Vec<String>,
}

/// Notes in the order in which they first came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Counts a note. The place is asked for only if it is shown.
    pub fn add(&mut self, what: &'static str, place: impl FnOnce() -> String) {
        let known = self.0.iter().position(|note| note.what == what);
        let index = known.unwrap_or_else(|| {
            self.0.push(Note {
                what,
                count: 0,
                places: Vec::new(),
            });
            self.0.len() - 1
        });
        let note = &mut self.0[index];
        note.count += 1;
        if note.places.len() < MAX_PLACES {
            note.places.push(place());
        }
    }

    /// Adds other notes behind these.
    pub fn extend(&mut self, other: Self) {
        for added in other.0 {
            match self.0.iter_mut().find(|note| note.what == added.what) {
                Some(note) => {
                    note.count += added.count;
                    note.places.extend(added.places);
                    note.places.truncate(MAX_PLACES);
                }
                None => self.0.push(added),
            }
        }
    }

    #[must_use]
    pub fn into_vec(self) -> Vec<Note> {
        self.0
    }
}

impl Note {
    /// Writes the note as a line: `usage rows left out …: 12 (row 5, row 9, row 14, …)`.
    #[must_use]
    pub fn line(&self) -> String {
        let mut places = self.places.join(", ");
        if self.count > u64::try_from(self.places.len()).unwrap_or(u64::MAX) {
            places.push_str(", …");
        }
        format!("{}: {} ({places})", self.what, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_counted_by_kind_and_name_the_first_places() {
        let mut notes = Notes::default();
        for row in 1..=5 {
            notes.add("left out", || format!("row {row}"));
        }
        let mut other = Notes::default();
        other.add("changed", || "a".to_owned());
        other.add("left out", || "row 9".to_owned());
        notes.extend(other);
        let lines: Vec<String> = notes.into_vec().iter().map(Note::line).collect();
        assert_eq!(
            lines,
            ["left out: 6 (row 1, row 2, row 3, …)", "changed: 1 (a)"]
        );
    }
}
