//! docs/openapi.json against the running server: its routes, its statuses, and every member of every body.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::harness::{ASK, Answer, Backend, Home, Proxy, Request, chat_completion};

const TOKEN: &str = "a-long-admin-token";

fn document() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap()
}

/// Follows a `$ref`, which points into the document.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(pointer) => document.pointer(pointer.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// An operation of the document.
struct Operation<'a> {
    method: String,
    path: &'a str,
    definition: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, definition)| Operation {
            method: method.to_uppercase(),
            path,
            definition,
        })
    });
    operations.collect()
}

impl Operation<'_> {
    fn statuses(&self) -> impl Iterator<Item = u16> {
        let responses = self.definition["responses"].as_object().unwrap();
        responses.keys().map(|status| status.parse().unwrap())
    }

    /// A request that the server accepts, with the example of the document as its body.
    fn request(&self) -> Request {
        let content = &self.definition["requestBody"]["content"]["application/json"];
        match content.get("example") {
            Some(example) => Request::post(self.path, example.to_string()),
            None => Request::new(&self.method, self.path),
        }
    }

    /// Requests of an administrator that are answered with this status. They are sent in their order.
    fn requests_for(&self, status: u16) -> Vec<Request> {
        let post = |body: Value| Request::post(self.path, body.to_string());
        let get = |query: &str| Request::get(&format!("{}?{query}", self.path));
        match (self.path, status) {
            // The user of the example exists in this test.
            ("/admin/gen_key", 200) => vec![post(json!({"username": "bob"}))],
            ("/admin/gen_key", 409) | (_, 200) if self.path != "/admin/list_costs" => {
                vec![self.request()]
            }
            ("/admin/list_costs", 200) => [
                "",
                "by_model=true",
                "by=endpoint,model,user,day",
                "by=model",
                "username=alice",
            ]
            .map(get)
            .into(),
            ("/admin/list_costs", 400) => vec![get("last_hours=x")],
            ("/admin/list_costs", 404) => vec![get("username=nobody")],
            (_, 400) => vec![post(json!({})), Request::post(self.path, "{")],
            (_, 404) => [json!({"username": "nobody"}), json!({"api_key": "llmp-0"})]
                .map(post)
                .into(),
            (_, 413) => vec![post(json!({"username": "x".repeat(70_000)}))],
            (_, 415) => {
                let request = self.request().without("content-type");
                vec![request.header("Content-Type", "text/plain")]
            }
            (_, 401 | 403 | 503) => vec![],
            other => panic!("no request for {other:?}: add one"),
        }
    }

    /// Checks an answer against the document, and notes which members it has.
    #[track_caller]
    fn check(&self, document: &Value, answer: &Answer, seen: &mut BTreeSet<String>) {
        let status = answer.status.to_string();
        let response = resolved(document, &self.definition["responses"][&status]);
        assert!(
            response.is_object(),
            "{} {}: undocumented {answer:?}",
            self.method,
            self.path
        );
        let schema = &response["content"]["application/json"]["schema"];
        let checked = Checker { document, seen }.check(schema, &answer.json(), "body");
        assert_eq!(checked, Ok(()), "{} {}: {answer:?}", self.method, self.path);
    }
}

/// The part of JSON Schema that the document uses. A member that is not documented is an error.
struct Checker<'a> {
    document: &'a Value,
    /// Documented members that were found, as `description of the schema/member`.
    seen: &'a mut BTreeSet<String>,
}

impl Checker<'_> {
    fn check(&mut self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        let document = self.document;
        let schema = resolved(document, schema);
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            return self.check_one_of(choices, value, place);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            other => return Err(format!("{place}: no type but {other}")),
        };
        if !types.iter().any(|name| is_of_type(name, value)) {
            return Err(format!("{place}: {value} is none of {types:?}"));
        }
        let minimum = schema.get("minimum").and_then(Value::as_f64);
        if let (Some(minimum), Some(number)) = (minimum, value.as_f64())
            && number < minimum
        {
            return Err(format!("{place}: {number} is below {minimum}"));
        }
        match value {
            Value::Object(members) => self.check_members(schema, members, place),
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| self.check(&schema["items"], item, &format!("{place}[]"))),
            _ => Ok(()),
        }
    }

    fn check_one_of(
        &mut self,
        choices: &[Value],
        value: &Value,
        place: &str,
    ) -> Result<(), String> {
        let mut errors = Vec::new();
        for choice in choices {
            match self.check(choice, value, place) {
                Ok(()) => return Ok(()),
                Err(error) => errors.push(error),
            }
        }
        Err(errors.join("; "))
    }

    fn check_members(
        &mut self,
        schema: &Value,
        members: &Map<String, Value>,
        place: &str,
    ) -> Result<(), String> {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().unwrap()) {
                return Err(format!("{place} lacks {required}"));
            }
        }
        for (name, value) in members {
            let documented = schema["properties"]
                .get(name)
                .ok_or_else(|| format!("{place}.{name} is not documented"))?;
            self.check(documented, value, &format!("{place}.{name}"))?;
            self.seen.insert(member(schema, name));
        }
        Ok(())
    }
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn member(schema: &Value, name: &str) -> String {
    format!("{}/{name}", schema["description"])
}

