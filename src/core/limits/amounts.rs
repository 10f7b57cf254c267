//! What budgets count.

use std::ops::{AddAssign, SubAssign};

use crate::model::BudgetUnit;

/// An amount in each unit of budgets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    pub nano_usd: i64,
    pub tokens: i64,
    pub requests: i64,
}

impl Amounts {
    #[must_use]
    pub fn of(&self, unit: BudgetUnit) -> i64 {
        match unit {
            BudgetUnit::Usd => self.nano_usd,
            BudgetUnit::Tokens => self.tokens,
            BudgetUnit::Requests => self.requests,
        }
    }
}

/// A sum that does not fit is the largest number.
impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.nano_usd = self.nano_usd.saturating_add(other.nano_usd);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.requests = self.requests.saturating_add(other.requests);
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.nano_usd = self.nano_usd.saturating_sub(other.nano_usd);
        self.tokens = self.tokens.saturating_sub(other.tokens);
        self.requests = self.requests.saturating_sub(other.requests);
    }
}
