//! Costs by hand. What a second calculator says and what holds of any usage is beside this.

use serde::Deserialize;

use super::*;
use crate::{
    model::UsageClasses,
    prices::{Field, Stem, UnitPrice, snapshot},
};

mod cross_check;
mod properties;

/// The classes of a usage, all in one place.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Counts {
    input: u64,
    output: u64,
    cached: u64,
    reasoning: u64,
    audio_ms: u64,
    images: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    audio_input: u64,
    image_input: u64,
    cached_audio: u64,
    cached_image: u64,
    audio_output: u64,
    image_output: u64,
    web_searches: u64,
    file_searches: u64,
    code_calls: u64,
}

impl Counts {
    fn usage(&self) -> Usage {
        Usage {
            input: self.input,
            output: self.output,
            cached: self.cached,
            reasoning: self.reasoning,
            audio_ms: self.audio_ms,
            images: self.images,
            classes: UsageClasses {
                cache_write_5m: self.cache_write_5m,
                cache_write_1h: self.cache_write_1h,
                audio_input: self.audio_input,
                image_input: self.image_input,
                cached_audio: self.cached_audio,
                cached_image: self.cached_image,
                audio_output: self.audio_output,
                image_output: self.image_output,
                web_searches: self.web_searches,
                file_searches: self.file_searches,
                code_calls: self.code_calls,
            },
        }
    }
}

/// A model with one price of each stem, in dollars: prime numbers, so that each shows in the sum.
const ALL: [(Stem, u32); 17] = [
    (Stem::Input, 2),
    (Stem::Output, 3),
    (Stem::CacheRead, 5),
    (Stem::CacheReadAudio, 7),
    (Stem::CacheReadImage, 11),
    (Stem::CacheWrite, 13),
    (Stem::CacheWrite1h, 17),
    (Stem::Reasoning, 19),
    (Stem::AudioInput, 23),
    (Stem::ImageInput, 29),
    (Stem::AudioOutput, 31),
    (Stem::ImageOutput, 37),
    (Stem::InputSecond, 41),
    (Stem::OutputImage, 43),
    (Stem::WebSearch, 47),
    (Stem::FileSearch1k, 53),
    (Stem::CodeSession, 59),
];

fn price_of(stems: impl IntoIterator<Item = (Stem, u32)>) -> ModelPrice {
    let fields = stems.into_iter().map(|(stem, dollars)| {
        let price = UnitPrice::parse(&dollars.to_string()).unwrap();
        (Field::of(stem), price)
    });
    ModelPrice::from_fields("m", fields)
}

fn model(json: &str) -> ModelPrice {
    ModelPrice::parse("m", json).unwrap()
}

fn dollars(cost: Option<NanoUsd>) -> Option<i64> {
    cost.map(|NanoUsd(nanos)| nanos / 1_000_000_000)
}

#[test]
fn each_token_is_counted_in_one_class() {
    let usage = Counts {
        input: 1000,
        output: 100,
        cached: 300,
        cached_audio: 20,
        cached_image: 10,
        audio_input: 120,
        image_input: 60,
        cache_write_5m: 40,
        cache_write_1h: 30,
        reasoning: 50,
        audio_output: 6,
        image_output: 4,
        audio_ms: 2000,
        images: 3,
        web_searches: 2,
        file_searches: 1000,
        code_calls: 9,
    };
    let input = (1000 - 300 - 40 - 30 - 100 - 50) * 2 + 100 * 23 + 50 * 29 + 40 * 13 + 30 * 17;
    let cached = 270 * 5 + 20 * 7 + 10 * 11;
    let output = 40 * 3 + 50 * 19 + 6 * 31 + 4 * 37;
    let others = 2 * 41 + 3 * 43 + 2 * 47 + 53 + 59;
    let cost = price_of(ALL).cost(&usage.usage(), None, false);
    assert_eq!(dollars(cost), Some(input + cached + output + others));
}

#[test]
fn the_example_of_the_page_about_money_is_right() {
    let usage = Counts {
        input: 300_000,
        cached: 100_000,
        output: 2_000,
        reasoning: 1_500,
        ..Counts::default()
    };
    let price = snapshot().get("gpt-5.4").unwrap();
    let cost = price.cost(&usage.usage(), Some(&ServiceTier::Flex), false);
    let page = include_str!("../../../../docs/money.md");
    assert!(page.contains(&format!("**{}**", cost.unwrap())));
}

