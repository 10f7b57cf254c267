//! Values of PostgreSQL's types as the store's.

use postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::store::value::{Value, ValueType};

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

impl Value<'_> {
    /// Returns the type by which the server takes the value.
    pub(super) fn postgres_type(&self) -> Type {
        match self.kind() {
            ValueType::Integer => Type::INT8,
            ValueType::Text => Type::TEXT,
            ValueType::Blob => Type::BYTEA,
            ValueType::Unknown => Type::UNKNOWN,
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(of, out),
            // It knows no NUL in a text (postgresql.org/docs/current/datatype-character.html), and a
            // row is worth more than the character.
            Self::Text(text) if text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql(of, out)
            }
            Self::Text(text) => text.to_sql(of, out),
            Self::Blob(bytes) => bytes.to_sql(of, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Statements are sent with the types of `postgres_type`.
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, BoxedError> {
        Ok(match *of {
            Type::BOOL => Self::Integer(bool::from_sql(of, raw)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(of, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(of, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(of, raw)?),
            Type::NUMERIC => Self::Integer(whole_number(raw)?),
            Type::BYTEA | Type::UUID => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(of, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxedError> {
        Ok(Self::Null(ValueType::Unknown))
    }

    fn accepts(of: &Type) -> bool {
        matches!(
            *of,
            Type::BOOL
                | Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::NUMERIC
                | Type::BYTEA
                | Type::UUID
                | Type::TEXT
                | Type::VARCHAR
                | Type::NAME
                | Type::UNKNOWN
        )
    }
}

/// Reads a NUMERIC without a fraction, which sums of integers are: digits of base 10,000 behind
/// their number, the weight of the first one, the sign and the scale (`numeric_send` in
/// PostgreSQL's src/backend/utils/adt/numeric.c).
fn whole_number(raw: &[u8]) -> Result<i64, BoxedError> {
    const BASE: i64 = 10_000;
    const NEGATIVE: i16 = 0x4000;
    let words: Vec<i16> = raw
        .chunks_exact(2)
        .map(|word| i16::from_be_bytes([word[0], word[1]]))
        .collect();
    let [_, weight, sign, _, digits @ ..] = words.as_slice() else {
        return Err("a NUMERIC is cut".into());
    };
    if !matches!(*sign, 0 | NEGATIVE) {
        return Err("a NUMERIC is no number".into());
    }
    let too_large = || BoxedError::from("a sum is too large");
    let mut number = 0_i64;
    // Trailing zeros are left out.
    for place in 0..=*weight {
        let digit = usize::try_from(place)
            .ok()
            .and_then(|place| digits.get(place));
        number = number
            .checked_mul(BASE)
            // Towards the sign, because the smallest number has no positive counterpart.
            .and_then(|number| {
                let digit = i64::from(digit.copied().unwrap_or(0));
                number.checked_add(if *sign == NEGATIVE { -digit } else { digit })
            })
            .ok_or_else(too_large)?;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: i16, digits: &[i16]) -> Vec<u8> {
        let count = i16::try_from(digits.len()).unwrap();
        let head = [count, weight, sign, 0];
        let words = head.iter().chain(digits);
        words.flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_numeric_without_a_fraction_is_a_number() {
        let read = |weight, sign, digits: &[i16]| whole_number(&numeric(weight, sign, digits)).ok();
        assert_eq!(read(0, 0, &[]), Some(0));
        assert_eq!(read(0, 0, &[7]), Some(7));
        assert_eq!(read(1, 0, &[12, 345]), Some(120_345));
        assert_eq!(read(2, 0x4000, &[1]), Some(-100_000_000));
        assert_eq!(read(4, 0, &[922, 3372, 368, 5477, 5807]), Some(i64::MAX));
        assert_eq!(
            read(4, 0x4000, &[922, 3372, 368, 5477, 5808]),
            Some(i64::MIN)
        );
        assert_eq!(read(4, 0, &[922, 3372, 368, 5477, 5808]), None);
        assert_eq!(read(0, -0x4000, &[]), None, "NaN");
        assert!(whole_number(&[0, 1]).is_err());
    }
}
