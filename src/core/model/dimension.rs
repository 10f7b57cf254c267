//! The dimensions that a report can be split by.

use std::{fmt, str::FromStr};

/// A way to split sums. Several may be combined, one of them of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    Endpoint,
    Model,
    User,
    Group,
    Key,
    /// Spans of time begin and end in the configured time zone.
    Period(Period),
}

/// A calendar span of time. A week begins on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
}

/// The error for a list of dimensions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DimensionError {
    #[error("{0:?} is none of endpoint, model, user, group, key, hour, day, week, month")]
    Unknown(String),
    #[error("{0} and {1} cannot be used together")]
    TwoPeriods(Dimension, Dimension),
}

impl Dimension {
    const ALL: [Self; 9] = [
        Self::Endpoint,
        Self::Model,
        Self::User,
        Self::Group,
        Self::Key,
        Self::Period(Period::Hour),
        Self::Period(Period::Day),
        Self::Period(Period::Week),
        Self::Period(Period::Month),
    ];

    /// The word for it in `by` and in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Model => "model",
            Self::User => "user",
            Self::Group => "group",
            Self::Key => "key",
            Self::Period(Period::Hour) => "hour",
            Self::Period(Period::Day) => "day",
            Self::Period(Period::Week) => "week",
            Self::Period(Period::Month) => "month",
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

    /// Returns the span of time, if it is one.
    #[must_use]
    pub fn period(self) -> Option<Period> {
        match self {
            Self::Period(period) => Some(period),
            _ => None,
        }
    }

    /// Reads a list such as `day,model`. A doubled word counts once.
    ///
    /// # Errors
    /// The first word that is no dimension, or two spans of time.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, DimensionError> {
        let words = text.split(',').map(str::trim);
        let list: Result<Vec<_>, _> = words
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect();
        Self::checked(&list?)
    }

    /// Returns the list with only the first of doubled dimensions.
    fn checked(list: &[Self]) -> Result<Vec<Self>, DimensionError> {
        let mut singles: Vec<Self> = Vec::new();
        for dimension in list {
            if singles.contains(dimension) {
                continue;
            }
            let is_period = |known: &&Self| known.period().is_some();
            if dimension.period().is_some()
                && let Some(other) = singles.iter().find(is_period)
            {
                return Err(DimensionError::TwoPeriods(*other, *dimension));
            }
            singles.push(*dimension);
        }
        Ok(singles)
    }
}

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|dimension| dimension.word().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| DimensionError::Unknown(text.chars().take(40).collect()))
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
        let day = Dimension::Period(Period::Day);
        assert_eq!(
            Dimension::parse_list(" day, Model,day,"),
            Ok(vec![day, Dimension::Model])
        );
        assert_eq!(Dimension::parse_list(""), Ok(vec![]));
        assert_eq!(
            Dimension::parse_list("day,year").unwrap_err().to_string(),
            r#""year" is none of endpoint, model, user, group, key, hour, day, week, month"#
        );
        assert_eq!(
            Dimension::parse_list("day,model,month")
                .unwrap_err()
                .to_string(),
            "day and month cannot be used together"
        );
    }
}
