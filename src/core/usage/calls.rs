//! Calls of the backend's own tools that are billed by the call: elements of `output` in OpenAI's
//! API reference, responses. Tokens of these calls are a part of the response's usage.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use crate::{
    json::{EachPart, MaybeText, PartReader, skip_value},
    model::UsageClasses,
};

/// The most containers of one answer. A new one is compared with those before, and no answer has
/// more than a few.
const MAX_CONTAINERS: usize = 100;

/// The calls of an answer. Few have any, and nothing is stored for the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCalls(Option<Box<Calls>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Calls {
    web_searches: u64,
    file_searches: u64,
    /// The containers in which code ran. OpenAI bills a container, however many calls run in it.
    containers: Vec<String>,
}

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WebSearch,
    FileSearch,
    Code,
}

impl ToolCalls {
    /// Reads `output`: the calls replace earlier ones. Another value than a list has none.
    pub(super) fn read_output<'de, A: MapAccess<'de>>(object: &mut A) -> Result<Self, A::Error> {
        let mut calls = Self::default();
        object.next_value_seed(EachPart(&mut calls))?;
        Ok(calls)
    }

    /// Reads one element of `output`.
    pub(super) fn read_item<'de, A: MapAccess<'de>>(object: &mut A) -> Result<Self, A::Error> {
        let mut item = Item::default();
        object.next_value_seed(EachPart(&mut item))?;
        let mut calls = Self::default();
        calls.add_item(item);
        Ok(calls)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Adds the calls of a further element.
    pub(super) fn add(&mut self, other: Self) {
        let Some(other) = other.0 else {
            return;
        };
        let calls = self.0.get_or_insert_default();
        calls.web_searches = calls.web_searches.saturating_add(other.web_searches);
        calls.file_searches = calls.file_searches.saturating_add(other.file_searches);
        for container in other.containers {
            calls.add_container(Cow::Owned(container));
        }
    }

    fn add_item(&mut self, item: Item<'_>) {
        let Some(kind) = item.kind else {
            return;
        };
        let is_billed = match kind {
            Kind::WebSearch => !item.is_failed && !item.only_reads,
            Kind::FileSearch => !item.is_failed,
            // The container was there, whatever became of the code.
            Kind::Code => true,
        };
        if !is_billed {
            return;
        }
        let calls = self.0.get_or_insert_default();
        match kind {
            Kind::WebSearch => calls.web_searches += 1,
            Kind::FileSearch => calls.file_searches += 1,
            Kind::Code => calls.add_container(item.container.0.unwrap_or_default()),
        }
    }

    /// Notes the calls in the usage of their answer. The larger count is right: a stream lists its
    /// calls one by one and again at its end, where some backends leave them out.
    pub fn note_in(&self, classes: &mut UsageClasses) {
        let Some(calls) = &self.0 else {
            return;
        };
        let containers = calls.containers.len() as u64;
        classes.web_searches = classes.web_searches.max(calls.web_searches);
        classes.file_searches = classes.file_searches.max(calls.file_searches);
        classes.code_calls = classes.code_calls.max(containers);
    }
}

impl Calls {
    /// Adds a container, unless it is known. Those without an id are one.
    fn add_container(&mut self, id: Cow<'_, str>) {
        let is_known = self.containers.iter().any(|known| *known == id);
        if !is_known && self.containers.len() < MAX_CONTAINERS {
            self.containers.push(id.into_owned());
        }
    }
}

impl<'de> PartReader<'de> for ToolCalls {
    fn element<A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let mut item = Item::default();
        let is_there = list.next_element_seed(EachPart(&mut item))?.is_some();
        self.add_item(item);
        Ok(is_there)
    }
}

/// An element of `output`, as far as it matters.
#[derive(Default)]
struct Item<'a> {
    kind: Option<Kind>,
    /// The action opens a page that was found, or searches within one, which is not billed
    /// (OpenAI's guide to web search).
    only_reads: bool,
    is_failed: bool,
    container: MaybeText<'a>,
}

