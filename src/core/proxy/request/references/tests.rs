use super::*;
use proptest::prelude::*;

fn references(body: &[u8], taken: Taken) -> Result<Vec<Reference>, ApiError> {
    let excerpt = Excerpt::of([body]).map_err(|_| crate::proxy::request::not_utf_8())?;
    super::references(&excerpt, taken)
}

fn found(body: &str) -> Vec<String> {
    found_in(body, Taken::AsJson)
}

fn found_in(body: &str, taken: Taken) -> Vec<String> {
    let references = references(body.as_bytes(), taken).unwrap();
    references
        .into_iter()
        .map(|reference| reference.claim.id)
        .collect()
}

#[test]
fn references_are_found_wherever_they_stand() {
    for body in [
        r#"{"previous_response_id":"x"}"#,
        r#"{"conversation":"x"}"#,
        r#"{"conversation":{"id":"x"}}"#,
        r#"{"input":[{"content":[{"type":"input_file","file_id":"x"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"file_id":"x"}}]}]}"#,
        r#"{"tools":[{"type":"file_search","vector_store_ids":["x"]}]}"#,
        r#"{"tools":[{"type":"code_interpreter","container":"x"}]}"#,
        r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["x"]}}]}"#,
        r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
        r#"{"input":[{"id":"x","type":"item\u005freference","type":"item_reference"}]}"#,
        r#"{"previous\u005fresponse\u005fid":"x"}"#,
        r#"{"conversation":"\u0078"}"#,
        r#"{"video":{"id":"x"},"prompt":"more"}"#,
        r#"{"characters":[{"id":"x"}]}"#,
        r#"{"input":[{"id":"x"}]}"#,
        r#"{"input":[{"type":null,"id":"x"}]}"#,
        r#"{"input":[{"type":"image_generation_call","id":"x"}]}"#,
        r#"{"input":[{"type":"reasoning","id":"x","summary":[]}]}"#,
        r#"{"items":[{"id":"x","role":"user","content":"hi"}]}"#,
        r#"{"request_id":"x","previous_response_id":null}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"x"}},{"role":"user","content":"hi"}]}"#,
        r#"{"prompt":{"id":"p","variables":{"a":{"type":"input_file","file_id":"x"}}}}"#,
    ] {
        assert_eq!(found(body), ["x"], "{body}");
    }
    let picture = "iVBORw0KGgo".repeat(2_000);
    let beside_a_picture = format!(
        r#"{{"previous_response_id":"x","input":[{{"image_url":"{picture}","detail":{{"file_id":"y"}}}}],"conversation":"z"}}"#
    );
    assert_eq!(found(&beside_a_picture), ["x", "y", "z"]);
    let twice = r#"{"file_id":"x","file_id":"y"}"#;
    assert_eq!(found(twice), ["x", "y"]);
}

#[test]
fn names_match_in_any_case_and_exceptions_exactly() {
    for body in [
        r#"{"Previous_Response_ID":"x"}"#,
        "{\"previou\u{17f}_response_id\":\"x\"}",
        r#"{"previou\u017f_response_id":"x"}"#,
        r#"{"CONVERSATION":"x"}"#,
        "{\"conver\u{17f}ation\":{\"ID\":\"x\"}}",
        r#"{"conver\u017Fation":"x"}"#,
        r#"{"tools":[{"Container":"x"}]}"#,
        r#"{"input":[{"content":[{"file":{"File_Id":"x"}}]}]}"#,
        r#"{"tools":[{"Vector_Store_Ids":["x"]}]}"#,
        r#"{"Input":[{"Type":"item_reference","Id":"x"}]}"#,
        r#"{"input":[{"type":"message","TYPE":"item_reference","id":"x"}]}"#,
        r#"{"INPUT":[{"ID":"x"}]}"#,
        r#"{"Video":{"id":"x"}}"#,
        r#"{"Metadata":{"file_id":"x"}}"#,
        r#"{"Request_ID":"x"}"#,
    ] {
        assert_eq!(found(body), ["x"], "{body}");
    }
}

