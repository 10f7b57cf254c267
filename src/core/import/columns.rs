//! Which column of a table holds what: other versions of a program call it by another name.

use super::ImportError;

/// A table of another program, and what is wanted of it.
#[derive(Debug)]
pub struct Table {
    /// The names that the table may have.
    pub names: &'static [&'static str],
    pub wanted: &'static [Wanted],
}

/// Something that a table has a column for.
#[derive(Debug)]
pub struct Wanted {
    /// What it is, for messages.
    pub what: &'static str,
    /// The names that the column may have, the likeliest first.
    pub columns: &'static [&'static str],
    pub is_needed: bool,
}

impl Wanted {
    pub(super) const fn needed(what: &'static str, columns: &'static [&'static str]) -> Self {
        Self {
            what,
            columns,
            is_needed: true,
        }
    }

    pub(super) const fn optional(what: &'static str, columns: &'static [&'static str]) -> Self {
        Self {
            what,
            columns,
            is_needed: false,
        }
    }
}

impl Table {
    /// Returns the name that the table has among those of a file.
    #[must_use]
    pub fn find<'t>(&self, tables: &'t [String]) -> Option<&'t str> {
        let mut names = self.names.iter();
        names.find_map(|name| find(tables, name))
    }

    /// Returns the column for each thing that is wanted; `None` for one that is missing and not
    /// needed.
    ///
    /// # Errors
    /// [`ImportError::NoColumn`] lists the columns that there are and those that were looked for.
    pub fn columns(
        &self,
        table: &str,
        present: &[String],
    ) -> Result<Vec<Option<String>>, ImportError> {
        let column = |wanted: &Wanted| {
            let found = wanted.columns.iter().find_map(|name| find(present, name));
            if found.is_none() && wanted.is_needed {
                return Err(no_column(table, present, &[wanted]));
            }
            Ok(found.map(str::to_owned))
        };
        self.wanted.iter().map(column).collect()
    }

    /// Checks that there is a column for at least one of several things.
    pub(super) fn need_one(
        &self,
        table: &str,
        present: &[String],
        places: &[usize],
    ) -> Result<(), ImportError> {
        let wanted: Vec<&Wanted> = places.iter().map(|place| &self.wanted[*place]).collect();
        let has_one = wanted
            .iter()
            .flat_map(|wanted| wanted.columns)
            .any(|name| find(present, name).is_some());
        if has_one {
            return Ok(());
        }
        Err(no_column(table, present, &wanted))
    }
}

fn no_column(table: &str, present: &[String], wanted: &[&Wanted]) -> ImportError {
    let names = wanted.iter().flat_map(|wanted| wanted.columns);
    ImportError::NoColumn {
        table: table.to_owned(),
        what: wanted.first().map_or("", |wanted| wanted.what),
        found: present.to_vec(),
        wanted: names.copied().collect(),
    }
}

fn find<'t>(names: &'t [String], wanted: &str) -> Option<&'t str> {
    let found = names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
    found.map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        names: &["usage_logs", "usage"],
        wanted: &[
            Wanted::needed("the input tokens", &["input_tokens", "prompt_tokens"]),
            Wanted::optional("the status", &["status"]),
        ],
    };

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn tables_and_columns_are_found_by_any_of_their_names() {
        assert_eq!(TABLE.find(&names(&["a", "Usage"])), Some("Usage"));
        let columns = TABLE.columns("usage", &names(&["id", "PROMPT_TOKENS"]));
        assert_eq!(columns, Ok(vec![Some("PROMPT_TOKENS".to_owned()), None]));
    }

    #[test]
    fn the_message_names_what_there_is_and_what_was_looked_for() {
        let error = TABLE
            .columns("usage", &names(&["id", "tokens_in"]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the table \"usage\" has no column for the input tokens: it has id, tokens_in, and none of input_tokens, prompt_tokens"
        );
    }
}
