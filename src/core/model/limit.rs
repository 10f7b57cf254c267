//! The limits that an operator sets on a user, a group or everybody.

use std::{fmt, str::FromStr};

use super::NanoUsd;

/// The most patterns in one list of models, and the longest pattern in characters.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_CHARS: usize = 200;
/// The largest rate. The level of its bucket in sixty-thousandths still fits.
const MAX_RATE: i64 = 1_000_000_000_000;
const MAX_WEIGHT: i64 = 1_000;

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetUnit {
    /// Amounts are nano-dollars.
    Usd,
    Tokens,
    /// Rows of the ledger with a status of success.
    Requests,
}

/// The time in which a budget is used up. All but the last begin anew in the operator's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BudgetWindow {
    Day,
    Week,
    Month,
    Total,
}

/// The kind of a limit. A subject has at most one limit of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    Budget(BudgetUnit, BudgetWindow),
    RequestsPerMinute,
    TokensPerMinute,
    Concurrent,
    Models,
    DenyModels,
    MaxOutputTokens,
    /// The share of a user where requests wait.
    Weight,
    /// Models without a price may be used under a budget in dollars.
    AllowUnpriced,
}

/// What a limit allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitValue {
    /// Nano-dollars, tokens, requests or a weight, by the kind.
    Amount(i64),
    /// Names of models, in which `*` stands for any text.
    Patterns(Vec<String>),
}

/// A limit as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub kind: LimitKind,
    pub value: LimitValue,
    /// The limit refuses nothing: it counts what it would have refused.
    pub is_watched: bool,
}

/// On whom a limit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitScope {
    /// The default of all users who have no limit of the kind.
    Everybody,
    Group(i64),
    User(i64),
}

/// What raises a budget for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extra {
    pub unit: BudgetUnit,
    /// `None`: every budget in the unit.
    pub window: Option<BudgetWindow>,
    pub amount: i64,
    /// Unix time in milliseconds at which it ends.
    pub until_ms: i64,
}

/// Why a text is no limit. Each completes the name of a flag, as in "budget must be …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error(
        "must be an amount and a window, such as 20usd/month, 2Mtokens/day, 500requests/week or 100usd/total: {0:?}"
    )]
    Budget(String),
    #[error(
        "must be an amount, such as 20usd or 500ktokens, or that of one budget, such as 20usd/month: {0:?}"
    )]
    Extra(String),
    #[error("must be a number from 0 to {1}: {0:?}")]
    Number(String, i64),
    #[error("must be a number from 1 to {1}: {0:?}")]
    Positive(String, i64),
    #[error(
        "must be names of models separated by commas, in which * stands for any text, such as gpt-4.1*,o4-mini: at most {MAX_PATTERNS}, of {MAX_PATTERN_CHARS} characters each"
    )]
    Patterns,
    #[error("must be allow or refuse: {0:?}")]
    Unpriced(String),
}

impl BudgetUnit {
    pub const ALL: [Self; 3] = [Self::Usd, Self::Tokens, Self::Requests];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "usd" => Self::Usd,
            "tokens" | "token" => Self::Tokens,
            "requests" | "request" => Self::Requests,
            _ => return None,
        })
    }

    /// Writes an amount of this unit as a person reads it: `12.50` dollars, or a plain number.
    #[must_use]
    pub fn format(self, amount: i64) -> String {
        match self {
            Self::Usd => short_usd(amount),
            Self::Tokens | Self::Requests => amount.to_string(),
        }
    }
}

/// Writes dollars without needless zeros, with two places at least if there are any.
fn short_usd(nanos: i64) -> String {
    let text = NanoUsd(nanos).to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    match fraction.len() {
        0 => whole.to_owned(),
        1 => format!("{whole}.{fraction}0"),
        _ => format!("{whole}.{fraction}"),
    }
}

impl BudgetWindow {
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Total];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// Returns the window of a word; `None` for one that is not known.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == word)
    }
}

