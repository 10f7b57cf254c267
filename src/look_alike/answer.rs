//! What an answer says, and its forms of chat completions and legacy completions.

use serde_json::{Value, json};

use super::{
    playing::Piece,
    request::Endpoint,
    script::{ReportedUsage, Script},
    stats::Usage,
    words::{contents_of_input, text_of, tokens_in},
};

const WORDS_MAX: usize = 10_000;
const CHUNK: [&str; 2] = ["chat.completion.chunk", "delta"];

/// Everything that an answer says, computed from the request alone.
pub(super) struct Answer {
    pub(super) endpoint: Endpoint,
    pub(super) id: String,
    pub(super) model: String,
    /// The text of the answer, or the arguments of the tool's call.
    pub(super) text: String,
    pub(super) tool: Option<String>,
    pub(super) finish: &'static str,
    pub(super) usage: Usage,
    pub(super) script: Script,
}

impl Answer {
    pub(super) fn new(endpoint: Endpoint, body: &Value, script: &Script, id: &str) -> Self {
        let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let mut contents: Vec<&Value> =
            messages.iter().map(|message| &message["content"]).collect();
        match endpoint {
            Endpoint::Chat => {}
            Endpoint::Completions => contents = vec![&body["prompt"]],
            Endpoint::Responses => contents = contents_of_input(&body["input"]),
        }
        let echo = format!(
            "You said: {}",
            contents.last().map_or("", |last| text_of(last))
        );
        let echo: Vec<&str> = echo.split_whitespace().collect();
        let wanted = script.words.unwrap_or(echo.len()).min(WORDS_MAX);
        let limit = body["max_completion_tokens"]
            .as_u64()
            .or(body["max_tokens"].as_u64())
            .or(body["max_output_tokens"].as_u64());
        let said = limit.map_or(wanted, |limit| {
            wanted.min(usize::try_from(limit).unwrap_or(wanted))
        });
        let text = echo
            .into_iter()
            .cycle()
            .take(said)
            .collect::<Vec<_>>()
            .join(" ");

        let called = messages
            .last()
            .is_some_and(|message| message["role"] == "tool");
        let tool = body["tools"][0]["function"]["name"].as_str();
        let tool = tool
            .filter(|_| !called && body["tool_choice"] != "none")
            .map(str::to_owned);
        let text = if tool.is_some() {
            json!({"text": text}).to_string()
        } else {
            text
        };
        let input_tokens = contents.into_iter().map(tokens_in).sum();
        let usage = match script.usage {
            ReportedUsage::Zero => Usage::default(),
            _ => Usage {
                input_tokens,
                output_tokens: tokens_in(&json!(text)) + script.reasoning_tokens,
                cached_tokens: script.cached_tokens.unwrap_or(input_tokens / 3),
                reasoning_tokens: script.reasoning_tokens,
            },
        };
        Self {
            endpoint,
            id: format!("{}{id}", endpoint.id_prefix()),
            // OpenAI answers with the version that a model's alias stands for.
            model: format!("{}-2024-07-18", body["model"].as_str().unwrap_or_default()),
            text,
            finish: match tool {
                _ if said < wanted => "length",
                Some(_) => "tool_calls",
                None => "stop",
            },
            tool,
            usage,
            script: script.clone(),
        }
    }

    /// Returns the complete answer in one piece.
    pub(super) fn whole(&self) -> Piece {
        let object = ["chat.completion", "message"];
        let mut answer = self.envelope(object, &self.opening(&self.text), Some(self.finish));
        let usage = Some(self.usage).filter(|_| self.script.usage != ReportedUsage::None);
        if let Some(usage) = usage {
            answer["usage"] = usage.to_json();
        }
        Piece {
            bytes: answer.to_string().into(),
            usage,
        }
    }

