//! The dimensions that a report can be split by.

use std::{fmt, str::FromStr};

/// A way to split sums. Several may be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    Endpoint,
    Model,
    User,
    /// A calendar day in UTC.
    Day,
}

/// The error for a word that is no dimension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of endpoint, model, user, day")]
pub struct DimensionError(String);

impl Dimension {
    const ALL: [Self; 4] = [Self::Endpoint, Self::Model, Self::User, Self::Day];

    /// The word for it in `by` and in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Model => "model",
            Self::User => "user",
            Self::Day => "day",
        }
    }

    /// The name of its member in JSON and of its column in CSV.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::User => "username",
            other => other.word(),
        }
    }

    /// Reads a list such as `day,model`. A doubled word counts once.
    ///
    /// # Errors
    /// The first word that is no dimension.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, DimensionError> {
        let words = text.split(',').map(str::trim);
        let list: Result<Vec<_>, _> = words
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect();
        Ok(Self::without_doubles(&list?))
    }

    /// Returns the list with only the first of doubled dimensions.
    #[must_use]
    pub fn without_doubles(list: &[Self]) -> Vec<Self> {
        let mut singles = Vec::new();
        for dimension in list {
            if !singles.contains(dimension) {
                singles.push(*dimension);
            }
        }
        singles
    }
}

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|dimension| dimension.word().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| DimensionError(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_order_and_without_doubles() {
        assert_eq!(
            Dimension::parse_list(" day, Model,day,"),
            Ok(vec![Dimension::Day, Dimension::Model])
        );
        assert_eq!(Dimension::parse_list(""), Ok(vec![]));
        assert_eq!(
            Dimension::parse_list("day,week").unwrap_err().to_string(),
            r#""week" is none of endpoint, model, user, day"#
        );
    }
}