impl LimitKind {
    /// Returns the words under which the database has the kind: kind and window.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Budget(BudgetUnit::Usd, window) => ("usd_budget", window.as_str()),
            Self::Budget(BudgetUnit::Tokens, window) => ("token_budget", window.as_str()),
            Self::Budget(BudgetUnit::Requests, window) => ("request_budget", window.as_str()),
            Self::RequestsPerMinute => ("requests_per_minute", ""),
            Self::TokensPerMinute => ("tokens_per_minute", ""),
            Self::Concurrent => ("concurrent", ""),
            Self::Models => ("models", ""),
            Self::DenyModels => ("deny_models", ""),
            Self::MaxOutputTokens => ("max_output_tokens", ""),
            Self::Weight => ("weight", ""),
            Self::AllowUnpriced => ("unpriced", ""),
        }
    }

    /// Returns the kind for the words of the database; `None` for those of a newer version.
    #[must_use]
    pub fn of_words(kind: &str, window: &str) -> Option<Self> {
        let budget = |unit| BudgetWindow::parse(window).map(|window| Self::Budget(unit, window));
        match kind {
            "usd_budget" => budget(BudgetUnit::Usd),
            "token_budget" => budget(BudgetUnit::Tokens),
            "request_budget" => budget(BudgetUnit::Requests),
            _ => Self::SINGLE
                .into_iter()
                .find(|single| single.words().0 == kind),
        }
    }

    /// All kinds but budgets.
    pub const SINGLE: [Self; 8] = [
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::Concurrent,
        Self::Models,
        Self::DenyModels,
        Self::MaxOutputTokens,
        Self::Weight,
        Self::AllowUnpriced,
    ];

    /// Returns the name that people and programs see: `budget` for all budgets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Budget(..) => "budget",
            other => other.words().0,
        }
    }
}

impl Limit {
    /// The largest budget: a billion dollars in nano-dollars. A sum can hold nine of them.
    pub const MAX_BUDGET: i64 = 1_000_000_000_000_000_000;

    /// Reads the value of a limit that is no budget.
    ///
    /// # Errors
    /// [`LimitError`] says what is accepted.
    pub fn parse(kind: LimitKind, text: &str, is_watched: bool) -> Result<Self, LimitError> {
        let value = match kind {
            LimitKind::Models | LimitKind::DenyModels => LimitValue::Patterns(patterns(text)?),
            LimitKind::Weight => match text.trim().parse() {
                Ok(weight @ 1..=MAX_WEIGHT) => LimitValue::Amount(weight),
                _ => return Err(LimitError::Positive(text.to_owned(), MAX_WEIGHT)),
            },
            LimitKind::AllowUnpriced => match text.trim() {
                "allow" => LimitValue::Amount(1),
                "refuse" => LimitValue::Amount(0),
                _ => return Err(LimitError::Unpriced(text.to_owned())),
            },
            LimitKind::Budget(..) => return text.parse::<Self>(),
            // Some backends take 0 for no limit.
            LimitKind::MaxOutputTokens => match count(text.trim()) {
                Some(amount @ 1..=MAX_RATE) => LimitValue::Amount(amount),
                _ => return Err(LimitError::Positive(text.to_owned(), MAX_RATE)),
            },
            _ => {
                let amount = count(text.trim()).filter(|amount| (0..=MAX_RATE).contains(amount));
                let number = || LimitError::Number(text.to_owned(), MAX_RATE);
                LimitValue::Amount(amount.ok_or_else(number)?)
            }
        };
        Ok(Self {
            kind,
            value,
            is_watched,
        })
    }

    /// Writes the limit with its name: `20usd/month`, `concurrent 4`.
    #[must_use]
    pub fn described(&self) -> String {
        match self.kind {
            LimitKind::Budget(..) => self.to_string(),
            kind => format!("{} {self}", kind.name()),
        }
    }

    /// Returns the amount of a limit that has one.
    #[must_use]
    pub fn amount(&self) -> Option<i64> {
        match self.value {
            LimitValue::Amount(amount) => Some(amount),
            LimitValue::Patterns(_) => None,
        }
    }
}

/// Reads a budget such as `20usd/month`.
impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (amount, unit, window) =
            budget(text).ok_or_else(|| LimitError::Budget(text.to_owned()))?;
        let window = window.ok_or_else(|| LimitError::Budget(text.to_owned()))?;
        Ok(Self {
            kind: LimitKind::Budget(unit, window),
            value: LimitValue::Amount(amount),
            is_watched: false,
        })
    }
}