    /// Returns the events of a stream.
    pub(super) fn events(&self, wants_usage: bool) -> Vec<Piece> {
        let own_chunk = match self.script.usage {
            ReportedUsage::AsOpenai | ReportedUsage::Zero | ReportedUsage::EveryChunk => {
                wants_usage
            }
            ReportedUsage::UsageOnly => true,
            ReportedUsage::None | ReportedUsage::LastChunk => false,
        };
        let chunks = self.chunks();
        let last = chunks.len() - 1;
        let mut events = Vec::with_capacity(chunks.len() + 2);
        for (number, (mut chunk, words)) in chunks.into_iter().enumerate() {
            let states = match self.script.usage {
                ReportedUsage::EveryChunk => true,
                ReportedUsage::LastChunk => number == last,
                _ => false,
            };
            if states {
                let output_tokens = self.script.reasoning_tokens + words;
                chunk["usage"] = Usage {
                    output_tokens,
                    ..self.usage
                }
                .to_json();
            } else if own_chunk {
                chunk["usage"] = Value::Null;
            }
            let is_final = states && number == last && !own_chunk;
            events.push(self.event(&chunk.to_string(), is_final));
        }
        if own_chunk {
            let mut chunk = self.envelope(CHUNK, &Value::Null, None);
            chunk["choices"] = json!([]);
            chunk["usage"] = self.usage.to_json();
            events.push(self.event(&chunk.to_string(), true));
        }
        events.push(self.event("[DONE]", false));
        events
    }

    /// Returns the opening, a chunk for each word, and the end, each with the number of words up to it.
    fn chunks(&self) -> Vec<(Value, u64)> {
        let mut chunks = Vec::new();
        let mut words = 0;
        if self.endpoint == Endpoint::Chat {
            chunks.push((self.envelope(CHUNK, &self.opening(""), None), words));
        }
        for word in self.text.split_inclusive(' ') {
            words += 1;
            chunks.push((self.envelope(CHUNK, &self.saying(word), None), words));
        }
        let nothing = if self.endpoint == Endpoint::Chat {
            json!({})
        } else {
            json!("")
        };
        chunks.push((self.envelope(CHUNK, &nothing, Some(self.finish)), words));
        chunks
    }

    /// Returns what comes first, or at once: who speaks, which tool is called.
    fn opening(&self, text: &str) -> Value {
        let mut said = self.saying(text);
        if self.endpoint == Endpoint::Chat {
            said["role"] = json!("assistant");
        }
        if let Some(name) = &self.tool {
            said["content"] = Value::Null;
            said["tool_calls"][0]["id"] = json!(format!("call_{}", self.id));
            said["tool_calls"][0]["type"] = json!("function");
            said["tool_calls"][0]["function"]["name"] = json!(name);
        }
        said
    }

    fn saying(&self, text: &str) -> Value {
        match (self.endpoint, &self.tool) {
            (Endpoint::Completions | Endpoint::Responses, _) => json!(text),
            (Endpoint::Chat, None) => json!({"content": text}),
            (Endpoint::Chat, Some(_)) => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            }
        }
    }

    /// Wraps words. `of_chat` names the object and what holds the words; legacy completions have one
    /// form for all.
    fn envelope(&self, of_chat: [&str; 2], said: &Value, finish: Option<&str>) -> Value {
        let [object, holder] = match self.endpoint {
            Endpoint::Chat => of_chat,
            Endpoint::Completions | Endpoint::Responses => ["text_completion", "text"],
        };
        let choice = json!({"index": 0, holder: said, "logprobs": null, "finish_reason": finish});
        json!({"id": self.id, "object": object, "created": 1_721_260_800, "model": self.model,
            "system_fingerprint": "fp_lookalike", "choices": [choice]})
    }

    pub(super) fn event(&self, data: &str, is_final: bool) -> Piece {
        let line_end = if self.script.crlf { "\r\n" } else { "\n" };
        let bytes = format!("data: {data}{line_end}{line_end}").into();
        Piece {
            bytes,
            usage: is_final.then_some(self.usage),
        }
    }
}
