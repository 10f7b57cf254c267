//! The layers of prices: those that an operator has set, a file, and the snapshot in the binary;
//! and the names under which a model is looked for in them.

use super::{catalog::Catalog, model_price::ModelPrice, names, tables::ModelLimits};

/// A price that an operator has set, valid from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPrice {
    /// The number of its row in the database.
    pub id: i64,
    pub model: String,
    /// Unix time in milliseconds.
    pub from_ms: i64,
    /// Its name is that of the model.
    pub price: ModelPrice,
}

/// Where a price was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceSource {
    /// The row of the database that has it.
    Set(i64),
    File,
    Snapshot,
}

/// A price that holds for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPrice {
    pub source: PriceSource,
    /// Its name may be another one than the model's: that of the base model.
    pub price: ModelPrice,
}

/// All prices that hold, in the order in which they go before each other.
#[derive(Debug, Clone)]
pub struct PriceBook {
    /// Sorted by model, then time, then id.
    set: Vec<SetPrice>,
    file: Option<Catalog>,
    snapshot: Catalog,
}

impl FoundPrice {
    /// Returns the name under which the price stands.
    #[must_use]
    pub fn model(&self) -> &str {
        self.price.name()
    }
}

impl PriceBook {
    #[must_use]
    pub fn new(mut set: Vec<SetPrice>, file: Option<Catalog>, snapshot: Catalog) -> Self {
        set.sort_by(|a, b| {
            let order = a.model.cmp(&b.model);
            order.then((a.from_ms, a.id).cmp(&(b.from_ms, b.id)))
        });
        Self {
            set,
            file,
            snapshot,
        }
    }

    /// Returns the price of a request at a time. The model that was asked for goes before the one
    /// that the backend says it used, a name as it is before other spellings of it, and those
    /// before the base of a dated snapshot; each is looked for in all layers. A name as it is costs
    /// no allocation.
    #[must_use]
    pub fn find(&self, model: &str, served_model: Option<&str>, at_ms: i64) -> Option<FoundPrice> {
        first_name(model, served_model, |name| self.find_name(name, at_ms))
    }

    /// Returns the time around a moment in which no price that was set begins to hold: the first
    /// millisecond, and the one behind the last (Unix milliseconds).
    #[must_use]
    pub fn valid_ms(&self, at_ms: i64) -> (i64, i64) {
        let begins = || self.set.iter().map(|set| set.from_ms);
        let first = begins().filter(|from_ms| *from_ms <= at_ms).max();
        let next = begins().filter(|from_ms| *from_ms > at_ms).min();
        (first.unwrap_or(i64::MIN), next.unwrap_or(i64::MAX))
    }

    /// Returns the limits of a model as far as a file or the snapshot has them, under the name by
    /// which [`PriceBook::find`] would find it there.
    #[must_use]
    pub fn limits(&self, model: &str, served_model: Option<&str>) -> ModelLimits {
        let found = first_name(model, served_model, |name| {
            let catalogs = self.file.iter().chain([&self.snapshot]);
            let mut limits = catalogs.filter_map(|catalog| Some(catalog.get(name)?.limits()));
            limits.find(|limits| *limits != ModelLimits::default())
        });
        found.unwrap_or_default()
    }

    fn find_name(&self, name: &str, at_ms: i64) -> Option<FoundPrice> {
        if let Some(set) = self.set_at(name, at_ms) {
            return Some(FoundPrice {
                source: PriceSource::Set(set.id),
                price: set.price.clone(),
            });
        }
        let file = self.file.as_ref().map(|file| (PriceSource::File, file));
        let layers = file
            .into_iter()
            .chain([(PriceSource::Snapshot, &self.snapshot)]);
        let mut found = layers.filter_map(|(source, catalog)| {
            let price = catalog.get(name)?;
            Some(FoundPrice { source, price })
        });
        found.next()
    }

    /// Returns the latest price that was set for a model and holds at a time.
    fn set_at(&self, model: &str, at_ms: i64) -> Option<&SetPrice> {
        let holds = |set: &SetPrice| (set.model.as_str(), set.from_ms) <= (model, at_ms);
        let end = self.set.partition_point(holds);
        let latest = self.set[..end].last()?;
        (latest.model == model).then_some(latest)
    }
}

