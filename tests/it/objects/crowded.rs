//! The objects and uploads of other users do not keep a user from their own.

use serde_json::json;

use super::{Shelf, get, id_of, post, two_users};
use crate::harness::{ASK, Backend, Home, PATIENCE, Request, chat_completion, wait_until};

#[test]
fn own_objects_are_listed_among_thousands_of_others() {
    let shelf = Shelf::start();
    let (proxy, alice, _) = two_users(&shelf);
    let own: Vec<String> = (0..5)
        .map(|_| id_of(&post(&proxy, &alice, "/v1/vector_stores", &json!({}))))
        .collect();
    for n in 0..2_500 {
        shelf.put("vector_stores", json!({"id": format!("vs_other_{n}")}));
    }
    let ids = |query: &str| -> (Vec<String>, bool) {
        let list = get(&proxy, &alice, &format!("/v1/vector_stores{query}")).json();
        let data = list["data"].as_array().unwrap().iter();
        let ids = data.map(|object| object["id"].as_str().unwrap().to_owned());
        (ids.collect(), list["has_more"].as_bool().unwrap())
    };
    let newest_first: Vec<String> = own.iter().rev().cloned().collect();
    assert_eq!(ids(""), (newest_first.clone(), false));
    assert_eq!(ids("?limit=2"), (newest_first[..2].to_vec(), true));
    let next = format!("?limit=2&after={}", newest_first[1]);
    assert_eq!(ids(&next), (newest_first[2..4].to_vec(), true));
    let last = format!("?limit=2&after={}", newest_first[3]);
    assert_eq!(ids(&last), (newest_first[4..].to_vec(), false));
    shelf.lose(&own[2]);
    super::made_earlier(&proxy, 120);
    let left: Vec<String> = newest_first
        .iter()
        .filter(|id| **id != own[2])
        .cloned()
        .collect();
    assert_eq!(ids(""), (left, false));
}

#[test]
fn slow_uploads_leave_permits_to_others() {
    let backend = Backend::start(|_, wire| wire.json(&chat_completion(1, 1)));
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", "4");
    let (alice, bob) = (home.user("alice"), home.user("bob"));
    let proxy = home.serve();
    let form = "--X\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--X--\r\n";
    let upload = Request::post("/v1/audio/transcriptions", form)
        .without("content-type")
        .header("content-type", "multipart/form-data; boundary=X")
        .key(&alice);
    let trickling = upload.clone().header("content-length", "1000000");
    let refused = || proxy.send(&upload);
    // One that finds the place taken by the other kind of request is refused itself.
    let mut held = Vec::new();
    wait_until("a second upload is refused", PATIENCE, || {
        held.push(proxy.start(&trickling));
        refused().status == 429
    });
    let answer = refused();
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(proxy.chat(&bob, ASK).status, 200);
    assert_eq!(proxy.chat(&alice, ASK).status, 200);
    drop(held);
}
