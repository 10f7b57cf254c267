//! Embeddings: vectors that differ from text to text and mean nothing.

use std::sync::Arc;

use actix_web::HttpResponse;
use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    refusal::Refusal,
    request::read,
    stats::{Served, Stats, Usage},
    words::tokens_in,
};

/// Numbers in a vector that is not asked to have another length.
const DIMENSIONS: u64 = 16;
const DIMENSIONS_MAX: u64 = 4096;

/// Answers a request for embeddings.
pub(super) fn answer(body: &[u8], stats: &Arc<Stats>) -> Result<HttpResponse, Refusal> {
    let body = read(body, "input")?;
    let model = body["model"].as_str().unwrap_or_default();
    let served = Served::begin(stats, model);
    let is_list_of_texts = body["input"][0].is_string() || body["input"][0].is_array();
    let inputs = match &body["input"] {
        Value::Array(inputs) if is_list_of_texts => inputs.clone(),
        one => vec![one.clone()],
    };
    let usage = Usage {
        input_tokens: inputs.iter().map(tokens_in).sum(),
        ..Usage::default()
    };
    served.count(1, usage);
    let length = body["dimensions"].as_u64().unwrap_or(DIMENSIONS);
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(&input.to_string(), length.clamp(1, DIMENSIONS_MAX));
        let embedding = if body["encoding_format"] == "base64" {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            json!(BASE64.encode(&bytes))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    Ok(HttpResponse::Ok().json(json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": model,
        "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
    })))
}

/// Makes numbers between -1 and 1 of a text.
fn vector(text: &str, length: u64) -> Vec<f32> {
    let hash = Sha256::digest(text.as_bytes());
    let numbers = hash.iter().cycle().zip(0..length).map(|(byte, place)| {
        let turned = byte.wrapping_add(u8::try_from(place / 32).unwrap_or_default());
        f32::from(turned) / 127.5 - 1.0
    });
    numbers.collect()
}