fn home() -> (Backend, Home) {
    let backend = Backend::json(chat_completion(19, 10));
    let home = Home::new(&backend);
    (backend, home)
}

fn proxy() -> (Backend, Proxy) {
    let (backend, home) = home();
    let (proxy, key) = home.serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    (backend, proxy)
}

#[test]
fn the_document_has_exactly_the_routes_of_the_server() {
    let document = document();
    let documented: BTreeSet<(String, &str)> = operations(&document)
        .into_iter()
        .map(|operation| (operation.method, operation.path))
        .collect();
    let served: BTreeSet<(String, &str)> = llmproxy::server::admin_routes()
        .map(|(method, path)| (method.to_owned(), path))
        .collect();
    assert_eq!(documented, served);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_documented_status_is_answered_with_the_documented_body() {
    let document = document();
    let (_backend, proxy) = proxy();
    let (_other_backend, other_home) = home();
    let guarded = other_home.set("ADMIN_TOKEN", TOKEN).serve();
    let mut seen = BTreeSet::new();
    for operation in operations(&document) {
        for status in operation.statuses() {
            let mut answers: Vec<Answer> = operation
                .requests_for(status)
                .iter()
                .map(|request| proxy.send(request))
                .collect();
            match status {
                401 => answers.push(guarded.send(&operation.request())),
                403 => {
                    let forwarded = operation.request().header("X-Forwarded-For", "192.0.2.1");
                    answers.push(proxy.send(&forwarded));
                }
                _ => {}
            }
            assert!(status == 503 || !answers.is_empty(), "{status}");
            for answer in answers {
                assert_eq!(answer.status, status, "{}: {answer:?}", operation.path);
                operation.check(&document, &answer, &mut seen);
            }
        }
    }
    // The tables are gone: the database cannot be used.
    let tables = "ALTER TABLE users RENAME TO gone";
    proxy.writable_database().execute_batch(tables).unwrap();
    for operation in operations(&document) {
        let answer = proxy.send(&operation.request());
        assert_eq!(answer.status, 503, "{}: {answer:?}", operation.path);
        operation.check(&document, &answer, &mut seen);
    }
    assert_no_phantoms(&document, &seen);
}

/// Checks that every documented member of an answer was found in one.
#[track_caller]
fn assert_no_phantoms(document: &Value, seen: &BTreeSet<String>) {
    let requests = ["NewUser", "UserOrKey"];
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let members = schema["properties"].as_object().into_iter().flatten();
        for (property, _) in members.filter(|_| !requests.contains(&name.as_str())) {
            assert!(
                seen.contains(&member(schema, property)),
                "{name}.{property} is documented and was in no answer"
            );
        }
    }
}

#[test]
fn every_documented_parameter_is_known_to_the_server() {
    let document = document();
    let (_backend, proxy) = proxy();
    for operation in operations(&document) {
        for parameter in operation.definition["parameters"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str().unwrap();
            let status = |value: &str| {
                let target = format!("{}?{name}={value}", operation.path);
                proxy.send(&Request::get(&target)).status
            };
            assert_eq!(status(example), 200, "{name}={example}");
            // A parameter that the server does not know is ignored.
            assert!([400, 404].contains(&status("nobody")), "{name}");
        }
    }
}

#[test]
fn other_methods_are_405_and_other_paths_are_404() {
    let document = document();
    let (_backend, proxy) = proxy();
    for operation in operations(&document) {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let served = operations(&document)
                .iter()
                .any(|other| other.path == operation.path && other.method == method);
            if !served {
                let answer = proxy.send(&Request::new(method, operation.path));
                assert_eq!(answer.status, 405, "{method} {}", operation.path);
                assert_eq!(answer.header("allow"), Some(operation.method.as_str()));
            }
        }
        let below = proxy.send(&Request::get(&format!("{}/x", operation.path)));
        assert_eq!(below.status, 404, "{}", operation.path);
    }
}
