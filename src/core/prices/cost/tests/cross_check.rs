//! What LiteLLM's calculator says, case by case.

use serde::Deserialize;

use super::Counts;
use crate::{model::ServiceTier, prices::snapshot};

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

#[test]
fn two_hundred_usages_cost_what_a_second_calculator_says() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixture.json")).unwrap();
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
