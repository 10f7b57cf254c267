//! docs/openapi.json against the running server: its routes, its statuses, and every member of every body.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::harness::{
    ASK, Answer, Backend, CHAT, Home, PATIENCE, Proxy, Request, ask, chat_completion, wait_until,
};

const TOKEN: &str = "a-long-admin-token";
/// Path of a user's own usage, which needs a user's key.
const OWN_USAGE: &str = "/v1/usage";
/// Keys of a user who may use the proxy, and of one who may not.
const EVE: &str = "sk-of-eve-0123456789abcdef";
/// Ids of a refused and a running request, and the time in Unix milliseconds that both have.
const REFUSED: &str = "01a2291e2e8a79299882d6b7ebc00002";
const RUNNING: &str = "01a2291e2e8a79299882d6b7ebc00003";
const ID_TIME: i64 = 0x01a2_291e_2e8a;
const MALLORY: &str = "sk-of-mallory-0123456789ab";

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

    /// A request that the server accepts, with the examples of the document.
    fn request(&self) -> Request {
        let content = &self.definition["requestBody"]["content"]["application/json"];
        match content.get("example") {
            Some(example) => Request::post(self.path, example.to_string()),
            None => self.with_query(&self.required_parameters()),
        }
    }

    fn required_parameters(&self) -> String {
        let required = self.parameters().filter(|one| one["required"] == true);
        let pairs = required.map(|one| {
            let (name, example) = (one["name"].as_str(), one["example"].as_str());
            format!("{}={}", name.unwrap(), example.unwrap())
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        let parameters = self.definition["parameters"].as_array();
        parameters.into_iter().flatten()
    }

    fn with_query(&self, query: &str) -> Request {
        let request = Request::new(&self.method, &format!("{}?{query}", self.path));
        if self.path == OWN_USAGE {
            return request.key(EVE);
        }
        request
    }

    /// Requests of an administrator that are answered with this status. They are sent in their order.
    #[allow(clippy::too_many_lines)] // a table
    fn requests_for(&self, status: u16) -> Vec<Request> {
        let post = |body: Value| Request::post(self.path, body.to_string());
        let get = |query: &str| self.with_query(query);
        let is_get = self.method == "GET";
        match (self.path, status) {
            // The user of the example exists in this test.
            ("/admin/gen_key", 200) => {
                let all =
                    json!({"username": "bob", "group": "course-7", "label": "x", "expires": "90d"});
                vec![post(all)]
            }
            ("/admin/list_costs", 200) => [
                "",
                "by_model=true",
                "by=endpoint,model,user,day",
                "by=group,key,hour",
                "by=week",
                "by=month",
                "username=alice",
            ]
            .map(get)
            .into(),
            ("/admin/list_prices", 200) => {
                ["model=gpt-4.1-mini-2099-01-01", "model=my-priced-model"]
                    .map(get)
                    .into()
            }
            ("/admin/list_limits", 200) => ["", "username=alice", "group=course-7"].map(get).into(),
            ("/admin/reprice", 200) => {
                let all = json!({"start_time": "2026-01-01"});
                vec![self.request(), post(all)]
            }
            ("/admin/list_requests", 200) => ["", "username=eve&since=1d&limit=9", "cursor=0-0"]
                .map(get)
                .into(),
            ("/admin/explain_request", 200) => ["req_7b2c", REFUSED, RUNNING]
                .map(|id| get(&format!("request_id={id}")))
                .into(),
            ("/admin/explain_request", 404) => vec![get("request_id=req_nowhere")],
            ("/admin/live", 200) => ["", "all=true&sort=budget&filter=e"].map(get).into(),
            ("/admin/gen_key", 409) | (_, 200) => vec![self.request()],
            ("/admin/list_costs", 400) => vec![get("last_hours=x")],
            ("/v1/usage", 400) => vec![get("by=user"), get("username=alice")],
            (_, 400) if is_get => vec![get("no_such_parameter=1")],
            (_, 400) => vec![
                post(json!({"no_such_member": 1})),
                Request::post(self.path, "{"),
            ],
            ("/v1/usage", 401) => vec![Request::get(self.path)],
            ("/v1/usage", 403) => vec![Request::get(self.path).key(MALLORY)],
            ("/admin/list_users", 404) => vec![get("group=nobody")],
            ("/admin/show_group", 404) => vec![get("name=nobody")],
            (_, 404) if is_get => vec![get("username=nobody")],
            ("/admin/gen_key", 404) => {
                vec![post(json!({"username": "nobody", "group": "nowhere"}))]
            }
            ("/admin/forbid_key" | "/admin/allow_key", 404) => {
                [json!({"username": "nobody"}), json!({"api_key": "llmp-0"})]
                    .map(post)
                    .into()
            }
            ("/admin/set_key" | "/admin/revoke_key", 404) => {
                [json!({"key_id": 999}), json!({"api_key": "llmp-0"})]
                    .map(|key| post(with(key, self.optional_members(&["label"]))))
                    .into()
            }
            (_, 404) => {
                let nobody = json!({"username": "nobody", "name": "nobody", "model": "nobody"});
                let others = ["new_username", "new_name", "group", "add"];
                let known =
                    |(name, _): &(&String, &Value)| self.members().any(|known| known == *name);
                let named: Map<String, Value> = nobody
                    .as_object()
                    .unwrap()
                    .iter()
                    .filter(known)
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                vec![post(with(
                    Value::Object(named),
                    self.optional_members(&others),
                ))]
            }
            ("/admin/rename_user", 409) => {
                vec![post(json!({"username": "david", "new_username": "alice"}))]
            }
            ("/admin/add_group", 409) => vec![post(json!({"name": "course-7"}))],
            ("/admin/rename_group", 409) => {
                vec![post(json!({"name": "course-7", "new_name": "course-9"}))]
            }
            ("/admin/set_group", 409) => {
                vec![post(json!({"name": "course-7", "remove": ["eve"]}))]
            }
            ("/admin/add_key" | "/admin/rotate_key", 409) => {
                vec![post(json!({"username": "alice", "key": EVE}))]
            }
            (_, 413) => vec![post(json!({"username": "x".repeat(200_000)}))],
            (_, 415) => {
                let request = self.request().without("content-type");
                vec![request.header("Content-Type", "text/plain")]
            }
            (_, 401 | 403 | 503) => vec![],
            other => panic!("no request for {other:?}: add one"),
        }
    }

    /// The members of the example.
    fn members(&self) -> impl Iterator<Item = &String> {
        let content = &self.definition["requestBody"]["content"]["application/json"];
        content["example"].as_object().unwrap().keys()
    }

    /// Those of these members that the example has, with its values.
    fn optional_members(&self, names: &[&str]) -> Map<String, Value> {
        let content = &self.definition["requestBody"]["content"]["application/json"];
        let example = content["example"].as_object().unwrap();
        let wanted = example
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        wanted
            .map(|(name, value)| (name.clone(), value.clone()))
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

/// Adds members to an object.
fn with(mut object: Value, members: Map<String, Value>) -> Value {
    object.as_object_mut().unwrap().extend(members);
    object
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
            let any = Some(&schema["additionalProperties"]).filter(|any| any.is_object());
            let documented = schema["properties"]
                .get(name)
                .or(any)
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
    let home = Home::new(&backend)
        .set("MAX_BODY_SIZE", "128KiB")
        .set("ALERT_WEBHOOK", &backend.url());
    (backend, home)
}

/// A proxy with everything that the examples of the document name, and with usage of every class.
fn proxy() -> (Backend, Proxy) {
    let (backend, home) = home();
    let (proxy, key) = home.serve_alice();
    let run = |arguments: &[&str]| {
        let ran = proxy.cli(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    for group in ["course-1", "course-2", "course-7", "course-9"] {
        run(&["group", "add", group]);
    }
    for name in ["carol", "dave"] {
        run(&["user", "add", name]);
    }
    run(&["user", "add", "eve", "--key", EVE]);
    run(&["user", "add", "mallory", "--key", MALLORY]);
    run(&["user", "forbid", "mallory"]);
    let gone = proxy.user("henry");
    run(&["user", "set", "alice", "--group", "course-7"]);
    let extra = ["--extra", "1Mtokens", "--until", "7d"];
    run(&[
        &["user", "set", "alice", "--budget", "20Mtokens/month"][..],
        &extra,
    ]
    .concat());
    for key in [EVE, &gone] {
        wait_until("the key works", PATIENCE, || {
            proxy.chat(key, ASK).status == 200
        });
    }
    for model in [
        "gpt-4.1-mini",
        "gpt-4.1-mini-2099-01-01",
        "my-model",
        "my-priced-model",
    ] {
        assert_eq!(proxy.chat(&key, &ask(model)).status, 200);
    }
    run(&["user", "delete", "henry", "--yes"]);
    run(&[
        "price",
        "set",
        "my-priced-model",
        "--input",
        "1",
        "--output",
        "2",
        "--from",
        "2020-01-01",
    ]);
    run(&[
        "price",
        "set",
        "my-other-model",
        "--input",
        "1",
        "--output",
        "2",
    ]);
    run(&["alert", "test"]);
    wait_until("the alert is queued", PATIENCE, || {
        let list = proxy.get_json("/admin/list_alerts");
        list["alerts"][0]["deliveries"][0].is_object()
    });
    let classes = [
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "audio_input_tokens",
        "image_input_tokens",
        "cached_audio_tokens",
        "cached_image_tokens",
        "audio_output_tokens",
        "image_output_tokens",
        "web_searches",
        "file_searches",
        "code_calls",
    ];
    let set = classes.map(|class| format!("{class} = 1")).join(", ");
    // Some rows are summed already.
    let update = format!(
        "UPDATE usage_logs SET {set};
         UPDATE usage_logs SET cost_nano_usd = NULL WHERE model = 'my-model';
         UPDATE usage_hourly SET {set};
         UPDATE usage_hourly SET unpriced_requests = 1 WHERE model = 'my-model';
         UPDATE usage_daily SET {set};
         UPDATE usage_daily SET unpriced_requests = 1 WHERE model = 'my-model';
         UPDATE usage_logs SET backend_request_id = 'req_7b2c' WHERE id = 1;
         INSERT INTO refusals (at_ms, request_id, user_id, endpoint, status, code, message)
             VALUES ({ID_TIME}, unhex('{REFUSED}'), 1, '{CHAT}', 429, 'rate_limit_exceeded', 'no');
         INSERT INTO running_requests VALUES (0, 0, 1, 1, {ID_TIME}, '{CHAT}', 'my-model', NULL, 200,
             7, 9, 0, {ID_TIME}, unhex('{RUNNING}'));"
    );
    proxy.writable_database().execute_batch(&update).unwrap();
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
        .chain([("GET", OWN_USAGE)])
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
    // A request whose body is still coming is live.
    let mut reading = proxy.open();
    let whole = Request::post(CHAT, ASK).key(EVE).bytes("x");
    reading.send_bytes(&whole[..whole.len() - 1]);
    wait_until("the request is seen", PATIENCE, || {
        proxy.get_json("/admin/live")["in_flight"] == 1
    });
    assert_eq!(proxy.chat(EVE, "{").status, 400, "an error that is listed");
    let mut seen = BTreeSet::new();
    for operation in operations(&document) {
        for status in operation.statuses() {
            let mut answers: Vec<Answer> = operation
                .requests_for(status)
                .iter()
                .map(|request| proxy.send(request))
                .collect();
            match status {
                401 if operation.path != OWN_USAGE => {
                    answers.push(guarded.send(&operation.request()));
                }
                403 if operation.path != OWN_USAGE => {
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
    let tables = [
        "users",
        "keys",
        "groups",
        "prices",
        "usage_logs",
        "usage_hourly",
        "alerts",
        "limits",
    ];
    let rename = |table| format!("ALTER TABLE {table} RENAME TO {table}_gone;");
    let tables = tables.map(rename).concat();
    proxy.writable_database().execute_batch(&tables).unwrap();
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
    // Schemas of requests; the entries of a list have one of their own.
    let mut requests: BTreeSet<String> = BTreeSet::from(["NewUserEntry".to_owned()]);
    for operation in operations(document) {
        let body = &operation.definition["requestBody"]["content"]["application/json"]["schema"];
        if let Some(pointer) = body["$ref"].as_str() {
            requests.extend(pointer.rsplit('/').next().map(str::to_owned));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let members = schema["properties"].as_object().into_iter().flatten();
        for (property, _) in members.filter(|_| !requests.contains(name)) {
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
        for parameter in operation.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let example = parameter["example"].as_str().unwrap();
            let status = |value: &str| {
                let request = operation.with_query(&format!("{name}={value}"));
                proxy.send(&request).status
            };
            assert_eq!(status(example), 200, "{} {name}={example}", operation.path);
            // Any text can be a part of a name.
            if operation.path != "/admin/list_prices" && name != "filter" {
                let refused = status("nobody");
                assert!([400, 404].contains(&refused), "{} {name}", operation.path);
            }
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
