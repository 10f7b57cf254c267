//! Reads a document of prices in one pass and without a tree. Members that are no price of the
//! grammar are passed over; a price that is none is an error with its line, model and member.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use serde::de::{self, DeserializeSeed, Deserializer as _, MapAccess};
use serde_json::{Deserializer, value::RawValue};
use thiserror::Error;

use super::{
    field::{Field, Stem},
    tables::{ModelDraft, ModelLimits, Provider, Tables},
    unit::{UnitPrice, UnitPriceError},
};
use crate::json::{Count, EachPart, JsonType, MaybeText, PartReader, skip_value};

/// The longest document. LiteLLM's is 3.5 MB.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The longest part of a value that an error repeats.
const MAX_SHOWN_CHARS: usize = 40;

/// A document that holds no prices, with the place of the mistake.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PricesError {
    #[error("the document has more than {} MB", MAX_BYTES / 1024 / 1024)]
    TooLong,
    #[error("line {line}, column {column}: {problem}")]
    Json {
        line: usize,
        column: usize,
        problem: String,
    },
    #[error("line {line}, column {column}: {model:?}.{member:?}: {value} {problem}")]
    Price {
        line: usize,
        /// The column in which the value begins.
        column: usize,
        model: String,
        member: String,
        /// The value as it stands in the document, or its beginning.
        value: String,
        problem: UnitPriceError,
    },
}

/// Reads a document whose members are models.
pub(super) fn read_catalog(json: &[u8]) -> Result<Tables, PricesError> {
    let mut reader = CatalogReader::default();
    read_object(json, &mut reader, |reader| reader.mistake.take())?;
    Ok(Tables::of_drafts(reader.models, reader.fields.table))
}

/// Reads a document that is one model. Its name is `name`.
pub(super) fn read_model(name: &str, json: &[u8]) -> Result<Tables, PricesError> {
    let mut fields = FieldTable::default();
    let mut reader = ModelReader::new(&mut fields);
    read_object(json, &mut reader, |reader| {
        reader.mistake.take().map(|mistake| (name.into(), mistake))
    })?;
    let draft = reader.draft(name.into());
    Ok(Tables::of_drafts(vec![draft], fields.table))
}

fn read_object<'j, R: PartReader<'j>>(
    json: &'j [u8],
    reader: &mut R,
    mistake: impl Fn(&mut R) -> Option<(String, Mistake)>,
) -> Result<(), PricesError> {
    if json.len() > MAX_BYTES {
        return Err(PricesError::TooLong);
    }
    let mut parser = Deserializer::from_slice(json);
    let read = parser.deserialize_map(EachPart(reader));
    let Err(error) = read.and_then(|_| parser.end()) else {
        return Ok(());
    };
    Err(match mistake(reader) {
        Some((model, mistake)) => {
            let (line, column) = place(json, mistake.address.wrapping_sub(json.as_ptr().addr()));
            PricesError::Price {
                line,
                column,
                model,
                member: mistake.member,
                value: mistake.value,
                problem: mistake.problem,
            }
        }
        None => PricesError::Json {
            line: error.line(),
            column: error.column(),
            problem: without_place(&error),
        },
    })
}

/// Returns the line and column of a byte, both from 1.
fn place(json: &[u8], at: usize) -> (usize, usize) {
    let before = &json[..at.min(json.len())];
    let lines = memchr::memchr_iter(b'\n', before).count();
    let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
    (lines + 1, before.len() - start + 1)
}

/// Returns what serde_json says, without the place that it puts behind.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// A value that is no price.
struct Mistake {
    /// Where it stands in memory. serde_json would report the place of what follows it.
    address: usize,
    member: String,
    value: String,
    problem: UnitPriceError,
}

#[derive(Default)]
struct CatalogReader {
    models: Vec<ModelDraft>,
    fields: FieldTable,
    mistake: Option<(String, Mistake)>,
}

/// The fields that the document has, and the index of each by the name of its member. A name that
/// is no field of the grammar has none.
#[derive(Default)]
struct FieldTable {
    table: Vec<Field>,
    by_name: HashMap<Box<[u8]>, Option<u16>>,
    by_field: BTreeMap<Field, u16>,
}

struct ModelReader<'t> {
    fields: &'t mut FieldTable,
    prices: Vec<(u16, UnitPrice)>,
    limits: ModelLimits,
    provider: Provider,
    mistake: Option<Mistake>,
}

impl<'de> PartReader<'de> for CatalogReader {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        // LiteLLM's description of its own members.
        if name == b"sample_spec" {
            return skip_value(object);
        }
        let mut reader = ModelReader::new(&mut self.fields);
        let read = object.next_value_seed(EachPart(&mut reader));
        if let Some(mistake) = reader.mistake.take() {
            self.mistake = Some((String::from_utf8_lossy(name).into_owned(), mistake));
        }
        let draft = (read? == JsonType::Object).then(|| {
            let name = String::from_utf8_lossy(name).into_owned();
            reader.draft(name.into())
        });
        self.models
            .extend(draft.filter(|draft| !draft.prices.is_empty()));
        Ok(())
    }
}

