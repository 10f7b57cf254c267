//! Documents of prices, such as an operator's file or a row of the database.

use crate::{
    model::{ServiceTier, Usage, UsageClasses},
    prices::{Catalog, Field, ModelPrice, PriceBook, SetPrice, UnitPrice, compare},
};

const USAGE: Usage = Usage {
    input: 300_000,
    output: 4_000,
    cached: 100_000,
    reasoning: 1_000,
    audio_ms: 1_500,
    images: 2,
    classes: UsageClasses {
        cache_write_5m: 50_000,
        cache_write_1h: 20_000,
        audio_input: 10_000,
        image_input: 5_000,
        cached_audio: 1_000,
        cached_image: 500,
        audio_output: 200,
        image_output: 100,
        web_searches: 3,
        file_searches: 4,
        code_calls: 5,
    },
};

/// A document of prices is read to the end, or refused in one line that says where. What was read
/// can be written and read again, and prices any usage without a panic.
pub fn prices(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    words(&text);
    match Catalog::parse(input) {
        Ok(catalog) => check_catalog(&catalog),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
            let lines = input.split(|byte| *byte == b'\n').count();
            let line = message
                .strip_prefix("line ")
                .and_then(|rest| rest.split(',').next());
            let line: usize = line.and_then(|line| line.parse().ok()).expect("a line");
            assert!((1..=lines).contains(&line), "{message}");
        }
    }
    if let Ok(price) = ModelPrice::parse("model", &text) {
        check_price(&price);
    }
}

fn check_catalog(catalog: &Catalog) {
    let mut last: Option<String> = None;
    for price in catalog.iter() {
        assert!(last.as_deref().is_none_or(|last| last < price.name()));
        assert_eq!(catalog.get(price.name()), Some(price.clone()));
        check_price(&price);
        last = Some(price.name().to_owned());
    }
    assert!(!compare(catalog, catalog).needs_confirmation());
    let set = catalog
        .iter()
        .take(2)
        .enumerate()
        .map(|(index, price)| SetPrice {
            id: index.try_into().expect("a small number"),
            model: price.name().to_owned(),
            from_ms: 0,
            price,
        });
    let book = PriceBook::new(set.collect(), Some(catalog.clone()), Catalog::default());
    for price in catalog.iter() {
        let found = book.find(price.name(), None, 0).expect("an exact name");
        assert_eq!(found.price, price);
        // Other spellings and dates of it are looked for, and found or not.
        let _ = book.find(
            &format!("openai/{}-2025-08-07", price.name()),
            Some("ft:x:y"),
            -1,
        );
    }
}

fn check_price(price: &ModelPrice) {
    let text = price.canonical();
    let again = ModelPrice::parse(price.name(), &text).expect("what was written, can be read");
    assert_eq!(again, *price);
    let tiers = [
        None,
        ServiceTier::parse("flex"),
        ServiceTier::parse("batch"),
    ];
    for tier in tiers {
        for is_batch in [false, true] {
            let cost = price.cost(&USAGE, tier.as_ref(), is_batch);
            assert_eq!(again.cost(&USAGE, tier.as_ref(), is_batch), cost);
            assert!(cost.is_none_or(|cost| cost.0 >= 0));
        }
    }
    for (field, price) in price.fields() {
        assert_eq!(Field::parse(&field.name()).as_ref(), Some(field));
        assert_eq!(UnitPrice::parse(&price.to_string()), Ok(price));
        assert_eq!(
            UnitPrice::parse_per_million(&price.per_million()),
            Ok(price)
        );
    }
}

/// Each word may be a price or the name of one.
fn words(text: &str) {
    for word in text.split(|c: char| !(c.is_alphanumeric() || "+-._".contains(c))) {
        if let Ok(price) = UnitPrice::parse(word) {
            assert_eq!(UnitPrice::parse(&price.to_string()), Ok(price));
        }
        if let Some(field) = Field::parse(word) {
            assert_eq!(Field::parse(&field.name()), Some(field));
        }
    }
}
