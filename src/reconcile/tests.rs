use super::*;

const COSTS: &str = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n\
    1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,0.8958740000000000,usd,\"gpt-5-mini-2025-08-07, input\",p\n\
    1759622400,1759708800,2025-10-05T00:00:00+00:00,2025-10-06T00:00:00+00:00,1e-05,usd,\"gpt-5-mini-2025-08-07, output\",p\n\
    1759708800,1759795200,2025-10-06T00:00:00+00:00,2025-10-07T00:00:00+00:00,,,,\n";

fn day(date: &str) -> i64 {
    let start: jiff::Timestamp = format!("{date}T00:00:00Z").parse().unwrap();
    start.as_second() / 86_400
}

fn dollars(nano_usd: i64) -> Figures {
    Figures {
        nano_usd,
        ..Figures::default()
    }
}

#[test]
fn costs_are_summed_by_day_and_base_model() {
    let statement = Statement::read(COSTS).unwrap();
    assert_eq!(statement.kind, StatementKind::Costs);
    assert_eq!(statement.days, Some((day("2025-10-05"), day("2025-10-06"))));
    let lines: Vec<_> = statement.lines.into_iter().collect();
    let key = (day("2025-10-05"), "gpt-5-mini".to_owned());
    assert_eq!(lines, [(key, dollars(895_884_000))]);
}

#[test]
fn usage_is_read_with_tabs_and_byte_order_mark() {
    let text = "\u{feff}start_time\tend_time\tproject_id\tnum_model_requests\tmodel\tbatch\tinput_tokens\toutput_tokens\tinput_cached_tokens\n\
        1759622400\t1759708800\tp\t3\tgpt-4o-2024-08-06\tfalse\t100\t20\t50\n\
        1759622400\t1759708800\tq\t1\tgpt-4o-2024-11-20\tfalse\t7\t2\t0\n\
        1759708800\t1759795200\t\t\t\t\t\t\t\n";
    let statement = Statement::read(text).unwrap();
    let figures = statement.lines.values().next().unwrap();
    assert_eq!(
        (
            figures.requests,
            figures.input_tokens,
            figures.cached_tokens,
            figures.output_tokens
        ),
        (4, 107, 50, 22)
    );
    assert_eq!(statement.lines.len(), 1);
}

#[test]
fn pages_of_the_api_are_read_exactly() {
    let json = r#"{"object":"page","data":[{"object":"bucket","start_time":1759622400,"end_time":1759708800,"results":[
        {"object":"organization.costs.result","amount":{"value":0.06,"currency":"usd"},"line_item":"o4-mini-2025-04-16, input"},
        {"object":"organization.costs.result","amount":{"value":"0.000000001","currency":"USD"},"line_item":"web search tool calls"}]}],
        "has_more":true,"next_page":"cursor"}"#;
    let page = CostPage::read(json).unwrap();
    assert_eq!(page.next_page.as_deref(), Some("cursor"));
    let nanos: Vec<i64> = page
        .statement
        .lines
        .values()
        .map(|line| line.nano_usd)
        .collect();
    assert_eq!(nanos, [60_000_000, 1]);
    let euros = json.replace("usd", "eur");
    assert_eq!(
        CostPage::read(&euros).err(),
        Some(StatementError::Currency("eur".to_owned()))
    );
}

#[test]
fn wrong_files_say_what_and_where() {
    for (text, said) in [
        ("a,b\n1,2\n", "it has the columns a, b;"),
        (
            "start_time,model\n",
            "it has the columns start_time, model;",
        ),
        (
            "start_time,input_tokens\nx,1\n",
            "line 2: start_time \"x\" is no number",
        ),
        (
            "start_time,input_tokens\n1,5\n1,-5\n",
            "line 3: input_tokens \"-5\" is no number",
        ),
        (
            "start_time,input_tokens\n1,2\n1\n",
            "found record with 1 field",
        ),
        (
            "start_time,input_tokens\n1,1.5\n",
            "line 2: input_tokens \"1.5\" is no number",
        ),
        (
            "start_time,amount_value\n1,abc\n",
            "line 2: amount_value \"abc\" is no amount with a decimal point",
        ),
        ("{\"data\":3}", "it is no answer of OpenAI's"),
        ("", "it has the columns "),
    ] {
        let error = Statement::read(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text:?}: {error}");
    }
}

#[test]
fn drift_is_by_day_and_model_and_in_all() {
    let statement = Statement::read(COSTS).unwrap();
    let mut ledger = ByDayAndModel::new();
    ledger.insert(
        (day("2025-10-05"), "gpt-5-mini".to_owned()),
        dollars(895_884_000),
    );
    ledger.insert(
        (day("2025-10-06"), "gpt-4o".to_owned()),
        dollars(89_588_400),
    );
    let compared = compare(&statement, &ledger);
    let lines: Vec<_> = compared
        .lines
        .iter()
        .map(|line| (line.day.as_str(), line.model.as_str(), line.basis_points))
        .collect();
    assert_eq!(
        lines,
        [
            ("2025-10-05", "gpt-5-mini", 0),
            ("2025-10-06", "gpt-4o", 10_000)
        ]
    );
    assert_eq!(compared.total.basis_points, 1_000);
}

#[test]
fn a_statement_without_models_is_compared_by_day() {
    let text = "start_time,amount_value,amount_currency,line_item\n1759622400,1.50,usd,\n";
    let statement = Statement::read(text).unwrap();
    let mut ledger = ByDayAndModel::new();
    for model in ["a", "b"] {
        ledger.insert((day("2025-10-05"), model.to_owned()), dollars(750_000_000));
    }
    let compared = compare(&statement, &ledger);
    assert_eq!(compared.lines.len(), 1);
    assert_eq!(compared.total.basis_points, 0);
}