impl FieldTable {
    /// Returns the index of the field of this name; `None` for a name that is no field, or if there
    /// are more fields than an index can count.
    fn index(&mut self, name: &[u8]) -> Option<u16> {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let field = str::from_utf8(name).ok().and_then(Field::parse);
        let index = field.and_then(|field| self.index_of(field));
        self.by_name.insert(name.into(), index);
        index
    }

    fn index_of(&mut self, field: Field) -> Option<u16> {
        let next = u16::try_from(self.table.len()).ok()?;
        match self.by_field.entry(field) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(place) => {
                self.table.push(place.key().clone());
                place.insert(next);
                Some(next)
            }
        }
    }
}

impl<'t> ModelReader<'t> {
    fn new(fields: &'t mut FieldTable) -> Self {
        Self {
            fields,
            prices: Vec::new(),
            limits: ModelLimits::default(),
            provider: Provider::Other,
            mistake: None,
        }
    }

    fn draft(self, name: Box<str>) -> ModelDraft {
        ModelDraft {
            name,
            prices: self.prices,
            limits: self.limits,
            provider: self.provider,
        }
    }
}

impl<'de> PartReader<'de> for ModelReader<'_> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        match name {
            b"max_input_tokens" => self.limits.max_input_tokens = tokens(object)?,
            b"max_output_tokens" => self.limits.max_output_tokens = tokens(object)?,
            b"litellm_provider" => {
                let MaybeText(provider) = object.next_value()?;
                self.provider = Provider::parse(&provider.unwrap_or_default());
            }
            _ => {
                let Some(index) = self.fields.index(name) else {
                    return skip_value(object);
                };
                let value: &RawValue = object.next_value()?;
                let stem = self.fields.table[usize::from(index)].stem;
                match price(stem, value.get()) {
                    Ok(price) => {
                        // If a member comes twice, the later one counts.
                        self.prices.retain(|(known, _)| *known != index);
                        self.prices.extend(price.map(|price| (index, price)));
                    }
                    Err(problem) => {
                        self.mistake = Some(Mistake {
                            address: value.get().as_ptr().addr(),
                            member: String::from_utf8_lossy(name).into_owned(),
                            value: shown(value.get()),
                            problem,
                        });
                        return Err(de::Error::custom("no price"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Returns the beginning of a value, on one line.
fn shown(json: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    json.chars().map(one_line).take(MAX_SHOWN_CHARS).collect()
}

/// Reads a count of tokens that is more than 0.
fn tokens<'de, A: MapAccess<'de>>(object: &mut A) -> Result<Option<u32>, A::Error> {
    let Count(count) = object.next_value()?;
    Ok(count
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count > 0))
}

/// Returns the price that a value says: a number, a string that is one, or null for none.
fn price(stem: Stem, json: &str) -> Result<Option<UnitPrice>, UnitPriceError> {
    match json.as_bytes() {
        b"null" => Ok(None),
        [b'"', ..] => {
            let text = crate::json::text_of(json).ok_or(UnitPriceError::NoNumber)?;
            UnitPrice::parse(&text).map(Some)
        }
        [b'{', ..] if stem == Stem::WebSearch => search_price(json),
        _ => UnitPrice::parse(json).map(Some),
    }
}

/// Returns the price of a search of medium size, which is what OpenAI searches with unless it is
/// told otherwise, and what LiteLLM takes. The ledger does not know the size.
fn search_price(json: &str) -> Result<Option<UnitPrice>, UnitPriceError> {
    #[derive(Default)]
    struct Sizes {
        low: Option<UnitPrice>,
        medium: Option<UnitPrice>,
        high: Option<UnitPrice>,
        problem: Option<UnitPriceError>,
    }
    impl<'de> PartReader<'de> for Sizes {
        fn member<A: MapAccess<'de>>(
            &mut self,
            name: &[u8],
            object: &mut A,
        ) -> Result<(), A::Error> {
            let size = match name {
                b"search_context_size_low" => &mut self.low,
                b"search_context_size_medium" => &mut self.medium,
                b"search_context_size_high" => &mut self.high,
                _ => return skip_value(object),
            };
            let value: &RawValue = object.next_value()?;
            match price(Stem::Input, value.get()) {
                Ok(price) => *size = price,
                Err(problem) => self.problem = Some(problem),
            }
            Ok(())
        }
    }
    let mut sizes = Sizes::default();
    let mut parser = Deserializer::from_str(json);
    EachPart(&mut sizes)
        .deserialize(&mut parser)
        .map_err(|_| UnitPriceError::NoNumber)?;
    match sizes.problem {
        Some(problem) => Err(problem),
        None => Ok(sizes.medium.or(sizes.high).or(sizes.low)),
    }
}

#[cfg(test)]
mod tests;
