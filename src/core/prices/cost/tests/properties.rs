//! What holds of any usage and any price.

use proptest::prelude::*;

use super::{ALL, Counts, price_of};
use crate::{
    model::Usage,
    prices::{Field, ModelPrice, UnitPrice, cost::TokenClasses, field::tests::any_field},
};

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
        let output = t.text_output + t.reasoning + t.audio_output + t.image_output;
        prop_assert_eq!(output, usage.output);
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

    #[test]
    fn a_prepared_price_says_what_the_price_says(
        usage in any_counts(),
        tokens in prop::sample::select(vec![0, 999, 1_000, 1_001, 199_999, 200_000, 200_001, 300_000]),
        tier in prop::sample::select(vec!["auto", "default", "flex", "priority", "batch", "fast"]),
        is_batch in any::<bool>(),
        fields in prop::collection::vec((any_field(), 0..1_000_000_i64), 0..12),
    ) {
        let fields = fields.into_iter().map(|(field, femtos)| (field, UnitPrice::from_femto_usd(femtos * 1_000)));
        let of_snapshot = crate::prices::snapshot().get("gemini/gemini-2.5-pro").unwrap();
        for price in [ModelPrice::from_fields("m", fields), of_snapshot] {
            let usage = Usage { input: usage.input + tokens, ..usage };
            let tier = crate::model::ServiceTier::parse(tier);
            let prepared = crate::prices::PreparedPrice::new(price.clone());
            prop_assert_eq!(
                prepared.cost(&usage, tier.as_ref(), is_batch),
                price.cost(&usage, tier.as_ref(), is_batch)
            );
            let (input, output) = (usage.input, usage.output);
            let text = Usage { input, output, ..Usage::default() };
            prop_assert_eq!(
                prepared.cost_of_text(input, output, tier.as_ref(), is_batch),
                price.cost(&text, tier.as_ref(), is_batch)
            );
        }
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
        fields in prop::collection::vec((any_field(), any::<u64>()), 0..12),
    ) {
        let fields = fields.into_iter().map(|(field, femtos)| {
            (field, UnitPrice::from_femto_usd(i64::try_from(femtos / 2).unwrap()))
        });
        let price = ModelPrice::from_fields("m", fields);
        let again = ModelPrice::parse("m", &price.canonical()).unwrap();
        prop_assert_eq!(again, price);
    }
}
