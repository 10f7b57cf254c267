//! Objects stored at the backend: each user reaches their own only.

mod aborted;
mod audio;
mod batches;
mod billing;
mod bodies;
mod chats;
mod client_ids;
mod crowded;
mod forgotten;
mod forms;
mod hidden_references;
mod lists;
mod member_names;
mod ownership;
mod responses;
mod unknown_ids;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Home, Proxy, Request, Seen, Wire};

/// A backend that keeps what it is given, of all who share its key, and lists it as OpenAI's API does.
pub struct Shelf {
    pub backend: Backend,
    kept: Arc<Mutex<Vec<Kept>>>,
}

#[derive(Clone)]
struct Kept {
    collection: String,
    object: Value,
    content: Vec<u8>,
}

impl Shelf {
    pub fn start() -> Self {
        let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
        let count = AtomicUsize::new(0);
        let shelf = Arc::clone(&kept);
        let backend = Backend::start(move |request, wire| {
            let mut kept = shelf.lock().unwrap();
            serve(&mut kept, &count, request, wire);
        });
        Self { backend, kept }
    }

    /// Puts an object there that no user of the proxy has made, or changes one.
    pub fn put(&self, collection: &str, object: Value) {
        let mut kept = self.kept.lock().unwrap();
        if let Some(known) = kept
            .iter_mut()
            .find(|known| known.object["id"] == object["id"])
        {
            known.object = object;
            return;
        }
        kept.push(Kept {
            collection: collection.to_owned(),
            object,
            content: Vec::new(),
        });
    }

    /// Takes an object away without telling anybody.
    pub fn lose(&self, id: &str) {
        let mut kept = self.kept.lock().unwrap();
        kept.retain(|known| known.object["id"] != id);
    }

    /// How many requests there were for a path.
    pub fn asked(&self, path: &str) -> usize {
        let requests = self.backend.requests();
        let asked = requests
            .iter()
            .filter(|seen| seen.target().split('?').next() == Some(path));
        asked.count()
    }
}

/// `/v1/COLLECTION`, `/v1/COLLECTION/ID` and what lies below.
fn serve(kept: &mut Vec<Kept>, count: &AtomicUsize, request: &Seen, wire: &mut Wire) {
    let target = request.target().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut segments = path.trim_start_matches("/v1/").split('/');
    let collection = segments.next().unwrap_or_default();
    let (id, below) = (segments.next(), segments.next());
    let method = request.head.split(' ').next().unwrap_or_default();
    let place = kept
        .iter()
        .position(|known| Some(known.object["id"].as_str().unwrap_or_default()) == id);
    match (method, id, place, below) {
        ("POST", None, _, _) => {
            let id = format!("{collection}-{}", count.fetch_add(1, Ordering::Relaxed));
            let object = new_object(collection, &id, &request.json());
            kept.push(Kept {
                collection: collection.to_owned(),
                object: object.clone(),
                content: content_of(&request.body),
            });
            wire.json(&object.to_string());
        }
        ("GET", None, _, _) => wire.json(&list(kept, collection, query).to_string()),
        (_, Some(id), None, _) => wire.answer(
            "404 Not Found",
            &[("content-type", "application/json")],
            json!({"error": {"message": format!("No {id}: the backend was asked")}}).to_string(),
        ),
        ("DELETE", Some(id), Some(place), None) => {
            kept.remove(place);
            wire.json(&json!({"id": id, "deleted": true}).to_string());
        }
        (_, _, Some(place), Some("content")) => wire.answer(
            "200 OK",
            &[("content-type", "application/octet-stream")],
            &kept[place].content,
        ),
        (_, _, Some(place), _) => wire.json(&kept[place].object.to_string()),
        (_, None, None, _) => wire.answer("405 Method Not Allowed", &[], ""),
    }
}

fn new_object(collection: &str, id: &str, asked: &Value) -> Value {
    let mut object = json!({"id": id, "object": collection, "status": "completed", "metadata": asked["metadata"]});
    if collection == "responses" {
        object["model"] = json!("m-2");
        object["output"] = json!([{"id": format!("msg-of-{id}"), "type": "message"}, {"id": format!("ci-of-{id}"), "container_id": format!("cntr-of-{id}")}]);
        object["usage"] = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
        if asked["background"] == json!(true) {
            object["status"] = json!("queued");
            object["usage"] = Value::Null;
        }
    }
    if collection == "batches" {
        object["status"] = json!("validating");
    }
    object
}

/// Of a form with one file, the file.
fn content_of(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let content = text
        .split_once("\r\n\r\n")
        .and_then(|(_, rest)| rest.split_once("\r\n--"));
    content.map_or(Vec::new(), |(content, _)| content.as_bytes().to_vec())
}

/// Newest first, or `order=asc`; behind `after` and in front of `before`; `limit` at most.
fn list(kept: &[Kept], collection: &str, query: &str) -> Value {
    let parameter = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let mut objects: Vec<&Value> = kept
        .iter()
        .filter(|known| known.collection == collection)
        .map(|known| &known.object)
        .collect();
    if parameter("order") != Some("asc") {
        objects.reverse();
    }
    if let Some(after) = parameter("after") {
        let behind = objects.iter().position(|object| object["id"] == after);
        objects.drain(..=behind.expect("the cursor is known"));
    }
    if let Some(before) = parameter("before") {
        let place = objects.iter().position(|object| object["id"] == before);
        objects.truncate(place.expect("the cursor is known"));
    }
    let limit = parameter("limit").map_or(20, |limit| limit.parse().unwrap());
    let has_more = objects.len() > limit;
    objects.truncate(limit);
    json!({"object": "list", "data": objects, "has_more": has_more})
}

/// A server with stored objects open, and the keys of two users.
pub fn two_users(shelf: &Shelf) -> (Proxy, String, String) {
    let home = Home::new(&shelf.backend).set("STATEFUL_ENDPOINTS", "private");
    let keys = (home.user("alice"), home.user("bob"));
    (home.serve(), keys.0, keys.1)
}

pub fn get(proxy: &Proxy, key: &str, target: &str) -> Answer {
    proxy.send(&Request::get(target).key(key))
}

pub fn post(proxy: &Proxy, key: &str, target: &str, body: &Value) -> Answer {
    proxy.send(&Request::post(target, body.to_string()).key(key))
}

#[track_caller]
pub fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Makes a stored response and returns its id.
#[track_caller]
pub fn new_response(proxy: &Proxy, key: &str) -> String {
    id_of(&post(proxy, key, "/v1/responses", &json!({"model": "m"})))
}

/// Uploads a file with this content and returns its id.
#[track_caller]
pub fn upload(proxy: &Proxy, key: &str, content: &str) -> String {
    let body = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{content}\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--XX--\r\n"
    );
    let request = Request::post("/v1/files", body)
        .without("content-type")
        .header("content-type", "multipart/form-data; boundary=XX")
        .key(key);
    id_of(&proxy.send(&request))
}

/// Makes all objects that are remembered so much older.
pub fn made_earlier(proxy: &Proxy, seconds: i64) {
    let database = proxy.writable_database();
    let earlier = "UPDATE objects SET made_at_ms = made_at_ms - 1000 * ?1";
    database.execute(earlier, [seconds]).unwrap();
}

/// Whether an object is remembered as some user's.
pub fn remembered(proxy: &Proxy, id: &str) -> bool {
    let count = "SELECT count(*) FROM objects WHERE id = ?1 AND kind NOT IN ('given', 'closed')";
    let count = proxy.database().query_row(count, [id], |row| row.get(0));
    count == Ok(1_i64)
}