#[test]
fn member_names_match_in_any_style() {
    for body in [
        r#"{"previousResponseId":"x"}"#,
        r#"{"previousresponseid":"x"}"#,
        r#"{"PREVIOUS-RESPONSE-ID":"x"}"#,
        r#"{"previous.response id":"x"}"#,
        r#"{"_previous_response_id_" : "x"}"#,
        r#"{"previousResponse\u0049d":"x"}"#,
        r#"{"file_id\t":"x"}"#,
        r#"{"tools":[{"vectorStoreIds":["x"]}]}"#,
        r#"{"con_ver_sation":"x"}"#,
        r#"{"conversation":{"_id":"x"}}"#,
        r#"{"input":{"id":"x"}}"#,
        r#"{"input":{"type":"item_reference","id":"x"}}"#,
        r#"{"input":[{"type":"itemReference","id":"x"}]}"#,
        r#"{"inputFileId":"x"}"#,
        r#"{"requestId":"x"}"#,
        r#"{"metaData":{"fileId":"x"}}"#,
        r#"{"properties":{"file_id":"x"}}"#,
        r#"{"a":"\\","fileId":"x"}"#,
        r#"{"a":"\"","fileId":"x"}"#,
        "{\"fileId\" \n\t:\"x\"}",
    ] {
        assert_eq!(found(body), ["x"], "{body}");
    }
    let reported = references(br#"{"inputFileId":"x"}"#, Taken::AsJson).unwrap();
    assert_eq!(reported[0].member, "input_file_id");
}

#[test]
fn a_value_other_than_text_is_refused_as_an_id() {
    for body in [
        r#"{"previous_response_id":5}"#,
        r#"{"previous_response_id":false}"#,
        r#"{"fileId":{"id":"x"}}"#,
        r#"{"file_ids":[["x"]]}"#,
        r#"{"file_ids":["x",5]}"#,
        r#"{"conversation":{"id":5}}"#,
        r#"{"conversation":5}"#,
        r#"{"container":{"id":["x"]}}"#,
        r#"{"input":[{"type":"item_reference","id":{}}]}"#,
        r#"{"input":[[{"id":"x"}]]}"#,
        r#"{"items":[[[{"id":"x"}]]]}"#,
        r#"{"file_id":"x\u0000"}"#,
        r#"{"file_id":"x\n"}"#,
        r#"{"file_id\u0000":"x"}"#,
        r#"{"file_id\u0000x":"x"}"#,
        r#"{"type\u0000x":"x"}"#,
        r#"{"file_id\u0000\\":"x"}"#,
        r#"{"file_id\u0000\"":"x"}"#,
        "{\"file_id\0\":\"x\"}",
        r#"{"request_id":["x"]}"#,
        r#"{"Properties":{"file_id":{"type":"string"}}}"#,
        r#"{"properties":{"x":{"file_id":{"type":"string"}}}}"#,
    ] {
        let refused = references(body.as_bytes(), Taken::AsJson);
        assert_eq!(refused.unwrap_err().status(), 400, "{body}");
    }
    for body in [r#"{"video":5}"#, r#"{"characters":[["x"]]}"#] {
        let refused = references(body.as_bytes(), Taken::AsForm);
        assert_eq!(refused.unwrap_err().status(), 400, "{body}");
    }
}

#[test]
fn form_endpoints_read_json_strings_like_form_fields() {
    for body in [
        r#"{"video":"x"}"#,
        r#"{"characters":["x"]}"#,
        r#"{"character":"x"}"#,
        r#"{"Input_Reference":"x"}"#,
        r#"{"input_reference":["x"]}"#,
        r#"{"input_reference":{"file_id":"x"}}"#,
    ] {
        assert_eq!(found_in(body, Taken::AsForm), ["x"], "{body}");
    }
    let by_url = r#"{"input_reference":{"image_url":"x"},"prompt":"x"}"#;
    assert_eq!(found_in(by_url, Taken::AsForm), [""; 0]);
    // A model may be asked to look at a video, or to play somebody.
    for body in [
        r#"{"messages":[{"content":[{"type":"video","video":"https://x"}]}]}"#,
        r#"{"character":"Example"}"#,
    ] {
        assert_eq!(found(body), [""; 0], "{body}");
    }
}

#[test]
fn ordinary_members_are_not_references() {
    for body in [
        "{}",
        r#"{"previous_response_id":null,"conversation":null}"#,
        r#"{"messages":[{"content":"the \"file_id\":\"x\" of it"}]}"#,
        r#"{"tools":[{"parameters":{"properties":{"file_id":{"type":"string"}}}}]}"#,
        r#"{"metadata":{"conversation":"chat 17","video_id":"yt-1"}}"#,
        r#"{"prompt":{"id":"p","variables":{"conversation":"Hello"}}}"#,
        r#"{"messages":[{"content":[{"type":"tool_use","id":"t","input":{"file_id":"x","items":[{"id":"y"}]}}]}]}"#,
        r#"{"input":[{"content":[{"annotations":[{"file_id":"cfile_1"}]}]}]}"#,
        r#"{"messages":[{"tool_calls":[{"id":"call_1","type":"function"}]}]}"#,
        r#"{"prompt":{"id":"pmpt_1"}}"#,
        r#"{"audio":{"voice":{"id":"v"},"id":"x"},"messages":[{"content":[{"audio":{"id":"y"}}]}]}"#,
        r#"{"input":[[1,2],[3]],"file_ids":[null],"conversation":{"id":null}}"#,
        r#"{"metadata":{"file_id":5,"a\u0000":"x"}}"#,
        r#"{"stream\u0000":5}"#,
        r#"{"guided_json":{"properties":{"file_id":{"type":"string"},"container":true,"batchId":{"$ref":"x"}}}}"#,
        r#"{"messages":[{"tool_calls":[{"id":"c","function":{"arguments":{"file_id":5}}}]}]}"#,
        r#"{"user_id":5,"tool_call_id":7,"identity":{"x":1}}"#,
        r#"{"tools":[{"name":"t","input_schema":{},"input_examples":[{"file_id":"abc","container":"c"}]}]}"#,
        r#"{"input":[{"type":"local_shell_call","action":{"type":"exec","env":{"CONTAINER":"c","FILE_ID":"f"}}}]}"#,
        r#"{"tools":[{"type":"mcp","server_url":"https://x","headers":{"conversation":"5"}}]}"#,
        r#"{"messages":[],"chat_template_kwargs":{"conversation":"x"}}"#,
        r#"{"messages":[{"content":"a \"fileId\": 5 and \u0000"}]}"#,
    ] {
        assert_eq!(found(body), Vec::<String>::new(), "{body}");
    }
}

#[test]
fn only_ids_that_the_backend_looks_up_must_be_known() {
    for (body, is_looked_up) in [
        (r#"{"input":[{"id":"x"}]}"#, true),
        (
            r#"{"input":[{"type":"message","id":"x","content":[]}]}"#,
            false,
        ),
        (r#"{"input":[{"type":"reasoning","id":"x"}]}"#, true),
        (
            r#"{"input":[{"type":"reasoning","id":"x","encrypted_content":"y"}]}"#,
            false,
        ),
        (
            r#"{"input":[{"type":"image_generation_call","id":"x","result":null}]}"#,
            true,
        ),
        (
            r#"{"input":[{"type":"function_call","id":"x","arguments":"{}"}]}"#,
            false,
        ),
        (
            r#"{"input":[{"type":"message","Type":"reasoning","id":"x"}]}"#,
            true,
        ),
        (r#"{"input":[{"Type":"message","id":"x"}]}"#, true),
        (
            r#"{"input":[{"type":"reasoning","id":"x","Encrypted_Content":"y"}]}"#,
            true,
        ),
        (r#"{"request_id":"x"}"#, false),
        (r#"{"file_id":"x"}"#, true),
    ] {
        let found = references(body.as_bytes(), Taken::AsJson).unwrap();
        assert_eq!(found.len(), 1, "{body}");
        assert_eq!(found[0].claim.is_looked_up, is_looked_up, "{body}");
    }
}

#[test]
fn a_body_that_cannot_be_searched_for_references_is_refused() {
    for body in [
        &b"{\"user\":\"\xff\",\"previous_response_id\":\"x\"}"[..],
        b"{\"previous_response_id\":\"x\"",
        format!(r#"{{"file_ids":[{}"x"]}}"#, r#""a","#.repeat(5_000)).as_bytes(),
    ] {
        assert_eq!(references(body, Taken::AsForm).unwrap_err().status(), 400);
    }
}

#[test]
fn a_body_nested_too_deeply_is_refused() {
    let deep = format!(
        r#"{{"a":{}{},"file_id":"x"}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        references(deep.as_bytes(), Taken::AsJson)
            .unwrap_err()
            .status(),
        400
    );
}

/// Names and values that the search stops at, and some that look like them.
fn any_body() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "previous_response_id",
        "previousResponseId",
        "FILE-IDS",
        "file_id\\u0000",
        "id",
        "_id",
        "ID",
        "conver\u{17f}ation",
        "container",
        "video",
        "characters",
        "input_reference",
        "inputReference",
        "input",
        "items",
        "type",
        "messages",
        "audio",
        "request_id",
        "requestId",
        "\\u0066ile_id",
        "file\\\"id",
        "file_id\\\\",
        "a\\\"b",
        "x",
        "metadata",
        "vector store.ids",
    ]);
    let leaf = prop::sample::select(vec![
        r#""x""#,
        "5",
        "null",
        "[]",
        r#""item_reference""#,
        r#""a\"b""#,
        r#""\\""#,
        r#"":""#,
        r#""\"id\": ""#,
        r#""é""#,
    ]);
    let blanks = prop::sample::select(vec!["", " ", "\n\t "]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 3, move |inner| {
        let member = (name.clone(), blanks.clone(), inner.clone());
        let member =
            member.prop_map(|(name, blanks, value)| format!("\"{name}\"{blanks}:{blanks}{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(member, 0..3)
                .prop_map(|members| format!("{{{}}}", members.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn the_quick_search_misses_no_reference(body in any_body()) {
        for taken in [Taken::AsJson, Taken::AsForm] {
            let found = search(&body, taken);
            let is_nothing = found.as_ref().is_ok_and(Vec::is_empty);
            prop_assert!(is_nothing || may_refer(body.as_bytes()), "{body}: {found:?}");
        }
    }

    #[test]
    fn any_bytes_are_searched_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = references(&[b"{\"file_id\":", &bytes[..]].concat(), Taken::AsForm);
    }
}
