//! The list prices in the binary, which `contrib/prices/make-snapshot` makes of the file
//! `model_prices_and_context_window_backup.json` in the Python package litellm (MIT).

use std::{io::Read, sync::LazyLock};

use flate2::bufread::GzDecoder;
use serde::Deserialize;

use super::catalog::Catalog;

const PACKED: &[u8] = include_bytes!("snapshot.json.gz");

static SNAPSHOT: LazyLock<Catalog> = LazyLock::new(|| {
    // A unit test reads it, so that it is never broken here.
    Catalog::parse(&unpack()).unwrap_or_default()
});

/// Where the prices in the binary come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SnapshotInfo {
    /// The package and its version, such as `litellm 1.110.2`.
    pub source: String,
    /// The day on which the package was fetched, such as `2026-11-29`.
    pub date: String,
}

/// Returns the prices in the binary. The first call unpacks them, in about two milliseconds.
#[must_use]
pub fn snapshot() -> Catalog {
    SNAPSHOT.clone()
}

/// Returns where they come from. Each call unpacks them.
#[must_use]
pub fn snapshot_info() -> Option<SnapshotInfo> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "_snapshot")]
        info: SnapshotInfo,
    }
    let document: Document = serde_json::from_slice(&unpack()).ok()?;
    Some(document.info)
}

fn unpack() -> Vec<u8> {
    // The last four bytes of gzip are the length (RFC 1952, section 2.3.1). A buffer that grows
    // takes up to twice as much.
    let length = PACKED
        .last_chunk()
        .map_or(0, |end| u32::from_le_bytes(*end));
    let mut json = Vec::with_capacity(length as usize + 1);
    match GzDecoder::new(PACKED).read_to_end(&mut json) {
        Ok(_) => json,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::{Field, ModelPrice, Stem};

    #[test]
    fn the_snapshot_is_small_and_says_its_source() {
        assert!(PACKED.len() <= 100_000, "{} bytes", PACKED.len());
        let info = snapshot_info().unwrap();
        let json = unpack();
        assert!(json.capacity() <= json.len() + 1);
        assert_eq!(info.source, "litellm 1.110.2");
        assert_eq!(info.date, "2026-11-29");
        let prices = snapshot();
        assert!(prices.len() > 600, "{prices:?}");
        assert!(prices.heap_bytes() <= 150_000, "{}", prices.heap_bytes());
    }

    #[test]
    fn the_snapshot_has_the_prices_of_well_known_models() {
        let prices = snapshot();
        for (model, input, output, max_output_tokens) in [
            ("gpt-5", "1.25", "10.00", 128_000),
            ("claude-opus-4-5", "5.00", "25.00", 64_000),
            ("gemini/gemini-2.5-pro", "1.25", "10.00", 65_536),
        ] {
            let price = prices.get(model).unwrap();
            let of = |stem| {
                let field = Field::of(stem);
                price.field(&field).unwrap().per_million()
            };
            assert_eq!(of(Stem::Input), input, "{model}");
            assert_eq!(of(Stem::Output), output, "{model}");
            let limits = price.limits();
            assert_eq!(limits.max_output_tokens, Some(max_output_tokens), "{model}");
        }
        assert_eq!(prices.get("sample_spec"), None);
        assert_eq!(prices.get("_snapshot"), None);
    }

    #[test]
    fn each_price_of_the_snapshot_is_read_back_from_its_text() {
        for price in snapshot().iter() {
            let text = price.canonical();
            let again = ModelPrice::parse(price.name(), &text).unwrap();
            assert_eq!(again, price);
        }
    }
}
