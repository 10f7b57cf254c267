//! Answers in the form of the Responses API.

use serde_json::{Value, json};

use super::{answer::Answer, playing::Piece, script::ReportedUsage};

/// Returns the complete answer in one piece.
pub(super) fn whole(answer: &Answer) -> Piece {
    Piece {
        bytes: complete(answer).to_string().into(),
        usage: reported(answer),
    }
}

/// Returns the events of a stream: one for each word between those that open and close the response,
/// its item and its part.
pub(super) fn events(answer: &Answer) -> Vec<Piece> {
    let mut begun = complete(answer);
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let item_id = item_id(answer);
    let place = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
    let with = |mut event: Value, members: &Value| {
        if let (Some(event), Some(members)) = (event.as_object_mut(), members.as_object()) {
            event.extend(members.clone());
        }
        event
    };
    let mut open_item = item(answer);
    open_item["status"] = json!("in_progress");
    open_item["content"] = json!([]);
    let mut events = vec![
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        (
            "response.output_item.added",
            json!({"output_index": 0, "item": open_item}),
        ),
        (
            "response.content_part.added",
            with(json!({"part": part("")}), &place),
        ),
    ];
    for word in answer.text.split_inclusive(' ') {
        let delta = json!({"delta": word, "logprobs": []});
        events.push(("response.output_text.delta", with(delta, &place)));
    }
    events.extend([
        (
            "response.output_text.done",
            with(json!({"text": answer.text, "logprobs": []}), &place),
        ),
        (
            "response.content_part.done",
            with(json!({"part": part(&answer.text)}), &place),
        ),
        (
            "response.output_item.done",
            json!({"output_index": 0, "item": item(answer)}),
        ),
        ("response.completed", json!({"response": complete(answer)})),
    ]);
    let last = events.len() - 1;
    let line_end = if answer.script.crlf { "\r\n" } else { "\n" };
    let pieces = events
        .into_iter()
        .enumerate()
        .map(|(number, (kind, event))| {
            let data = with(json!({"type": kind, "sequence_number": number}), &event);
            Piece {
                bytes: format!("event: {kind}{line_end}data: {data}{line_end}{line_end}").into(),
                usage: reported(answer).filter(|_| number == last),
            }
        });
    pieces.collect()
}

fn reported(answer: &Answer) -> Option<super::Usage> {
    Some(answer.usage).filter(|_| answer.script.usage != ReportedUsage::None)
}

fn complete(answer: &Answer) -> Value {
    let is_cut = answer.finish == "length";
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": 1_721_260_800,
        "status": if is_cut { "incomplete" } else { "completed" },
        "error": null,
        "incomplete_details": is_cut.then(|| json!({"reason": "max_output_tokens"})),
        "instructions": null,
        "metadata": {},
        "model": answer.model,
        "output": [item(answer)],
        "parallel_tool_calls": true,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": reported(answer).map(super::Usage::to_response_json),
    })
}

fn item_id(answer: &Answer) -> String {
    format!("msg_{}", answer.id.trim_start_matches("resp_"))
}

fn item(answer: &Answer) -> Value {
    json!({"type": "message", "id": item_id(answer), "status": "completed", "role": "assistant",
        "content": [part(&answer.text)]})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}
