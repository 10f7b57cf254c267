//! The figures of a usage row that are summed: their columns in `usage_logs` and `usage_hourly`, once,
//! for the ledger that writes them and the reports that read them.

use crate::{
    model::{EstimatedTokens, NanoUsd, Usage, UsageClasses, UsageRow, UsageSource},
    store::sql::signed,
};

/// The columns of a row's usage, in the order of [`counts`].
pub(super) const COUNTS: [&str; 17] = [
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "audio_ms",
    "images",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "web_searches",
    "file_searches",
    "code_calls",
];
/// How many of [`COUNTS`] all rows have; the others are classes that few have.
pub(super) const COMMON_COUNTS: usize = 6;

/// The columns of `usage_hourly` beside [`COUNTS`], each with its value for one row of `usage_logs`.
/// A request is estimated, or has no price, if it succeeded or used something.
const OTHERS: [(&str, &str); 7] = [
    ("requests", "1"),
    ("requests_ok", "iif(status BETWEEN 200 AND 299, 1, 0)"),
    (
        "estimated_requests",
        "iif(usage_source = 'estimate' AND status BETWEEN 200 AND 299, 1, 0)",
    ),
    (
        "estimated_input_tokens",
        "iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0)",
    ),
    (
        "estimated_output_tokens",
        "iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0)",
    ),
    // Index: usage_adjustments_by_usage.
    (
        "cost_nano_usd",
        "(coalesce(cost_nano_usd, 0) + coalesce((SELECT sum(cost_delta_nano_usd) FROM usage_adjustments \
         WHERE usage_id = usage_logs.id), 0))",
    ),
    (
        "unpriced_requests",
        "iif(cost_nano_usd IS NULL AND (status BETWEEN 200 AND 299 OR input_tokens > 0 OR output_tokens > 0) \
         AND NOT EXISTS (SELECT 1 FROM usage_adjustments WHERE usage_id = usage_logs.id AND prices_row = 1), 1, 0)",
    ),
];

/// Number of summed figures.
pub(super) const MEASURES: usize = COUNTS.len() + OTHERS.len();

/// The columns of `usage_hourly` that are summed, in the order of [`MeasureValues`].
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    COUNTS
        .into_iter()
        .chain(OTHERS.iter().map(|(column, _)| *column))
}

/// The values of [`columns`] for one row of `usage_logs`, as SQL.
pub(super) fn of_row() -> impl Iterator<Item = &'static str> {
    COUNTS
        .into_iter()
        .chain(OTHERS.iter().map(|(_, value)| *value))
}

/// The key of a row of `usage_logs`, as SQL: rows that were written before there was a table of keys
/// are of the key with the id of the user.
pub(super) const KEY_OF_ROW: &str = "iif(key_id = 0, user_id, key_id)";

/// Sums of the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MeasureValues(pub(super) [i64; MEASURES]);

impl Default for MeasureValues {
    fn default() -> Self {
        Self([0; MEASURES])
    }
}

impl MeasureValues {
    /// Returns the figures of one row, which costs `cost`.
    pub(super) fn of(row: &UsageRow, cost: Option<NanoUsd>) -> Self {
        let mut values = Self::default();
        values.0[..COUNTS.len()].copy_from_slice(&counts(&row.usage));
        let is_ok = (200..300).contains(&row.status);
        let is_estimated = row.source == UsageSource::Estimate;
        let estimated = if is_estimated {
            row.estimated
        } else {
            EstimatedTokens::default()
        };
        values.0[COUNTS.len()..].copy_from_slice(&[
            1,
            i64::from(is_ok),
            i64::from(is_estimated && is_ok),
            signed(estimated.input),
            signed(estimated.output),
            cost.map_or(0, |cost| cost.0),
            i64::from(cost.is_none() && row.needs_cost()),
        ]);
        values
    }

    /// Adds other figures. A sum that does not fit is the largest number.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, other) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(other);
        }
    }

    /// Returns the figure of a column.
    pub(super) fn get(&self, column: &str) -> i64 {
        columns()
            .zip(self.0)
            .find_map(|(name, value)| (name == column).then_some(value))
            .unwrap_or_default()
    }
}

/// Returns the values of [`COUNTS`].
pub(super) fn counts(usage: &Usage) -> [i64; COUNTS.len()] {
    let classes = &usage.classes;
    [
        usage.input,
        usage.output,
        usage.cached,
        usage.reasoning,
        usage.audio_ms,
        usage.images,
        classes.cache_write_5m,
        classes.cache_write_1h,
        classes.audio_input,
        classes.image_input,
        classes.cached_audio,
        classes.cached_image,
        classes.audio_output,
        classes.image_output,
        classes.web_searches,
        classes.file_searches,
        classes.code_calls,
    ]
    .map(signed)
}

/// Returns the usage for values of [`COUNTS`]; a negative one is 0.
pub(super) fn usage_of(counts: [i64; COUNTS.len()]) -> Usage {
    let [
        input,
        output,
        cached,
        reasoning,
        audio_ms,
        images,
        cache_write_5m,
        cache_write_1h,
        audio_input,
        image_input,
        cached_audio,
        cached_image,
        audio_output,
        image_output,
        web_searches,
        file_searches,
        code_calls,
    ] = counts.map(|count| u64::try_from(count).unwrap_or(0));
    Usage {
        input,
        output,
        cached,
        reasoning,
        audio_ms,
        images,
        classes: UsageClasses {
            cache_write_5m,
            cache_write_1h,
            audio_input,
            image_input,
            cached_audio,
            cached_image,
            audio_output,
            image_output,
            web_searches,
            file_searches,
            code_calls,
        },
    }
}
