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

    /// A request with the examples of the document: its body, and the parameters that must be there.
    fn request(&self) -> Request {
        let content = &self.definition["requestBody"]["content"]["application/json"];
        match content.get("example") {
            Some(example) => Request::post(self.path, example.to_string()),
            None => Request::new(&self.method, &format!("{}?{}", self.path, self.required())),
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.definition["parameters"]
            .as_array()
            .into_iter()
            .flatten()
    }

    /// The parameters that must be there, as a query.
    fn required(&self) -> String {
        let pairs = self
            .parameters()
            .filter(|parameter| parameter["required"] == true)
            .map(|parameter| {
                let text = |member: &str| parameter[member].as_str().unwrap().to_owned();
                format!("{}={}", text("name"), text("example"))
            });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// What has to be there for an answer with status 200, as paths and bodies.
    fn preparations(&self) -> Vec<(&'static str, Value)> {
        let group = |name: &str| ("/admin/add_group", json!({"name": name}));
        let user = |name: &str| ("/admin/gen_key", json!({"username": name}));
        match self.path {
            "/admin/delete_group" => vec![group("short-lived")],
            "/admin/rename_group" => vec![group("to be renamed")],
            "/admin/set_group" | "/admin/set_user" | "/admin/show_group" => vec![group(self.path)],
            "/admin/delete_user" => vec![user("short-lived")],
            "/admin/rename_user" => vec![user("to be renamed")],
            "/admin/revoke_key" => vec![(
                "/admin/add_key",
                json!({"username": "alice", "key": "llmp-to-be-revoked-0123456789"}),
            )],
            "/admin/reprice" => vec![(
                "/admin/set_price",
                json!({"model": "gpt-4.1-mini", "input": "1", "output": "2", "from": "2026-01-01"}),
            )],
            "/admin/unset_price" => vec![(
                "/admin/set_price",
                json!({"model": "short-lived", "input": "1"}),
            )],
            _ => Vec::new(),
        }
    }

    /// Requests of an administrator that are answered with this status. They are sent in their order.
    fn requests_for(&self, status: u16) -> Vec<Request> {
        let post = |body: Value| Request::post(self.path, body.to_string());
        let get = |query: &str| Request::get(&format!("{}?{query}", self.path));
        match (self.path, status) {
            (_, 401 | 403 | 503) => vec![],
            (_, 413) => {
                let bytes = if self.path == "/admin/add_users" {
                    33 << 20
                } else {
                    70_000
                };
                vec![post(json!({"username": "x".repeat(bytes)}))]
            }
            (_, 415) => {
                let request = self.request().without("content-type");
                vec![request.header("Content-Type", "text/plain")]
            }
            ("/admin/list_costs", 400) => vec![get("last_hours=x"), get("last_hour=24")],
            ("/admin/set_key", 400) => vec![post(json!({"key_id": 1}))],
            ("/admin/hash_keys", 400) => vec![post(json!({"username": "alice"}))],
            (_, 400) if self.method == "GET" => vec![get("nothing=x")],
            (_, 400) => vec![post(json!({})), Request::post(self.path, "{")],
            ("/admin/list_costs" | "/admin/list_keys" | "/admin/show_user", 404) => {
                vec![get("username=nobody")]
            }
            ("/admin/list_users", 404) => vec![get("group=nobody")],
            ("/admin/show_group", 404) => vec![get("name=nobody")],
            _ => self.changes_for(status).into_iter().map(post).collect(),
        }
    }

    /// The bodies, or for a question the queries, of requests that are answered with 200, 404 or 409.
    fn changes_for(&self, status: u16) -> Vec<Value> {
        let nobody = || json!({"username": "nobody"});
        match (self.path, status) {
            // The user of the example exists in this test.
            ("/admin/gen_key", 200) => vec![json!({"username": "bob"})],
            ("/admin/gen_key", 404) => vec![json!({"username": "carol", "group": "nobody"})],
            ("/admin/add_users", 200) => vec![json!({"users": [
                {"username": "dora", "group": "course", "label": "laptop", "expires": "90d"}, {"username": "erik"}]})],
            ("/admin/add_key", 200) => {
                vec![json!({"username": "alice", "label": "laptop", "expires": "90d"})]
            }
            ("/admin/add_key", 409) => {
                let key = "llmp-given-twice-0123456789";
                let given = json!({"username": "alice", "key": key});
                vec![given]
            }
            ("/admin/rotate_key", 200) => {
                vec![json!({"username": "alice", "grace": "1h", "expires": "90d", "label": "new"})]
            }
            ("/admin/gen_key", 409) | ("/admin/forbid_key" | "/admin/allow_key", 200) => {
                vec![json!({"username": "alice"})]
            }
            ("/admin/forbid_key" | "/admin/allow_key", 404) => {
                vec![nobody(), json!({"api_key": "llmp-0"})]
            }
            ("/admin/set_key", 200) => vec![json!({"key_id": 1, "label": "first"})],
            ("/admin/set_key", 404) => vec![json!({"key_id": 9_999, "label": "x"})],
            ("/admin/revoke_key", 200) => {
                vec![json!({"api_key": "llmp-to-be-revoked-0123456789"})]
            }
            ("/admin/revoke_key", 404) => {
                vec![json!({"key_id": 9_999}), json!({"api_key": "llmp-0"})]
            }
            ("/admin/hash_keys", 200) => vec![json!({})],
            ("/admin/delete_user", 200) => vec![json!({"username": "short-lived"})],
            ("/admin/rename_user", 200) => {
                vec![json!({"username": "to be renamed", "new_username": "renamed"})]
            }
            ("/admin/rename_user", 404) => {
                vec![json!({"username": "nobody", "new_username": "somebody"})]
            }
            ("/admin/rename_user", 409) => {
                vec![json!({"username": "alice", "new_username": "bob"})]
            }
            ("/admin/set_user", 200) => vec![json!({"username": "alice", "group": self.path})],
            ("/admin/set_user", 404) => vec![json!({"username": "alice", "group": "nobody"})],
            ("/admin/add_group", 200 | 409) => vec![json!({"name": "course"})],
            ("/admin/set_group", 200) => vec![json!({"name": self.path, "add": ["alice"]})],
            ("/admin/set_group", 404) => vec![json!({"name": "nobody", "add": ["alice"]})],
            ("/admin/set_group", 409) => vec![json!({"name": self.path, "remove": ["bob"]})],
            ("/admin/rename_group", 200) => {
                vec![json!({"name": "to be renamed", "new_name": "renamed"})]
            }
            ("/admin/rename_group", 404) => vec![json!({"name": "nobody", "new_name": "x"})],
            ("/admin/rename_group", 409) => {
                vec![json!({"name": "renamed", "new_name": "course"})]
            }
            ("/admin/delete_group", 200) => vec![json!({"name": "short-lived"})],
            ("/admin/delete_group", 404) => vec![json!({"name": "nobody"})],
            ("/admin/set_price", 200) => vec![
                json!({"model": "my-model", "input": "0.20", "cached": "0.10", "output": "0.60"}),
                json!({"model": "my-model", "like": "gpt-5", "from": "2026-01-01",
                    "fields": {"input_cost_per_token_batches": "1e-7"}}),
            ],
            ("/admin/unset_price", 200) => vec![json!({"model": "short-lived"})],
            ("/admin/unset_price", 404) => vec![json!({"model": "nobody"})],
            ("/admin/reprice", 200) => vec![
                json!({"start_time": "2026-01-01", "dry_run": true}),
                json!({"period": "month", "model": "gpt-4.1-mini"}),
            ],
            (_, 404) => vec![nobody()],
            other => panic!("no request for {other:?}: add one"),
        }
    }

    /// The queries of questions that are answered with 200.
    fn questions(&self) -> Vec<Request> {
        let queries: &[&str] = match self.path {
            "/admin/list_costs" => &[
                "",
                "by_model=true",
                "by=endpoint,model,user,day",
                "by=model",
                "by=group,key,hour",
                "by=week",
                "by=month&sort=cost&top=1",
                "username=alice",
            ],
            "/admin/show_group" => &["name=/admin/show_group"],
            "/admin/list_prices" => &["model=gpt-5", "model=gpt-5-2099-01-01", "model=my-model"],
            "/admin/show_user" => &["username=alice"],
            _ => &[""],
        };
        queries
            .iter()
            .map(|query| Request::get(&format!("{}?{query}", self.path)))
            .collect()
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
            let others = schema.get("additionalProperties");
            if let Some(any) = others.filter(|any| any.is_object()) {
                self.check(any, value, &format!("{place}.{name}"))?;
                continue;
            }
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
    // It has no price of its own.
    let snapshot = ASK.replace("gpt-4.1-mini", "gpt-5-2099-01-01");
    assert_eq!(proxy.chat(&key, &snapshot).status, 200);
    let unpriced = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, \
         cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms) \
         SELECT started_at_ms, user_id, endpoint, 'my-own-model', 1, 1, 0, 0, 200, outcome, usage_source, 1 \
         FROM usage_logs LIMIT 1";
    assert_eq!(proxy.writable_database().execute(unpriced, []), Ok(1));
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
        for (path, body) in operation.preparations() {
            let prepared = proxy.send(&Request::post(path, body.to_string()));
            assert_eq!(prepared.status, 200, "{path}: {prepared:?}");
        }
        if (operation.method.as_str(), operation.path) == ("POST", "/admin/add_key") {
            let given = json!({"username": "alice", "key": "llmp-given-twice-0123456789"});
            let first = proxy.send(&Request::post(operation.path, given.to_string()));
            assert_eq!(first.status, 200);
        }
        for status in operation.statuses() {
            let requests = match (operation.method.as_str(), status) {
                ("GET", 200) => operation.questions(),
                _ => operation.requests_for(status),
            };
            let mut answers: Vec<Answer> =
                requests.iter().map(|request| proxy.send(request)).collect();
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
    let tables = "ALTER TABLE users RENAME TO no_users; ALTER TABLE keys RENAME TO no_keys; \
         ALTER TABLE prices RENAME TO no_prices; ALTER TABLE groups RENAME TO no_groups; ALTER TABLE usage_logs RENAME TO no_rows";
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
    let requests: BTreeSet<&str> = operations(document)
        .iter()
        .filter_map(|operation| {
            let body = &operation.definition["requestBody"]["content"]["application/json"];
            body["schema"]["$ref"].as_str()
        })
        .filter_map(|pointer| pointer.strip_prefix("#/components/schemas/"))
        .chain(["NewUser"])
        .collect();
    // What no answer to a single request without sound, pictures and deleted users has.
    let is_rare = |schema: &Value, property: &str| {
        let is_required = schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|name| name == property));
        !is_required && property.starts_with("total_") || property == "is_deleted"
    };
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let members = schema["properties"].as_object().into_iter().flatten();
        for (property, _) in members.filter(|_| !requests.contains(name.as_str())) {
            assert!(
                seen.contains(&member(schema, property)) || is_rare(schema, property),
                "{name}.{property} is documented and was in no answer"
            );
        }
    }
}

#[test]
fn every_documented_parameter_is_known_to_the_server() {
    let document = document();
    let (_backend, proxy) = proxy();
    let group = json!({"name": "course"}).to_string();
    assert_eq!(
        proxy.send(&Request::post("/admin/add_group", group)).status,
        200
    );
    for operation in operations(&document) {
        for parameter in operation.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str().unwrap();
            let status = |value: &str| {
                let required = operation.required();
                let target = format!("{}?{required}&{name}={value}", operation.path);
                proxy.send(&Request::get(&target)).status
            };
            assert_eq!(status(example), 200, "{name}={example}");
            // No model is called so, which is an empty list.
            let is_part = operation.path == "/admin/list_prices";
            assert!(is_part || [400, 404].contains(&status("nobody")), "{name}");
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
