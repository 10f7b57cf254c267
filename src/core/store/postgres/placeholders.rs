//! Placeholders of statements: SQLite's `?1`, `?` and `:name` become PostgreSQL's `$1`.

use std::fmt::Write;

use crate::store::sql_error::SqlError;

/// Returns the statement with PostgreSQL's placeholders. `names` are those of the parameters, in the
/// order of their values.
///
/// # Errors
/// [`SqlError::UnknownName`] if a name has no parameter.
pub(super) fn translate(sql: &str, names: Option<&[&str]>) -> Result<String, SqlError> {
    let mut translated = String::with_capacity(sql.len() + 8);
    let mut rest = sql;
    let mut count = 0;
    while let Some(at) = rest.find(['?', ':', '\'', '"']) {
        translated.push_str(&rest[..at]);
        let found = &rest[at..];
        let mark = found.as_bytes()[0];
        rest = match mark {
            // A literal or a quoted name, up to the next quote; a doubled one begins another.
            b'\'' | b'"' => {
                let end = found[1..]
                    .find(mark as char)
                    .map_or(found.len(), |end| end + 2);
                translated.push_str(&found[..end]);
                &found[end..]
            }
            b'?' => {
                let digits = found[1..]
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(found.len() - 1);
                count += 1;
                // Writing to a string cannot fail.
                let _ = match &found[1..=digits] {
                    "" => write!(translated, "${count}"),
                    number => write!(translated, "${number}"),
                };
                &found[1 + digits..]
            }
            // A cast, `::bigint`.
            _ if found.starts_with("::") => {
                translated.push_str("::");
                &found[2..]
            }
            _ => {
                let end = found[1..]
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .map_or(found.len(), |end| end + 1);
                let name = &found[..end];
                let place = names.and_then(|names| names.iter().position(|known| *known == name));
                let place = place.ok_or_else(|| SqlError::UnknownName(name.to_owned()))?;
                let _ = write!(translated, "${}", place + 1);
                &found[end..]
            }
        };
    }
    translated.push_str(rest);
    Ok(translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_as_their_values() {
        let plain = |sql| translate(sql, None).unwrap();
        assert_eq!(
            plain("SELECT a FROM t WHERE b = ?2 AND c > ?1 LIMIT ?10"),
            "SELECT a FROM t WHERE b = $2 AND c > $1 LIMIT $10"
        );
        assert_eq!(plain("VALUES (?, ?, ?)"), "VALUES ($1, $2, $3)");
        assert_eq!(plain("SELECT ?1::bigint"), "SELECT $1::bigint");
        assert_eq!(
            plain("SELECT 'is it? it''s :so' || \"w?\" || ?1"),
            "SELECT 'is it? it''s :so' || \"w?\" || $1"
        );
        let names = [":id", ":id_2"];
        assert_eq!(
            translate("WHERE x = :id_2 AND (:id IS NULL OR y = :id)", Some(&names)).unwrap(),
            "WHERE x = $2 AND ($1 IS NULL OR y = $1)"
        );
        assert!(translate(":other", Some(&names)).is_err());
    }
}
