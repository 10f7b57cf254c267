//! Decides which of an answer's numbers the backend reported and which are to be estimated, and
//! what else decides about its price. Pure: it sees the meter only.

use crate::{
    model::{ServiceTier, Usage},
    proxy::routes::Metering,
    usage::{Content, Dialect, Meter, ReportedCounts},
};

/// What the backend reported of an answer's usage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub usage: Usage,
    pub missing: Missing,
}

/// What the backend did not report. It is estimated if it can be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missing {
    Nothing,
    /// There are no numbers at all. A row gets no estimate, but what is kept with an account does.
    #[default]
    All,
    Parts {
        input: bool,
        output: bool,
    },
}

/// An answer without an error status, as it is known at its end.
pub struct Metered<'a> {
    pub metering: Metering,
    pub dialect: Dialect,
    pub content: Content,
    /// `None` if there is no answer, or none that was read.
    pub meter: Option<&'a Meter>,
    /// The answer came to its end.
    pub is_complete: bool,
}

impl Metered<'_> {
    /// Returns the backend's numbers, a 0 included, and what is missing of them.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let Some(meter) = self.meter else {
            return Numbers::unread(self.metering);
        };
        let reading = meter.reading();
        let counts = reading.counts();
        let reported = counts.reported(self.dialect, self.content);
        let mut usage = reported.usage();
        reading.note_calls(&mut usage.classes);
        if self.metering == Metering::Images {
            usage.images = reading.items;
        }
        let missing = match self.metering {
            Metering::Text => self.missing_of_text(meter, reported),
            Metering::Input if reported.input.is_none() => Missing::Parts {
                input: true,
                output: false,
            },
            Metering::Input => Missing::Nothing,
            Metering::AsReported | Metering::Images | Metering::Free if counts.is_reported() => {
                Missing::Nothing
            }
            Metering::AsReported | Metering::Images | Metering::Free => Missing::All,
        };
        Numbers { usage, missing }
    }

    /// Returns what is missing where input and output are text. An answer that merely says what
    /// went wrong generated nothing.
    fn missing_of_text(&self, meter: &Meter, reported: ReportedCounts) -> Missing {
        let reading = meter.reading();
        let has_uncounted = meter.is_of_events() && reading.has_uncounted_text(self.is_complete);
        let is_failed = reading.is_error && !has_uncounted && !meter.has_text_in_json();
        if is_failed && reported.input.is_none() && reported.output.is_none() {
            return Missing::All;
        }
        // A 0 before the text is a placeholder.
        let input = reported
            .input
            .is_none_or(|input| input == 0 && has_uncounted);
        let output = has_uncounted || reported.output.is_none() && !is_failed;
        if input || output {
            Missing::Parts { input, output }
        } else {
            Missing::Nothing
        }
    }
}

/// What a price depends on beside the usage.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServiceClass {
    pub tier: Option<ServiceTier>,
    pub is_batch: bool,
}

impl ServiceClass {
    /// Returns the class for a tier that was reported or asked for. Anthropic reports `batch` as
    /// one.
    #[must_use]
    pub fn of(tier: Option<&ServiceTier>) -> Self {
        let is_batch = tier.is_some_and(|tier| tier.as_str() == "batch");
        Self {
            tier: tier.filter(|_| !is_batch).cloned(),
            is_batch,
        }
    }
}

/// Returns whether a model searches the web once for each chat, which no answer reports (OpenAI's
/// guide to web search: with these models chat completions always search). Other models that take
/// `web_search_options` may search or not, and count by what they report.
#[must_use]
pub fn searches_always(model: &str, served_model: Option<&str>) -> bool {
    let has_name = |model: &str| {
        // Most names have not even this, and one search is cheaper than two.
        memchr::memmem::find(model.as_bytes(), b"-search-").is_some()
            && (model.contains("-search-preview") || model.contains("-search-api"))
    };
    has_name(model) || served_model.is_some_and(has_name)
}