/// Writes the value as it can be read: `20usd/month`, `60`, `gpt-4.1*,o4-mini`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.value) {
            (LimitKind::Budget(unit, window), LimitValue::Amount(amount)) => {
                write!(f, "{}", BudgetText(unit, Some(window), *amount))
            }
            (LimitKind::AllowUnpriced, LimitValue::Amount(0)) => f.write_str("refuse"),
            (LimitKind::AllowUnpriced, _) => f.write_str("allow"),
            (_, LimitValue::Amount(amount)) => amount.fmt(f),
            (_, LimitValue::Patterns(patterns)) => f.write_str(&patterns.join(",")),
        }
    }
}

impl Extra {
    /// Reads an amount such as `20usd`, or that of one budget, such as `20usd/month`.
    ///
    /// # Errors
    /// [`LimitError::Extra`].
    pub fn parse(text: &str, until_ms: i64) -> Result<Self, LimitError> {
        let error = || LimitError::Extra(text.to_owned());
        let (amount, unit, window) = budget(text).ok_or_else(error)?;
        if amount == 0 {
            return Err(error());
        }
        Ok(Self {
            unit,
            window,
            amount,
            until_ms,
        })
    }

    /// Returns whether it raises a budget.
    #[must_use]
    pub fn is_for(&self, unit: BudgetUnit, window: BudgetWindow) -> bool {
        self.unit == unit && self.window.is_none_or(|only| only == window)
    }
}

/// Writes the amount as it can be read.
impl fmt::Display for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", BudgetText(self.unit, self.window, self.amount))
    }
}

/// An amount with its unit and its window, such as `2Mtokens/day`.
struct BudgetText(BudgetUnit, Option<BudgetWindow>, i64);

impl fmt::Display for BudgetText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(unit, window, amount) = *self;
        match unit {
            BudgetUnit::Usd => f.write_str(&short_usd(amount))?,
            _ => match amount {
                0 => f.write_str("0")?,
                _ if amount % 1_000_000 == 0 => write!(f, "{}M", amount / 1_000_000)?,
                _ if amount % 1_000 == 0 => write!(f, "{}k", amount / 1_000)?,
                _ => amount.fmt(f)?,
            },
        }
        f.write_str(unit.as_str())?;
        match window {
            Some(window) => write!(f, "/{}", window.as_str()),
            None => Ok(()),
        }
    }
}

/// Reads an amount with its unit, and a window if there is one.
fn budget(text: &str) -> Option<(i64, BudgetUnit, Option<BudgetWindow>)> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (amount, window) = match text.split_once('/') {
        Some((amount, window)) => {
            let window = window.to_ascii_lowercase();
            (amount, Some(BudgetWindow::parse(&window)?))
        }
        None => (&*text, None),
    };
    let letters = amount.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, words) = amount.split_at(letters);
    let (factor, unit) = match BudgetUnit::parse(&words.to_ascii_lowercase()) {
        Some(unit) => (1, unit),
        None => (
            factor(words.chars().next()?)?,
            BudgetUnit::parse(&words.get(1..)?.to_ascii_lowercase())?,
        ),
    };
    let amount = match unit {
        BudgetUnit::Usd => scaled(number, factor.checked_mul(1_000_000_000)?)?,
        _ => scaled(number, factor)?,
    };
    (amount <= Limit::MAX_BUDGET).then_some((amount, unit, window))
}

/// Returns the number that a letter multiplies by.
fn factor(letter: char) -> Option<i64> {
    match letter {
        'k' | 'K' => Some(1_000),
        'm' | 'M' => Some(1_000_000),
        'g' | 'G' | 'b' | 'B' => Some(1_000_000_000),
        _ => None,
    }
}

/// Reads a whole number, with a letter such as `k` behind it or not.
fn count(text: &str) -> Option<i64> {
    let last = text.chars().next_back()?;
    match factor(last) {
        Some(factor) => scaled(&text[..text.len() - 1], factor),
        None => scaled(text, 1),
    }
}

/// Multiplies a decimal text, exactly: `None` if that is no whole number.
fn scaled(text: &str, factor: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    if !has_digits || fraction.len() > 12 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let places = u32::try_from(fraction.len()).ok()?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(i128::from(factor))?;
    let divisor = 10_i128.pow(places);
    (scaled % divisor == 0).then(|| i64::try_from(scaled / divisor).ok())?
}

