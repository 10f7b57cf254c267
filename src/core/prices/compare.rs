//! What a new set of prices changes, so that a broken or wrong file is noticed before it counts.

use super::{catalog::Catalog, field::Field, model_price::ModelPrice, unit::UnitPrice};

/// A set of prices that lacks more than this share of the old models needs a confirmation.
const MAX_LOST_PERCENT: usize = 5;
/// So does one that changes a price by more than this factor.
const MAX_FACTOR: i64 = 3;

/// What is lost or far off in a new set of prices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Models in the old set.
    pub old_models: usize,
    /// Models that have no price any more.
    pub lost: Vec<String>,
    pub changed_threefold: Vec<PriceChange>,
}

/// A price that is more than three times as high or as low as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    pub model: String,
    pub field: Field,
    pub old: UnitPrice,
    pub new: UnitPrice,
}

impl Changes {
    /// Returns whether someone should look at the changes before they count.
    #[must_use]
    pub fn needs_confirmation(&self) -> bool {
        let lost_percents = self.lost.len() * 100;
        lost_percents > self.old_models * MAX_LOST_PERCENT || !self.changed_threefold.is_empty()
    }
}

/// Compares two sets of prices. A price that is new, or gone while its model is not, is no change:
/// it has no factor.
#[must_use]
pub fn compare(old: &Catalog, new: &Catalog) -> Changes {
    let mut changes = Changes {
        old_models: old.len(),
        ..Changes::default()
    };
    for before in old.iter() {
        match new.get(before.name()) {
            None => changes.lost.push(before.name().to_owned()),
            Some(after) => changes.changed_threefold.extend(far_off(&before, &after)),
        }
    }
    changes
}

fn far_off(before: &ModelPrice, after: &ModelPrice) -> Vec<PriceChange> {
    let pairs = before
        .fields()
        .filter_map(|(field, old)| Some((field, old, after.field(field)?)));
    let far = pairs.filter(|(_, old, new)| {
        let (old, new) = (old.femto_usd(), new.femto_usd());
        old.max(new) > old.min(new).saturating_mul(MAX_FACTOR)
    });
    far.map(|(field, old, new)| PriceChange {
        model: before.name().to_owned(),
        field: field.clone(),
        old,
        new,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(models: impl IntoIterator<Item = (usize, &'static str)>) -> Catalog {
        let members: Vec<String> = models
            .into_iter()
            .map(|(number, price)| format!(r#""m{number}":{{"input_cost_per_token":{price}}}"#))
            .collect();
        Catalog::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
    }

    #[test]
    fn a_loss_of_more_than_a_twentieth_needs_a_confirmation() {
        let old = catalog((0..100).map(|number| (number, "1e-6")));
        for (kept, expected) in [(100, false), (95, false), (94, true), (0, true)] {
            let new = catalog((0..kept).map(|number| (number, "2e-6")));
            let changes = compare(&old, &new);
            assert_eq!(changes.lost.len(), 100 - kept);
            assert_eq!(changes.needs_confirmation(), expected, "{kept}");
        }
        assert!(!compare(&catalog([]), &old).needs_confirmation());
    }

    #[test]
    fn a_price_more_than_threefold_needs_a_confirmation() {
        for (old, new, expected) in [
            ("1e-6", "3e-6", false),
            ("1e-6", "3.000001e-6", true),
            ("3e-6", "1e-6", false),
            ("3.000001e-6", "1e-6", true),
            ("0", "1e-9", true),
            ("1e-9", "0", true),
            ("0", "0", false),
            ("9000", "1", true),
        ] {
            let changes = compare(&catalog([(1, old)]), &catalog([(1, new)]));
            assert_eq!(changes.needs_confirmation(), expected, "{old} {new}");
            assert_eq!(changes.changed_threefold.len(), usize::from(expected));
        }
    }
}
