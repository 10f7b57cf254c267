//! The price of one model.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use super::{
    field::Field,
    reader::{self, PricesError},
    tables::{ModelDraft, ModelLimits, Provider, Tables},
    unit::UnitPrice,
};

/// The price of one model: an entry of a set of prices, which it keeps
/// alive. Cloning it copies a
/// pointer.
#[derive(Clone)]
pub struct ModelPrice {
    tables: Arc<Tables>,
    index: usize,
}

impl ModelPrice {
    pub(super) fn of(tables: Arc<Tables>, index: usize) -> Self {
        Self { tables, index }
    }

    /// Reads the text that [`ModelPrice::canonical`] returns, or any object with members as in
    /// LiteLLM's file.
    pub fn parse(name: &str, json: &str) -> Result<Self, PricesError> {
        let tables = reader::read_model(name, json.as_bytes())?;
        Ok(Self::of(Arc::new(tables), 0))
    }

    /// Makes a price of single fields. Of a doubled field, the later counts.
    #[must_use]
    pub fn from_fields(name: &str, fields: impl IntoIterator<Item = (Field, UnitPrice)>) -> Self {
        let mut table: Vec<Field> = Vec::new();
        let mut prices: Vec<(u16, UnitPrice)> = Vec::new();
        for (field, price) in fields {
            if let Some(known) = table.iter().position(|known| *known == field) {
                prices[known].1 = price;
            } else if let Ok(next) = u16::try_from(table.len()) {
                table.push(field);
                prices.push((next, price));
            }
        }
        let draft = ModelDraft {
            name: name.into(),
            prices,
            limits: ModelLimits::default(),
            provider: Provider::Other,
        };
        Self::of(Arc::new(Tables::of_drafts(vec![draft], table)), 0)
    }

    /// Returns the name under which the price stands.
    #[must_use]
    pub fn name(&self) -> &str {
        self.tables.name(self.index)
    }

    /// Returns all prices of the model, in no order.
    pub fn fields(&self) -> impl Iterator<Item = (&Field, UnitPrice)> {
        self.tables.prices(self.index)
    }

    /// Returns the price of one field, exactly.
    #[must_use]
    pub fn field(&self, wanted: &Field) -> Option<UnitPrice> {
        let mut fields = self.fields();
        fields.find_map(|(field, price)| (field == wanted).then_some(price))
    }

    #[must_use]
    pub fn limits(&self) -> ModelLimits {
        self.tables.limits(self.index)
    }

    pub(super) fn provider(&self) -> Provider {
        self.tables.provider(self.index)
    }

    /// Returns a JSON object from which the same price can be read: LiteLLM's names, sorted, and
    /// exact decimal texts. Equal prices have equal texts. The name of the model is not in it.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut members: Vec<(String, UnitPrice)> = self
            .fields()
            .map(|(field, price)| (field.name(), price))
            .collect();
        members.sort();
        let mut json = String::from("{");
        let mut separator = "";
        for (name, price) in members {
            // Names have no character that JSON escapes.
            let _ = write!(json, "{separator}\"{name}\":\"{price}\"");
            separator = ",";
        }
        if let Some(provider) = self.provider().as_str() {
            let _ = write!(json, "{separator}\"litellm_provider\":\"{provider}\"");
            separator = ",";
        }
        let limits = self.limits();
        for (name, tokens) in [
            ("max_input_tokens", limits.max_input_tokens),
            ("max_output_tokens", limits.max_output_tokens),
        ] {
            if let Some(tokens) = tokens {
                let _ = write!(json, "{separator}\"{name}\":{tokens}");
                separator = ",";
            }
        }
        json.push('}');
        json
    }
}

impl PartialEq for ModelPrice {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.canonical() == other.canonical()
    }
}

impl Eq for ModelPrice {}

impl fmt::Debug for ModelPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.canonical())
    }
}
