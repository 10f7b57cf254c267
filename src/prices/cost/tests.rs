use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::{
    model::UsageClasses,
    prices::{Field, Stem, UnitPrice, snapshot},
};

/// The cases that `contrib/prices/cross-check` writes.
#[derive(Deserialize)]
struct Fixture {
    calculator: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    model: String,
    usage: Counts,
    tier: Option<String>,
    #[serde(default)]
    batch: bool,
    litellm: String,
    /// Our figure where it differs, the sum by which it comes about, and the reason.
    ours: Option<String>,
    #[serde(default, rename = "sum")]
    terms: Vec<(u64, String)>,
    right: Option<String>,
    why: Option<String>,
}

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

#[test]
fn two_hundred_usages_cost_what_a_second_calculator_says() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixture.json")).unwrap();
    assert_eq!(fixture.calculator, "litellm 1.110.2");
    let prices = snapshot();
    let mut wrong = Vec::new();
    for case in &fixture.cases {
        let price = prices.get(&case.model).unwrap();
        let tier = case.tier.as_deref().and_then(ServiceTier::parse);
        let usage = case.usage.usage();
        let cost = price.cost(&usage, tier.as_ref(), case.batch);
        let cost = cost.map_or("none".to_owned(), |cost| cost.to_string());
        let expected = case.ours.as_ref().unwrap_or(&case.litellm);
        if cost != *expected {
            let (tier, batch) = (&case.tier, case.batch);
            wrong.push(format!(
                "{} {tier:?} batch={batch} {usage:?}: {cost}, not {expected}",
                case.model
            ));
        }
        // A declared difference is one, has a reason, and is no larger than it looks.
        if let Some(ours) = &case.ours {
            assert_ne!(*ours, case.litellm);
            assert!(case.why.as_ref().is_some_and(|why| why.len() > 20));
            assert!(matches!(case.right.as_deref(), Some("ours" | "litellm")));
            assert_eq!(case.terms.is_empty(), ours == "none");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fixture.cases.len() >= 200, "{}", fixture.cases.len());
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
        r#"{"input_cost_per_token":9223,"output_cost_per_token":9223,"input_cost_per_second":9223}"#,
    );
    assert_eq!(
        price.cost(&usage.usage(), None, false),
        Some(NanoUsd(i64::MAX))
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

fn any_counts() -> impl Strategy<Value = Usage> {
    prop::array::uniform17(0..5000_u64).prop_map(|c| {
        let counts = Counts {
            input: c[0],
            output: c[1],
            cached: c[2],
            reasoning: c[3],
            audio_ms: c[4],
            images: c[5],
            cache_write_5m: c[6],
            cache_write_1h: c[7],
            audio_input: c[8],
            image_input: c[9],
            cached_audio: c[10],
            cached_image: c[11],
            audio_output: c[12],
            image_output: c[13],
            web_searches: c[14],
            file_searches: c[15],
            code_calls: c[16],
        };
        counts.usage()
    })
}

proptest! {
    #[test]
    fn every_token_is_in_exactly_one_class(usage in any_counts()) {
        let t = TokenClasses::of(&usage);
        let input = t.text_input + t.audio_input + t.image_input + t.cached_text + t.cached_audio
            + t.cached_image + t.written_5m + t.written_for_hour;
        prop_assert_eq!(input, usage.input);
        prop_assert_eq!(t.text_output + t.reasoning + t.audio_output + t.image_output, usage.output);
    }

    #[test]
    fn more_of_anything_that_is_no_part_never_costs_less(
        usage in any_counts(),
        more in prop::array::uniform6(0..3_u64),
        dollars in prop::collection::vec(0..100_u32, ALL.len()),
    ) {
        let stems = ALL.iter().zip(&dollars).map(|((stem, _), dollars)| (*stem, *dollars));
        let price = price_of(stems);
        let [input, output, audio_ms, images, searches, calls] = more;
        let mut larger = usage;
        larger.input += input;
        larger.output += output;
        larger.audio_ms += audio_ms;
        larger.images += images;
        larger.classes.web_searches += searches;
        larger.classes.code_calls += calls;
        prop_assert!(price.cost(&usage, None, false) <= price.cost(&larger, None, false));
    }

    /// Rounded once: a sum of parts that are rounded alone may be off by half a nano-dollar each.
    #[test]
    fn a_cost_is_the_sum_of_its_sides(
        usage in any_counts(),
        femtos in prop::collection::vec(0..10_000_000_i64, ALL.len()),
    ) {
        let fields = ALL.iter().zip(&femtos).map(|((stem, _), femtos)| {
            (Field::of(*stem), UnitPrice::from_femto_usd(*femtos))
        });
        let price = ModelPrice::from_fields("m", fields);
        let nanos = |usage: &Usage| price.cost(usage, None, false).unwrap().0;
        let mut input = usage;
        (input.output, input.reasoning) = (0, 0);
        (input.classes.audio_output, input.classes.image_output) = (0, 0);
        let output = usage.saturating_sub(input);
        prop_assert!((nanos(&usage) - nanos(&input) - nanos(&output)).abs() <= 1);
        // A thousand times as much is rounded no more often.
        let mut thousandfold = Usage::default();
        for _ in 0..1000 {
            thousandfold = thousandfold.saturating_add(usage);
        }
        if usage.classes.code_calls == 0 {
            prop_assert!((nanos(&thousandfold) - 1000 * nanos(&usage)).abs() <= 500);
        }
    }

    #[test]
    fn any_price_is_read_back_from_its_canonical_text(
        fields in prop::collection::vec((crate::prices::field::tests::any_field(), any::<u64>()), 0..12),
    ) {
        let fields = fields.into_iter().map(|(field, femtos)| {
            (field, UnitPrice::from_femto_usd(i64::try_from(femtos / 2).unwrap()))
        });
        let price = ModelPrice::from_fields("m", fields);
        let again = ModelPrice::parse("m", &price.canonical()).unwrap();
        prop_assert_eq!(again, price);
    }
}
