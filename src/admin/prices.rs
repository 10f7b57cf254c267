//! Operations on prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AdminContext, AdminError, Member, Method, Operation, Window, fields::required, members::closest,
};
use crate::{
    model::{NanoUsd, TimeRange, now_ms},
    prices::{Field, FoundPrice, ModelPrice, PriceSource, Stem, UnitPrice},
    store::{
        prices, prune,
        reports::{self, Ranking, Scope},
        reprice::{self, Repricing},
    },
};

/// The most prices that a list has.
const MAX_LISTED: usize = 5_000;

/// Lists prices: of one model, or of all models whose names contain a text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ListPrices {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Names the models in the ledger whose requests have no cost.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CheckPrices {}

/// Sets the price of a model from a time on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SetPrice {
    pub model: Option<String>,
    /// A model whose price is taken for what is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
    /// Dollars for a million input tokens, as decimal text. The next two are of the same form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Dollars a unit, by the names of LiteLLM's price file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
    /// The time from which on it holds; now if it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Withdraws the latest price that was set for a model.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct UnsetPrice {
    pub model: Option<String>,
}

/// Prices rows anew and books the difference.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Reprice {
    #[serde(flatten)]
    pub window: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The price of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PriceEntry {
    pub model: String,
    /// The model whose price this is, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priced_as: Option<String>,
    /// `set`, `file` or `snapshot`.
    pub source: String,
    /// UTC ISO 8601; only of a price that was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Dollars for a million tokens.
    pub input_usd_per_million: Option<String>,
    pub cached_usd_per_million: Option<String>,
    pub output_usd_per_million: Option<String>,
    /// Dollars a unit, by the names of LiteLLM's price file.
    pub fields: BTreeMap<String, String>,
}

/// Answer to `list_prices`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PriceList {
    pub prices: Vec<PriceEntry>,
}

/// A model in the ledger that has requests without a cost.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnpricedModel {
    pub model: String,
    pub unpriced_requests: i64,
    pub total_tokens: u64,
    /// What its priced requests cost.
    pub cost_usd: NanoUsd,
    /// There is a price by now, so that pricing anew helps.
    pub has_price: bool,
}

/// Answer to `check_prices`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PriceCheck {
    pub models: Vec<UnpricedModel>,
}

impl Operation for ListPrices {
    type Answer = PriceList;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/list_prices";
    const MEMBERS: &'static [Member] = &[Member::text("model")];

    fn run(self, context: &AdminContext) -> Result<PriceList, AdminError> {
        let connection = context.connection()?;
        let file = context.price_file()?;
        let set = prices::all_set(&connection)?;
        let book = prices::book(&connection, file.clone())?;
        let now_ms = now_ms();
        let entry = |model: &str, found: FoundPrice| {
            let from_ms = match found.source {
                PriceSource::Set(id) => {
                    let set = set.iter().find(|set| set.id == id);
                    set.map(|set| set.from_ms)
                }
                PriceSource::File | PriceSource::Snapshot => None,
            };
            entry_of(model, &found, from_ms)
        };
        if let Some(model) = &self.model
            && let Some(found) = book.find(model, None, now_ms)
        {
            return Ok(PriceList {
                prices: vec![entry(model, found)],
            });
        }
        let catalogs = [file, Some(crate::prices::snapshot())];
        let mut names: Vec<String> = catalogs
            .iter()
            .flatten()
            .flat_map(|catalog| catalog.iter().map(|price| price.name().to_owned()))
            .chain(set.iter().map(|set| set.model.clone()))
            .collect();
        names.sort();
        names.dedup();
        if let Some(part) = &self.model {
            let part = part.to_lowercase();
            names.retain(|name| name.to_lowercase().contains(&part));
        }
        names.truncate(MAX_LISTED);
        let prices = names
            .iter()
            .filter_map(|name| Some(entry(name, book.find(name, None, now_ms)?)))
            .collect();
        Ok(PriceList { prices })
    }
}

fn entry_of(model: &str, found: &FoundPrice, from_ms: Option<i64>) -> PriceEntry {
    let price = &found.price;
    let per_million = |stem| price.field(&Field::of(stem)).map(UnitPrice::per_million);
    PriceEntry {
        model: model.to_owned(),
        priced_as: (found.model() != model).then(|| found.model().to_owned()),
        source: match found.source {
            PriceSource::Set(_) => "set",
            PriceSource::File => "file",
            PriceSource::Snapshot => "snapshot",
        }
        .to_owned(),
        from: from_ms.map(crate::model::format_utc),
        input_usd_per_million: per_million(Stem::Input),
        cached_usd_per_million: per_million(Stem::CacheRead),
        output_usd_per_million: per_million(Stem::Output),
        fields: price
            .fields()
            .map(|(field, price)| (field.name(), price.to_string()))
            .collect(),
    }
}

impl Operation for CheckPrices {
    type Answer = PriceCheck;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/admin/check_prices";
    const MEMBERS: &'static [Member] = &[];

