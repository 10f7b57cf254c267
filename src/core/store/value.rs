//! Values that go into statements and come out of rows, in the three forms that both databases have:
//! 64-bit integers, texts, bytes.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::sql_error::SqlError;

/// A value of a statement's parameter or of a row's column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value, with the type that it would have: PostgreSQL has to know it.
    Null(ValueType),
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Returns the error of a value that is in the place of another one.
    pub(in crate::store) fn unexpected(self, expected: &'static str) -> SqlError {
        let found = match self {
            Self::Null(_) => "nothing",
            Self::Integer(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        };
        SqlError::Unexpected { expected, found }
    }

    /// Returns the type, also of a missing value.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn kind(&self) -> ValueType {
        match self {
            Self::Null(of) => *of,
            Self::Integer(_) => ValueType::Integer,
            Self::Text(_) => ValueType::Text,
            Self::Blob(_) => ValueType::Blob,
        }
    }

    #[cfg(feature = "postgres")]
    pub(in crate::store) fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }

    /// Returns an integer, or none.
    pub(in crate::store) fn integer(number: Option<i64>) -> Self {
        number.map_or(Self::Null(ValueType::Integer), Self::Integer)
    }

    /// Returns a text, or none.
    pub(in crate::store) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null(ValueType::Text), Self::Text)
    }

    /// Returns bytes, or none.
    pub(in crate::store) fn blob(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null(ValueType::Blob), Self::Blob)
    }
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    Unknown,
    Integer,
    Text,
    Blob,
}

/// What can be a parameter of a statement.
pub trait ToValue: Sized {
    /// The type of the value that a missing one stands for.
    const TYPE: ValueType;

    fn to_value(&self) -> Value<'_>;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl ToValue for $type {
            const TYPE: ValueType = ValueType::Integer;

            fn to_value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }
        }
    )*};
}
integers!(i64, i32, u8, u16, u32, bool);

impl ToValue for String {
    const TYPE: ValueType = ValueType::Text;

    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for Cow<'_, str> {
    const TYPE: ValueType = ValueType::Text;

    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    const TYPE: ValueType = ValueType::Blob;

    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const TYPE: ValueType = T::TYPE;

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null(T::TYPE), T::to_value)
    }
}

impl ToValue for &str {
    const TYPE: ValueType = ValueType::Text;

    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

macro_rules! references {
    ($($type:ty),*) => {$(
        impl ToValue for &$type {
            const TYPE: ValueType = <$type as ToValue>::TYPE;

            fn to_value(&self) -> Value<'_> {
                <$type as ToValue>::to_value(self)
            }
        }
    )*};
}
references!(String, i64, bool);

impl<const N: usize> ToValue for &[u8; N] {
    const TYPE: ValueType = ValueType::Blob;

    fn to_value(&self) -> Value<'_> {
        Value::Blob(*self)
    }
}

/// What can be read from a column.
pub trait FromValue: Sized {
    /// # Errors
    /// If the value is of another type, or does not fit.
    fn from_value(value: Value<'_>) -> Result<Self, SqlError>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
        match value {
            Value::Integer(number) => Ok(number),
            other => Err(other.unexpected("an integer")),
        }
    }
}

macro_rules! smaller_integers {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
                let number = i64::from_value(value)?;
                Self::try_from(number).map_err(|_| SqlError::OutOfRange(number))
            }
        }
    )*};
}
smaller_integers!(u16, u32, u64, i32, usize);

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
        Ok(i64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
        match value {
            Value::Text(text) => Ok(text.to_owned()),
            other => Err(other.unexpected("a text")),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
        match value {
            Value::Blob(bytes) => bytes
                .try_into()
                .map_err(|_| value.unexpected("bytes of another number")),
            other => Err(other.unexpected("bytes")),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, SqlError> {
        match value {
            Value::Null(_) => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// Parameters of a statement.
pub trait Params: Sized {
    /// Calls `work` with the values, and with their names if they have any.
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R;
}

/// No parameters.
impl Params for [&dyn ToValueRef; 0] {
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
        work(&[], None)
    }
}

/// [`ToValue`] without its constant, so that values of several types can stand in a list.
pub trait ToValueRef {
    fn value(&self) -> Value<'_>;
}

impl<T: ToValue> ToValueRef for T {
    fn value(&self) -> Value<'_> {
        self.to_value()
    }
}

macro_rules! arrays {
    ($($count:literal),*) => {$(
        impl<T: ToValue> Params for [T; $count] {
            fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
                work(&self.each_ref().map(ToValue::to_value), None)
            }
        }
    )*};
}
arrays!(1, 2, 3, 4);

impl<A: ToValue, B: ToValue> Params for (A, B) {
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
        work(&[self.0.to_value(), self.1.to_value()], None)
    }
}

/// Parameters that `params!` lists.
impl Params for &[&dyn ToValueRef] {
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
        let values: SmallVec<[Value<'_>; 16]> = self.iter().map(|value| value.value()).collect();
        work(&values, None)
    }
}

/// Values as they are.
impl Params for &[Value<'_>] {
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
        work(self, None)
    }
}

/// Parameters that `named_params!` lists.
impl Params for &[(&str, &dyn ToValueRef)] {
    fn with<R>(self, work: impl FnOnce(&[Value<'_>], Option<&[&str]>) -> R) -> R {
        let names: SmallVec<[&str; 16]> = self.iter().map(|(name, _)| *name).collect();
        let values: SmallVec<[Value<'_>; 16]> =
            self.iter().map(|(_, value)| value.value()).collect();
        work(&values, Some(&names))
    }
}

/// Lists parameters of several types: `params![id, name]` for `?1` and `?2`.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::sql::ToValueRef),*]
            as &[&dyn $crate::store::sql::ToValueRef]
    };
}
pub(crate) use params;

/// Lists parameters with their names: `named_params! { ":id": id }`.
macro_rules! named_params {
    ($($name:literal: $value:expr),* $(,)?) => {
        &[$(($name, &$value as &dyn $crate::store::sql::ToValueRef)),*]
            as &[(&str, &dyn $crate::store::sql::ToValueRef)]
    };
}
pub(crate) use named_params;
