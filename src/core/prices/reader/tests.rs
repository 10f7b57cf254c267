use super::*;
use crate::prices::{Catalog, ModelPrice};

fn parse(json: &str) -> Result<Catalog, PricesError> {
    Catalog::parse(json.as_bytes())
}

fn texts(json: &str) -> Vec<String> {
    let prices = parse(json).unwrap();
    prices.iter().map(|price| format!("{price:?}")).collect()
}

#[test]
fn a_document_of_the_file_s_form_is_read() {
    let json = r#"{
        "sample_spec": {"input_cost_per_token": 1, "max_output_tokens": "max output tokens"},
        "_comment": "no model", "$list": [1, {"input_cost_per_token": "x"}], "nothing": null,
        "b": {"input_cost_per_token": 2.5e-08, "output_cost_per_token": "1e-6",
              "ocr_cost_per_page": -1, "mode": "chat", "max_input_tokens": 128000,
              "max_output_tokens": 16384.0, "input_cost_per_token_flex": null},
        "aé": {"input_cost_per_token": 1, "input_cost_per_token": 2,
               "search_context_cost_per_query": {"search_context_size_low": 1,
                   "search_context_size_medium": 2, "search_context_size_high": 3}},
        "unpriced": {"mode": "chat", "max_output_tokens": 1},
        "c": {"input_cost_per_token": 1},
        "c": {"output_cost_per_token": 1, "search_context_cost_per_query": 4}
    }"#;
    assert_eq!(
        texts(json),
        [
            r#"aé: {"input_cost_per_token":"2","search_context_cost_per_query":"2"}"#,
            concat!(
                r#"b: {"input_cost_per_token":"0.000000025","output_cost_per_token":"0.000001","#,
                r#""max_input_tokens":128000,"max_output_tokens":16384}"#
            ),
            r#"c: {"output_cost_per_token":"1","search_context_cost_per_query":"4"}"#,
        ]
    );
    assert_eq!(texts("{}"), [""; 0]);
}

#[test]
fn a_mistake_is_told_with_its_line_and_member() {
    for (json, message) in [
        (
            "{\n \"m\": {},\n \"gpt-5\": {\n  \"input_cost_per_token\": \"abc\"\n }\n}",
            r#"line 4, column 27: "gpt-5"."input_cost_per_token": "abc" is no price"#,
        ),
        (
            r#"{"m":{"output_cost_per_token_flex":-1e-9}}"#,
            r#"line 1, column 36: "m"."output_cost_per_token_flex": -1e-9 is negative"#,
        ),
        (
            "{\"m\":{\"input_cost_per_token\":{\n}}}",
            r#"line 1, column 30: "m"."input_cost_per_token": { } is no price"#,
        ),
        (
            r#"{"m":{"input_cost_per_token":true}}"#,
            r#"line 1, column 30: "m"."input_cost_per_token": true is no price"#,
        ),
        (
            r#"{"m":{"search_context_cost_per_query":{"search_context_size_low":-1}}}"#,
            concat!(
                r#"line 1, column 39: "m"."search_context_cost_per_query": "#,
                r#"{"search_context_size_low":-1} is negative"#
            ),
        ),
        (
            r#"{"m":{"input_cost_per_second":10000}}"#,
            concat!(
                r#"line 1, column 31: "m"."input_cost_per_second": 10000 "#,
                "is more than 9,223 dollars a unit"
            ),
        ),
        (
            "{\n\"m\": {",
            "line 2, column 6: EOF while parsing an object",
        ),
        ("", "line 1, column 0: EOF while parsing a value"),
        (
            "[]",
            "line 1, column 0: invalid type: sequence, expected an object",
        ),
        ("{} x", "line 1, column 4: trailing characters"),
    ] {
        assert_eq!(parse(json).unwrap_err().to_string(), message, "{json}");
    }
    let error = ModelPrice::parse("m", r#"{"input_cost_per_token":"abc"}"#).unwrap_err();
    let message = r#"line 1, column 25: "m"."input_cost_per_token": "abc" is no price"#;
    assert_eq!(error.to_string(), message);
}