/// Returns what is found under the first of the names that a request's model may have.
fn first_name<T>(
    model: &str,
    served_model: Option<&str>,
    find: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let named = [Some(model), served_model];
    let named = || named.into_iter().flatten();
    let respelled = |name: &str| names::respelled(name).and_then(|name| find(&name));
    let based = |name: &str| {
        let mut bases = names::bases(name);
        bases.find_map(|base| find(base).or_else(|| respelled(base)))
    };
    named()
        .find_map(&find)
        .or_else(|| named().find_map(respelled))
        .or_else(|| {
            named().find_map(|name| based(name).or_else(|| based(&names::respelled(name)?)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn catalog(models: &[(&str, &str)]) -> Catalog {
        let members: Vec<String> = models
            .iter()
            .map(|(name, price)| {
                format!(r#""{name}":{{"input_cost_per_token":{price},"max_output_tokens":7}}"#)
            })
            .collect();
        Catalog::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap()
    }

    fn set(id: i64, model: &str, from_ms: i64) -> SetPrice {
        SetPrice {
            id,
            model: model.to_owned(),
            from_ms,
            price: ModelPrice::parse(model, r#"{"input_cost_per_token":"1"}"#).unwrap(),
        }
    }

    fn book() -> PriceBook {
        PriceBook::new(
            vec![
                set(3, "gpt-5", 2 * MINUTE_MS),
                set(2, "gpt-5", MINUTE_MS),
                set(4, "gpt-5", 2 * MINUTE_MS),
                set(1, "gpt-4o", 0),
                set(9, "gpt-5-mini", 0),
            ],
            Some(catalog(&[
                ("gpt-5", "2"),
                ("mine", "3"),
                ("o3-2025-01-01", "3"),
            ])),
            catalog(&[
                ("gpt-5", "4"),
                ("mine", "5"),
                ("o3", "5"),
                ("gpt-4o-2024-08-06", "6"),
                ("gemini/gemini-2.5-flash", "7"),
                ("ft:gpt-4o-2024-08-06", "8"),
            ]),
        )
    }

    /// Returns the source and the name under which a price is found.
    fn found(model: &str, served: Option<&str>, at_ms: i64) -> Option<(PriceSource, String)> {
        let found = book().find(model, served, at_ms)?;
        Some((found.source, found.model().to_owned()))
    }

    #[test]
    fn a_set_price_goes_before_a_file_and_a_file_before_the_snapshot() {
        use PriceSource::*;
        for (at_ms, source) in [
            (-1, File),
            (MINUTE_MS - 1, File),
            (MINUTE_MS, Set(2)),
            (2 * MINUTE_MS - 1, Set(2)),
            (2 * MINUTE_MS, Set(4)),
            (i64::MAX, Set(4)),
        ] {
            assert_eq!(found("gpt-5", None, at_ms), Some((source, "gpt-5".into())));
        }
        assert_eq!(found("mine", None, 0), Some((File, "mine".into())));
        assert_eq!(found("o3", None, 0), Some((Snapshot, "o3".into())));
        assert_eq!(found("gpt-4", Some("gpt-4.1"), 0), None);
    }

    #[test]
    fn an_exact_name_goes_before_other_spellings_and_bases() {
        use PriceSource::*;
        for (model, served, source, name) in [
            ("gpt-4o", Some("gpt-4o-2024-08-06"), Set(1), "gpt-4o"),
            (
                "fast",
                Some("gpt-4o-2024-08-06"),
                Snapshot,
                "gpt-4o-2024-08-06",
            ),
            (
                "openai/gpt-4o",
                Some("gpt-4o-2024-08-06"),
                Snapshot,
                "gpt-4o-2024-08-06",
            ),
            ("openai/gpt-4o", None, Set(1), "gpt-4o"),
            ("gpt-4o-2099-01-01", None, Set(1), "gpt-4o"),
            ("gpt-4o-2099-01-01", Some("o3-2099-01-01"), Set(1), "gpt-4o"),
            ("openai/o3-2099-01-01", None, Snapshot, "o3"),
            ("fast", Some("o3-2025-01-01"), File, "o3-2025-01-01"),
            ("fast", Some("o3-2025-02-01"), Snapshot, "o3"),
            (
                "gemini-2.5-flash",
                None,
                Snapshot,
                "gemini/gemini-2.5-flash",
            ),
            (
                "models/gemini-2.5-flash-preview-09-2025",
                None,
                Snapshot,
                "gemini/gemini-2.5-flash",
            ),
            (
                "ft:gpt-4o-2024-08-06:acme::1",
                None,
                Snapshot,
                "ft:gpt-4o-2024-08-06",
            ),
        ] {
            let expected = Some((source, name.to_owned()));
            assert_eq!(
                found(model, served, MINUTE_MS),
                expected,
                "{model} {served:?}"
            );
        }
        // A fine-tuned model never has the price of the model that it was made of.
        assert_eq!(found("ft:gpt-4.1:acme::1", None, 0), None);
    }

    #[test]
    fn limits_are_known_although_a_price_was_set() {
        let limits = book().limits("gpt-5", None);
        assert_eq!(limits.max_output_tokens, Some(7));
        assert_eq!(book().limits("gpt-5-mini", None), ModelLimits::default());
    }
}