impl Numbers {
    /// Returns what is missing if there is no answer, or none that was read.
    fn unread(metering: Metering) -> Self {
        let missing = match metering {
            Metering::Text | Metering::Input => Missing::Parts {
                input: true,
                output: metering == Metering::Text,
            },
            Metering::AsReported | Metering::Images | Metering::Free => Missing::All,
        };
        Self {
            usage: Usage::default(),
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::UsageClasses, usage::Encoding};

    /// Returns the input, the output and what is missing of an answer in JSON.
    fn of_json(metering: Metering, body: &'static str) -> (u64, u64, Missing) {
        let mut meter = Meter::json(Encoding::Identity, None);
        meter.push(body.into(), &mut |_| {});
        meter.finish(&mut |_| {});
        let numbers = Metered {
            metering,
            dialect: Dialect::Completions,
            content: Content::Text,
            meter: Some(&meter),
            is_complete: true,
        }
        .numbers();
        (numbers.usage.input, numbers.usage.output, numbers.missing)
    }

    const BOTH: &str = r#"{"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    const INPUT: &str = r#"{"usage":{"prompt_tokens":3}}"#;
    const TEXT: &str = r#"{"choices":[{"message":{"content":"Hello"}}]}"#;
    const ERROR: &str = r#"{"error":{"message":"overloaded"}}"#;

    const fn parts(input: bool, output: bool) -> Missing {
        Missing::Parts { input, output }
    }

    #[test]
    fn missing_numbers_follow_from_metering_and_report() {
        for (metering, body, expected) in [
            (Metering::Text, BOTH, (3, 2, Missing::Nothing)),
            (Metering::Text, INPUT, (3, 0, parts(false, true))),
            (Metering::Text, TEXT, (0, 0, parts(true, true))),
            (Metering::Text, ERROR, (0, 0, Missing::All)),
            (Metering::Input, INPUT, (3, 0, Missing::Nothing)),
            (Metering::Input, TEXT, (0, 0, parts(true, false))),
            (Metering::AsReported, BOTH, (3, 2, Missing::Nothing)),
            (Metering::AsReported, TEXT, (0, 0, Missing::All)),
            (Metering::Images, TEXT, (0, 0, Missing::All)),
            (Metering::Free, TEXT, (0, 0, Missing::All)),
        ] {
            assert_eq!(of_json(metering, body), expected, "{metering:?} {body}");
        }
    }

    /// Returns the classes of an answer in JSON.
    fn classes_of(content: Content, body: &'static str) -> UsageClasses {
        let mut meter = Meter::json(Encoding::Identity, None);
        meter.push(body.into(), &mut |_| {});
        meter.finish(&mut |_| {});
        let metered = Metered {
            metering: Metering::Text,
            dialect: Dialect::Responses,
            content,
            meter: Some(&meter),
            is_complete: true,
        };
        metered.numbers().usage.classes
    }

    #[test]
    fn classes_follow_from_report_content_and_calls() {
        let found = classes_of(
            Content::Text,
            r#"{"output":[{"type":"web_search_call"},{"type":"code_interpreter_call","container_id":"c"},{"type":"file_search_call"}],
                "usage":{"input_tokens":9,"input_tokens_details":{"cache_write_tokens":4},"output_tokens":2}}"#,
        );
        let expected = UsageClasses {
            cache_write_5m: 4,
            web_searches: 1,
            file_searches: 1,
            code_calls: 1,
            ..UsageClasses::default()
        };
        assert_eq!(found, expected);
        // Calls are billed though nothing else is known.
        let found = classes_of(Content::Text, r#"{"output":[{"type":"web_search_call"}]}"#);
        assert_eq!(found.web_searches, 1);
        let picture = r#"{"data":[{}],"usage":{"input_tokens":9,"output_tokens":50}}"#;
        assert_eq!(classes_of(Content::ImageOutput, picture).image_output, 50);
        let speech =
            r#"{"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101}}"#;
        assert_eq!(classes_of(Content::AudioOutput, speech).audio_output, 101);
    }

    #[test]
    fn a_batch_is_no_tier() {
        for (tier, expected, is_batch) in [
            (None, None, false),
            (Some("standard"), Some(ServiceTier::Default), false),
            (Some("flex"), Some(ServiceTier::Flex), false),
            (Some("batch"), None, true),
        ] {
            let class = ServiceClass::of(tier.and_then(ServiceTier::parse).as_ref());
            assert_eq!((class.tier, class.is_batch), (expected, is_batch));
        }
    }

    #[test]
    fn search_models_are_known_by_their_names() {
        assert!(searches_always("gpt-4o-search-preview-2025-03-11", None));
        assert!(searches_always("search", Some("gpt-5-search-api")));
        assert!(!searches_always("gpt-5", Some("gpt-5-2025-08-07")));
        assert!(!searches_always("search-preview-of-mine", None));
    }

    #[test]
    fn without_an_answer_everything_that_is_text_is_missing() {
        for (metering, missing) in [
            (Metering::Text, parts(true, true)),
            (Metering::Input, parts(true, false)),
            (Metering::AsReported, Missing::All),
            (Metering::Images, Missing::All),
        ] {
            assert_eq!(Numbers::unread(metering).missing, missing);
        }
    }
}