fn patterns(text: &str) -> Result<Vec<String>, LimitError> {
    let patterns: Vec<String> = text
        .split(',')
        .map(|pattern| pattern.trim().to_owned())
        .filter(|pattern| !pattern.is_empty())
        .collect();
    let is_pattern = |pattern: &String| {
        pattern.chars().count() <= MAX_PATTERN_CHARS && !pattern.chars().any(char::is_control)
    };
    if patterns.is_empty() || patterns.len() > MAX_PATTERNS || !patterns.iter().all(is_pattern) {
        return Err(LimitError::Patterns);
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn budgets_are_read_and_written_the_same() {
        use BudgetUnit::*;
        use BudgetWindow::*;
        for (text, unit, window, amount, written) in [
            ("20usd/month", Usd, Month, 20_000_000_000, "20usd/month"),
            ("0.5USD/Day", Usd, Day, 500_000_000, "0.50usd/day"),
            ("2Mtokens/day", Tokens, Day, 2_000_000, "2Mtokens/day"),
            ("1.5k tokens / week", Tokens, Week, 1_500, "1500tokens/week"),
            ("500requests/week", Requests, Week, 500, "500requests/week"),
            ("1request/total", Requests, Total, 1, "1requests/total"),
            ("0usd/total", Usd, Total, 0, "0usd/total"),
            ("0.000000001usd/day", Usd, Day, 1, "0.000000001usd/day"),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.kind, LimitKind::Budget(unit, window), "{text}");
            assert_eq!(limit.amount(), Some(amount), "{text}");
            assert_eq!(limit.to_string(), written);
        }
        for text in [
            "",
            "20",
            "20usd",
            "usd/month",
            "20usd/year",
            "20eur/month",
            "-1usd/day",
            "1.5requests/day",
            "1e3tokens/day",
            "0.0000000001usd/day",
            "99999999999999999999tokens/day",
            "20xusd/day",
        ] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_limits_have_numbers_or_patterns() {
        let limit =
            |kind, text: &str| Limit::parse(kind, text, false).map(|limit| limit.to_string());
        assert_eq!(
            limit(LimitKind::TokensPerMinute, "30k"),
            Ok("30000".to_owned())
        );
        assert_eq!(limit(LimitKind::Concurrent, "0"), Ok("0".to_owned()));
        assert!(limit(LimitKind::Concurrent, "-1").is_err());
        assert!(limit(LimitKind::Weight, "0").is_err());
        let models = limit(LimitKind::Models, "gpt-4.1*, o4-mini");
        assert_eq!(models, Ok("gpt-4.1*,o4-mini".to_owned()));
        assert!(limit(LimitKind::Models, " , ").is_err());
        assert_eq!(
            limit(LimitKind::AllowUnpriced, "allow"),
            Ok("allow".to_owned())
        );
    }

    #[test]
    fn an_extra_is_for_one_budget_or_all_in_its_unit() {
        let all = Extra::parse("20usd", 5).unwrap();
        assert!(all.is_for(BudgetUnit::Usd, BudgetWindow::Day));
        assert!(!all.is_for(BudgetUnit::Tokens, BudgetWindow::Day));
        let month = Extra::parse("20usd/month", 5).unwrap();
        assert!(!month.is_for(BudgetUnit::Usd, BudgetWindow::Day));
        assert!(Extra::parse("0usd", 5).is_err());
    }

    #[test]
    fn every_kind_has_its_words() {
        let budgets = BudgetUnit::ALL
            .into_iter()
            .flat_map(|unit| BudgetWindow::ALL.map(|window| LimitKind::Budget(unit, window)));
        for kind in budgets.chain(LimitKind::SINGLE) {
            let (word, window) = kind.words();
            assert_eq!(LimitKind::of_words(word, window), Some(kind));
        }
    }

    proptest! {
        #[test]
        fn a_budget_that_is_read_is_written_so_that_it_is_read_again(
            text in "[0-9]{0,6}(\\.[0-9]{0,4})?[kMG]?(usd|tokens|requests)/(day|total)|.{0,20}"
        ) {
            if let Ok(limit) = text.parse::<Limit>() {
                prop_assert_eq!(limit.to_string().parse(), Ok(limit));
            }
        }
    }
}
