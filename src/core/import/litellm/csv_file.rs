//! Keys as CSV with a header line, as psql, pgAdmin and spreadsheets write it.

use super::record::Record;
use crate::import::ImportError;

/// The column that each file must have.
const TOKEN: &str = "token";

/// Returns the records of a file.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record>, ImportError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| in_words(&error))?.clone();
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    if !columns.iter().any(|name| name.eq_ignore_ascii_case(TOKEN)) {
        return Err(no_token(bytes, columns));
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| in_words(&error))?;
        let line = row.position().map_or(0, csv::Position::line);
        let mut record = Record::new(line);
        for (column, text) in columns.iter().zip(&row) {
            record.set(column, text);
        }
        record.unfold_budget();
        records.push(record);
    }
    if records.is_empty() {
        return Err(ImportError::NoKeys);
    }
    Ok(records)
}

/// Returns what separates the columns: of comma, semicolon and tab the one that is most often in the
/// header line.
fn delimiter(bytes: &[u8]) -> u8 {
    let header = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let count = |wanted: u8| memchr::memchr_iter(wanted, header).count();
    let mut best = b',';
    for candidate in [b';', b'\t'] {
        if count(candidate) > count(best) {
            best = candidate;
        }
    }
    best
}

/// Says that there is no column of tokens, or that the file is no CSV at all.
fn no_token(bytes: &[u8], columns: Vec<String>) -> ImportError {
    let header = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let is_text = std::str::from_utf8(header).is_ok_and(|text| !text.contains('\0'));
    if is_text && columns.len() > 1 {
        ImportError::NoTokenColumn { found: columns }
    } else {
        ImportError::Unknown
    }
}

fn in_words(error: &csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("it has {len} columns, and the header line has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it is no CSV".to_owned(),
    };
    ImportError::Line { line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_and_lines_are_counted() {
        for separator in [',', ';', '\t'] {
            let text =
                "token|key_alias\nab|\"two\nlines\"\ncd|x\n".replace('|', &separator.to_string());
            let records = records(text.as_bytes()).unwrap();
            assert_eq!(records[0].text("key_alias"), Some("two\nlines"));
            let lines: Vec<u64> = records.iter().map(|record| record.line).collect();
            assert_eq!(lines, [2, 4], "{separator:?}");
        }
    }

    #[test]
    fn errors_name_the_line_or_the_columns() {
        for (text, says) in [
            (
                "token,a\nx,1\ny\n",
                "line 3: it has 1 columns, and the header line has 2",
            ),
            ("hash,alias\nx,1\n", "it has hash, alias"),
            ("token,a\n", "no keys"),
            ("nonsense\n", "no SQLite database, CSV or JSON"),
        ] {
            let error = records(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        let error = records(b"token,a\nx,\xff\n").unwrap_err().to_string();
        assert!(error.contains("line 2: it is not UTF-8"), "{error}");
        assert_eq!(
            records(b"\x00\x01,\x02\n").unwrap_err(),
            ImportError::Unknown
        );
    }
}