    fn run(self, context: &AdminContext) -> Result<PriceCheck, AdminError> {
        let mut connection = context.connection()?;
        let book = prices::book(&connection, context.price_file()?)?;
        // What was deleted cannot be priced any more.
        let since_ms = prune::rows_since_ms(&connection)?;
        let scope = Scope {
            range: TimeRange::of_ms(since_ms, None),
            ..Scope::default()
        };
        let report = reports::split_report(
            &mut connection,
            &scope,
            &[crate::model::Dimension::Model],
            Ranking::default(),
        )?;
        let now_ms = now_ms();
        let models = report
            .costs
            .into_iter()
            .filter(|line| line.totals.unpriced_requests > 0)
            .map(|line| {
                let model = line.values.into_iter().next();
                let model = model.map(|(_, name)| name).unwrap_or_default();
                UnpricedModel {
                    has_price: book.find(&model, None, now_ms).is_some(),
                    model,
                    unpriced_requests: line.totals.unpriced_requests,
                    total_tokens: line.totals.tokens(),
                    cost_usd: line.totals.cost,
                }
            })
            .collect();
        Ok(PriceCheck { models })
    }
}

impl Operation for SetPrice {
    type Answer = PriceEntry;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/set_price";
    const MEMBERS: &'static [Member] = &[
        Member::text("model"),
        Member::text("like"),
        Member::text("input"),
        Member::text("cached"),
        Member::text("output"),
        Member::object("fields"),
        Member::text("from"),
    ];

    fn run(self, context: &AdminContext) -> Result<PriceEntry, AdminError> {
        let model = required("model", self.model.clone())?.trim().to_owned();
        if model.is_empty() || model.chars().any(crate::model::is_unprintable) {
            let message = "model must be the name of a model";
            return Err(AdminError::field("model", message));
        }
        let from_ms = match self.from.as_deref() {
            None => now_ms(),
            Some(text) => context.calendar.parse_time(text).ok_or_else(|| {
                let message = "from must be a time such as 2026-12-01 or 2026-12-01T00:00:00Z";
                AdminError::field("from", message)
            })?,
        };
        let connection = context.connection()?;
        let mut fields: Vec<(Field, UnitPrice)> = Vec::new();
        if let Some(like) = &self.like {
            let book = prices::book(&connection, context.price_file()?)?;
            let found = book.find(like, None, from_ms).ok_or_else(|| {
                let message = format!("like: {like:?} has no price");
                AdminError::field("like", message)
            })?;
            let copied = found.price.fields();
            fields.extend(copied.map(|(field, price)| (field.clone(), price)));
        }
        for (name, stem, text) in [
            ("input", Stem::Input, &self.input),
            ("cached", Stem::CacheRead, &self.cached),
            ("output", Stem::Output, &self.output),
        ] {
            if let Some(text) = text {
                let price = UnitPrice::parse_per_million(text.trim()).map_err(|error| {
                    AdminError::field(name, format!("{name}: {text:?} {error}"))
                })?;
                fields.push((Field::of(stem), price));
            }
        }
        for (name, value) in &self.fields {
            fields.push(field_of(name, value)?);
        }
        if fields.is_empty() {
            let message = "no price was given: set input and output, like, or a field";
            return Err(AdminError::field("input", message));
        }
        let price = ModelPrice::from_fields(&model, fields);
        let id = prices::set(&connection, &price, from_ms)?;
        let found = FoundPrice {
            source: PriceSource::Set(id),
            price,
        };
        Ok(entry_of(&model, &found, Some(from_ms)))
    }
}

/// Reads a price by LiteLLM's name for it.
fn field_of(name: &str, value: &Value) -> Result<(Field, UnitPrice), AdminError> {
    let field = Field::parse(name).ok_or_else(|| {
        let known = Stem::ALL.iter().map(|stem| Field::of(*stem).name());
        let known: Vec<String> = known.collect();
        let advice = match closest(name, known.iter().map(String::as_str)) {
            Some(close) => format!("; did you mean {close:?}?"),
            None => String::new(),
        };
        let message = format!("fields: {name:?} is no price of LiteLLM's price file{advice}");
        AdminError::field("fields", message)
    })?;
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let price = UnitPrice::parse(&text).map_err(|error| {
        AdminError::field("fields", format!("fields: {name}: {text:?} {error}"))
    })?;
    Ok((field, price))
}

impl Operation for UnsetPrice {
    type Answer = PriceList;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/unset_price";
    const MEMBERS: &'static [Member] = &[Member::text("model")];

    /// Returns the price that holds now, if there is one.
    fn run(self, context: &AdminContext) -> Result<PriceList, AdminError> {
        let model = required("model", self.model)?.trim().to_owned();
        prices::withdraw(&mut *context.connection()?, &model)?;
        let list = ListPrices {
            model: Some(model.clone()),
        };
        let mut list = list.run(context)?;
        list.prices.retain(|price| price.model == model);
        Ok(list)
    }
}

impl Operation for Reprice {
    type Answer = Repricing;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/admin/reprice";
    const MEMBERS: &'static [Member] = &[
        Member::text("last_hours"),
        Member::text("start_time"),
        Member::text("end_time"),
        Member::text("period"),
        Member::text("since"),
        Member::text("model"),
        Member::flag("dry_run"),
    ];

    fn run(self, context: &AdminContext) -> Result<Repricing, AdminError> {
        let range = self.window.parse(&context.calendar)?;
        if range.start_ms().is_none() {
            let message = "start_time is missing: say from when on; 1970-01-01 is everything";
            return Err(AdminError::field("start_time", message));
        }
        let file = context.price_file()?;
        let mut connection = context.connection()?;
        let is_dry_run = self.dry_run.unwrap_or(false);
        Ok(reprice::reprice(
            &mut connection,
            range,
            self.model.as_deref(),
            file,
            is_dry_run,
        )?)
    }
}
