//! Many rows as one statement: an array for each column, which `unnest` turns into rows again.

use postgres::types::{ToSql, Type};

use crate::{
    model::RequestId,
    store::value::{Value, ValueType},
};

/// A statement that inserts rows, with the arrays that it takes.
pub(super) struct Columns<'v> {
    pub(super) sql: String,
    row_ids: Option<Vec<String>>,
    arrays: Vec<Array<'v>>,
}

/// The values of a column.
enum Array<'v> {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<Value<'v>>>),
    Blobs(Vec<Option<&'v [u8]>>),
}

impl<'v> Columns<'v> {
    /// Makes the statement. The first row says which type each column has. Rows of usage have the ids
    /// that their node gave them.
    pub(super) fn of(
        table: &str,
        columns: &[&str],
        rows: &[impl AsRef<[Value<'v>]>],
        row_ids: Option<&[RequestId]>,
    ) -> Self {
        let arrays: Vec<Array<'v>> = (0..columns.len())
            .map(|place| {
                let values = || rows.iter().map(move |row| row.as_ref()[place]);
                Array::of(values)
            })
            .collect();
        let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
        let names = names.join(", ");
        let mut places: Vec<String> = Vec::with_capacity(arrays.len() + 1);
        if row_ids.is_some() {
            places.push("$1::text[]".to_owned());
        }
        for array in &arrays {
            places.push(format!("${}::{}", places.len() + 1, array.type_name()));
        }
        let places = places.join(", ");
        // The rows get their ids in their order.
        let sql = match row_ids {
            Some(_) => format!(
                "INSERT INTO {table} (row_id, {names}) SELECT row_id::uuid, {names} FROM unnest({places}) \
                 WITH ORDINALITY AS rows (row_id, {names}, place) ORDER BY place RETURNING id"
            ),
            None => format!(
                "INSERT INTO {table} ({names}) SELECT {names} FROM unnest({places}) AS rows ({names})"
            ),
        };
        let row_ids = row_ids.map(|ids| ids.iter().map(ToString::to_string).collect());
        Self {
            sql,
            row_ids,
            arrays,
        }
    }

    /// Returns the values of the statement's parameters.
    pub(super) fn params(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = Vec::new();
        if let Some(ids) = &self.row_ids {
            params.push((ids, Type::TEXT_ARRAY));
        }
        params.extend(self.arrays.iter().map(Array::param));
        params
    }
}

impl<'v> Array<'v> {
    fn of<I: Iterator<Item = Value<'v>>>(values: impl Fn() -> I) -> Self {
        let first = values().next().map(|value| value.kind());
        match first {
            Some(ValueType::Text) => Self::Texts(
                values()
                    .map(|value| (!value.is_null()).then_some(value))
                    .collect(),
            ),
            Some(ValueType::Blob) => {
                let blob = |value| match value {
                    Value::Blob(bytes) => Some(bytes),
                    _ => None,
                };
                Self::Blobs(values().map(blob).collect())
            }
            _ => {
                let integer = |value| match value {
                    Value::Integer(number) => Some(number),
                    _ => None,
                };
                Self::Integers(values().map(integer).collect())
            }
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Self::Integers(_) => "bigint[]",
            Self::Texts(_) => "text[]",
            Self::Blobs(_) => "bytea[]",
        }
    }

    fn param(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Integers(values) => (values, Type::INT8_ARRAY),
            Self::Texts(values) => (values, Type::TEXT_ARRAY),
            Self::Blobs(values) => (values, Type::BYTEA_ARRAY),
        }
    }
}