#[test]
fn what_has_no_price_is_not_free() {
    let [tokens, searches, images, nothing] = [
        Counts {
            input: 1,
            ..Counts::default()
        },
        Counts {
            web_searches: 1,
            ..Counts::default()
        },
        Counts {
            images: 1,
            ..Counts::default()
        },
        Counts::default(),
    ]
    .map(|counts| counts.usage());
    let text = model(r#"{"input_cost_per_token":1}"#);
    let picture = model(r#"{"output_cost_per_image":1}"#);
    let letters = model(r#"{"input_cost_per_character":1}"#);
    let free = model(r#"{"input_cost_per_token":0}"#);
    let request = model(r#"{"input_cost_per_query":1,"input_cost_per_token":0}"#);
    let costs = |price: &ModelPrice| {
        [tokens, searches, images, nothing].map(|usage| dollars(price.cost(&usage, None, false)))
    };
    assert_eq!(costs(&text), [Some(1), None, None, Some(0)]);
    assert_eq!(costs(&picture), [None, None, Some(1), Some(0)]);
    assert_eq!(costs(&letters), [None; 4]);
    assert_eq!(costs(&free), [Some(0), None, None, Some(0)]);
    assert_eq!(costs(&request), [Some(1), None, None, Some(1)]);
}

#[test]
fn a_cost_is_rounded_once_and_half_up() {
    // A tenth of a nano-dollar a token, and half of it cached.
    let price = model(r#"{"input_cost_per_token":"1e-10"}"#);
    for (input, cached, nanos) in [
        (4, 0, 0),
        (5, 0, 1),
        (5, 1, 0),
        (6, 2, 1),
        (15, 0, 2),
        (24, 0, 2),
    ] {
        let usage = Counts {
            input,
            cached,
            ..Counts::default()
        }
        .usage();
        let cost = price.cost(&usage, None, false);
        assert_eq!(cost, Some(NanoUsd(nanos)), "{input} {cached}");
    }
    // Half a femto-dollar is not lost: two million halves are a nano-dollar.
    let price = model(r#"{"input_cost_per_token":"1e-15"}"#);
    let usage = Counts {
        input: 1_000_000,
        cached: 1_000_000,
        ..Counts::default()
    }
    .usage();
    assert_eq!(price.cost(&usage, None, false), Some(NanoUsd(1)));
    assert_eq!(price.cost(&usage, None, true), Some(NanoUsd(0)));
}

#[test]
fn the_largest_counts_and_prices_are_the_largest_cost() {
    let usage = Counts {
        input: u64::MAX,
        output: u64::MAX,
        audio_ms: u64::MAX,
        ..Counts::default()
    };
    let price = model(
        r#"{"input_cost_per_token":9223,"output_cost_per_token":9223,
            "input_cost_per_second":9223}"#,
    );
    assert_eq!(
        price.cost(&usage.usage(), None, false),
        Some(NanoUsd(1_000_000_000_000_000))
    );
}

#[test]
fn a_tier_without_a_price_of_its_own_has_the_ordinary_one() {
    let price = model(
        r#"{"input_cost_per_token":8,"input_cost_per_token_flex":4,
            "input_cost_per_token_above_1k_tokens":16,
            "input_cost_per_token_above_2k_tokens":32,
            "input_cost_per_token_above_2k_tokens_flex":20,
            "input_cost_per_token_nightly":1,
            "output_cost_per_token":6,"output_cost_per_reasoning_token":7,
            "output_cost_per_token_flex":3}"#,
    );
    let cost = |input: u64, output: u64, tier: &str, is_batch: bool| {
        let usage = Counts {
            input,
            output,
            reasoning: output,
            ..Counts::default()
        }
        .usage();
        dollars(price.cost(&usage, ServiceTier::parse(tier).as_ref(), is_batch))
    };
    for (input, tier, each) in [
        (1000, "", 8),
        (1000, "default", 8),
        (1000, "flex", 4),
        (1000, "priority", 8),
        (1000, "nightly", 1),
        (1000, "batch", 4),
        (1001, "", 16),
        (1001, "flex", 16),
        (2000, "flex", 16),
        (2001, "flex", 20),
        (2001, "priority", 32),
        (2001, "batch", 16),
    ] {
        assert_eq!(
            cost(input, 0, tier, false),
            Some(each * i64::try_from(input).unwrap()),
            "{input} {tier}"
        );
    }
    assert_eq!(cost(2001, 0, "flex", true), Some(16 * 2001));
    // Reasoning has the price of the tier's output before its own ordinary one.
    assert_eq!(cost(0, 1, "", false), Some(7));
    assert_eq!(cost(0, 1, "flex", false), Some(3));
}

#[test]
fn what_providers_sell_at_one_price_needs_no_price_of_the_model() {
    let usage = Counts {
        file_searches: 2,
        code_calls: 5,
        ..Counts::default()
    }
    .usage();
    let searches = Counts {
        web_searches: 3,
        ..Counts::default()
    }
    .usage();
    let price = |provider: &str| {
        model(&format!(
            r#"{{"input_cost_per_token":1,"litellm_provider":"{provider}"}}"#
        ))
    };
    let cost = |provider: &str, usage| price(provider).cost(&usage, None, false);
    assert_eq!(cost("openai", usage), Some(NanoUsd(35_000_000)));
    assert_eq!(cost("openai", searches), None);
    assert_eq!(cost("anthropic", searches), Some(NanoUsd(30_000_000)));
    assert_eq!(cost("anthropic", usage), None);
    assert_eq!(cost("azure", usage), None);
}