impl<'de> PartReader<'de> for Item<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        match name {
            b"type" => {
                let MaybeText(word) = object.next_value()?;
                self.kind = match word.as_deref() {
                    Some("web_search_call") => Some(Kind::WebSearch),
                    Some("file_search_call") => Some(Kind::FileSearch),
                    Some("code_interpreter_call") => Some(Kind::Code),
                    _ => None,
                };
            }
            b"status" => {
                let MaybeText(word) = object.next_value()?;
                self.is_failed = word.as_deref() == Some("failed");
            }
            b"action" => {
                let mut action = Action::default();
                object.next_value_seed(EachPart(&mut action))?;
                self.only_reads = action.name.0.is_some_and(|name| name != "search");
            }
            b"container_id" => self.container = object.next_value()?,
            _ => skip_value(object)?,
        }
        Ok(())
    }
}

/// The `action` of a web search.
#[derive(Default)]
struct Action<'a> {
    name: MaybeText<'a>,
}

impl<'de> PartReader<'de> for Action<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &[u8], object: &mut A) -> Result<(), A::Error> {
        if name == b"type" {
            self.name = object.next_value()?;
            return Ok(());
        }
        skip_value(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::read_answer;

    /// Searches of the web and of files, and containers, in the elements of `output`.
    fn calls(elements: &[&str]) -> [u64; 3] {
        let body = format!(r#"{{"id":"resp_1","output":[{}]}}"#, elements.join(","));
        let mut classes = UsageClasses::default();
        read_answer(body.as_bytes()).calls.note_in(&mut classes);
        [
            classes.web_searches,
            classes.file_searches,
            classes.code_calls,
        ]
    }

    #[test]
    fn calls_are_counted_by_what_is_billed() {
        const SEARCH: &str = r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#;
        const CODE: &str = r#"{"container_id":"cntr_1","type":"code_interpreter_call","id":"ci_1","code":"1+1","status":"failed"}"#;
        const OTHER_CODE: &str =
            r#"{"type":"code_interpreter_call","id":"ci_2","container_id":"cntr_2"}"#;
        for (elements, expected) in [
            (&[][..], [0, 0, 0]),
            (&[SEARCH], [1, 0, 0]),
            (&[SEARCH, SEARCH, "5", "null", "{}"], [2, 0, 0]),
            (
                &[r#"{"type":"web_search_call","action":{"queries":["a","b"],"type":"search"}}"#],
                [1, 0, 0],
            ),
            (
                &[r#"{"type":"web_search_call","action":{"type":"open_page","url":"u"}}"#],
                [0, 0, 0],
            ),
            (
                &[r#"{"action":{"type":"find_in_page","pattern":"p"},"type":"web_search_call"}"#],
                [0, 0, 0],
            ),
            (&[r#"{"type":"web_search_call","action":null}"#], [1, 0, 0]),
            (&[r#"{"type":"web_search_call","status":"failed"}"#], [0; 3]),
            (
                &[
                    r#"{"type":"file_search_call","queries":["a","b"],"results":[{"type":"web_search_call"}]}"#,
                ],
                [0, 1, 0],
            ),
            (&[CODE], [0, 0, 1]),
            (&[CODE, CODE, OTHER_CODE], [0, 0, 2]),
            (&[r#"{"type":"code_interpreter_call"}"#; 2], [0, 0, 1]),
            (
                &[r#"{"type":"message","content":[{"type":"web_search_call"}]}"#],
                [0; 3],
            ),
            (&[r#"{"type":["web_search_call"]}"#], [0; 3]),
        ] {
            assert_eq!(calls(elements), expected, "{elements:?}");
        }
    }

    #[test]
    fn a_flood_of_containers_is_bounded() {
        let elements: Vec<String> = (0..2 * MAX_CONTAINERS)
            .map(|n| format!(r#"{{"type":"code_interpreter_call","container_id":"c{n}"}}"#))
            .collect();
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        assert_eq!(calls(&elements), [0, 0, MAX_CONTAINERS as u64]);
    }
}
