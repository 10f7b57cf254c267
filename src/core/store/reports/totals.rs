//! The sums of a line of a report, and the JSON that the HTTP API and `--json` have for them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    model::{NanoUsd, Usage},
    store::measures::{COUNTS, MeasureValues, counts, usage_of},
};

/// Usage, cost, and the number of requests that were answered with a 2xx status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: i64,
    pub usage: Usage,
    /// The cost of the requests that have one.
    pub cost: NanoUsd,
    /// Number of requests that used something and have no cost, because no price was known.
    pub unpriced_requests: i64,
    /// Number of requests whose usage is estimated, because the backend did not report it. The
    /// token counts are the estimated parts of those in `usage`.
    pub estimated_requests: i64,
    pub estimated_input_tokens: i64,
    pub estimated_output_tokens: i64,
}

impl Totals {
    pub(super) fn of(values: &MeasureValues) -> Self {
        let mut of_usage = [0; COUNTS.len()];
        of_usage.copy_from_slice(&values.0[..COUNTS.len()]);
        Self {
            requests: values.get("requests_ok"),
            usage: usage_of(of_usage),
            cost: NanoUsd(values.get("cost_nano_usd")),
            unpriced_requests: values.get("unpriced_requests"),
            estimated_requests: values.get("estimated_requests"),
            estimated_input_tokens: values.get("estimated_input_tokens"),
            estimated_output_tokens: values.get("estimated_output_tokens"),
        }
    }

    /// Returns whether nothing was used: no request succeeded, and none that failed used anything.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds other sums. A sum that does not fit is the largest number.
    pub fn add(&mut self, other: &Self) {
        self.usage = self.usage.saturating_add(other.usage);
        self.cost = self.cost.saturating_add(other.cost);
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.unpriced_requests, other.unpriced_requests),
            (&mut self.estimated_requests, other.estimated_requests),
            (
                &mut self.estimated_input_tokens,
                other.estimated_input_tokens,
            ),
            (
                &mut self.estimated_output_tokens,
                other.estimated_output_tokens,
            ),
        ];
        for (sum, other) in pairs {
            *sum = sum.saturating_add(other);
        }
    }

    /// Returns input and output tokens together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.usage.input.saturating_add(self.usage.output)
    }
}

/// The members of JSON. The classes that few answers have are left out where they are 0.
#[derive(Serialize, Deserialize)]
struct Members {
    total_input_tokens: i64,
    total_output_tokens: i64,
    total_cached_tokens: i64,
    total_requests: i64,
    total_reasoning_tokens: i64,
    total_audio_seconds: Decimal<3>,
    total_images: i64,
    /// Input tokens without half of the cached ones, which the Python service's document names.
    billable_input_tokens: Decimal<1>,
    cost_usd: NanoUsd,
    unpriced_requests: i64,
    estimated_requests: i64,
    estimated_input_tokens: i64,
    estimated_output_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_cache_write_5m_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_cache_write_1h_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_audio_input_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_image_input_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_cached_audio_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_cached_image_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_audio_output_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_image_output_tokens: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_web_searches: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_file_searches: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    total_code_calls: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// A number of 10^-PLACES, which is written as a JSON number with the places that it needs.
struct Decimal<const PLACES: u32>(i64);

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    #[allow(clippy::cast_precision_loss)] // a sum of 2^53 is no sum
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = 10_i64.pow(PLACES);
        if self.0 % unit == 0 {
            return serializer.serialize_i64(self.0 / unit);
        }
        serializer.serialize_f64(self.0 as f64 / unit as f64)
    }
}

impl<'de, const PLACES: u32> Deserialize<'de> for Decimal<PLACES> {
    // Every sum is in range, and a float-to-integer cast saturates.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Ok(Self((number * 10_i64.pow(PLACES) as f64).round() as i64))
    }
}

impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [
            total_input_tokens,
            total_output_tokens,
            total_cached_tokens,
            total_reasoning_tokens,
            audio_ms,
            total_images,
            total_cache_write_5m_tokens,
            total_cache_write_1h_tokens,
            total_audio_input_tokens,
            total_image_input_tokens,
            total_cached_audio_tokens,
            total_cached_image_tokens,
            total_audio_output_tokens,
            total_image_output_tokens,
            total_web_searches,
            total_file_searches,
            total_code_calls,
        ] = counts(&self.usage);
        let billable = total_input_tokens
            .saturating_mul(10)
            .saturating_sub(total_cached_tokens.saturating_mul(5));
        Members {
            total_input_tokens,
            total_output_tokens,
            total_cached_tokens,
            total_requests: self.requests,
            total_reasoning_tokens,
            total_audio_seconds: Decimal(audio_ms),
            total_images,
            billable_input_tokens: Decimal(billable),
            cost_usd: self.cost,
            unpriced_requests: self.unpriced_requests,
            estimated_requests: self.estimated_requests,
            estimated_input_tokens: self.estimated_input_tokens,
            estimated_output_tokens: self.estimated_output_tokens,
            total_cache_write_5m_tokens,
            total_cache_write_1h_tokens,
            total_audio_input_tokens,
            total_image_input_tokens,
            total_cached_audio_tokens,
            total_cached_image_tokens,
            total_audio_output_tokens,
            total_image_output_tokens,
            total_web_searches,
            total_file_searches,
            total_code_calls,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Members::deserialize(deserializer)?;
        Ok(Self {
            requests: members.total_requests,
            usage: usage_of([
                members.total_input_tokens,
                members.total_output_tokens,
                members.total_cached_tokens,
                members.total_reasoning_tokens,
                members.total_audio_seconds.0,
                members.total_images,
                members.total_cache_write_5m_tokens,
                members.total_cache_write_1h_tokens,
                members.total_audio_input_tokens,
                members.total_image_input_tokens,
                members.total_cached_audio_tokens,
                members.total_cached_image_tokens,
                members.total_audio_output_tokens,
                members.total_image_output_tokens,
                members.total_web_searches,
                members.total_file_searches,
                members.total_code_calls,
            ]),
            cost: members.cost_usd,
            unpriced_requests: members.unpriced_requests,
            estimated_requests: members.estimated_requests,
            estimated_input_tokens: members.estimated_input_tokens,
            estimated_output_tokens: members.estimated_output_tokens,
        })
    }
}
