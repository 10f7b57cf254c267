use super::*;

fn page(ids: &[&str]) -> Vec<Box<RawValue>> {
    let object = |id: &&str| RawValue::from_string(format!(r#"{{"id":"{id}","x": 1.0}}"#));
    ids.iter().map(|id| object(id).unwrap()).collect()
}

fn builder(own: &[&str], limit: usize) -> PageBuilder {
    let own = own.iter().map(|id| {
        let object = OwnObject {
            is_billed: true,
            made_at_ms: i64::from(id.as_bytes()[0]),
        };
        ((*id).to_owned(), object)
    });
    let own = own.collect();
    PageBuilder::new(1, ObjectKind::VectorStore, own, limit)
}

fn ids(builder: &PageBuilder) -> (Vec<String>, Option<&str>, Option<&str>, bool) {
    let ids = builder.page.data.iter();
    let ids = ids.map(|object| serde_json::from_str::<WithId>(object.get()).unwrap().id);
    let page = &builder.page;
    (
        ids.collect(),
        page.first_id.as_deref(),
        page.last_id.as_deref(),
        page.has_more,
    )
}

#[test]
fn a_page_is_filled_from_several_and_knows_whether_more_follow() {
    let query = Query::parse("limit=2&order=asc");
    let mut builder = builder(&["a", "c", "e"], 2);
    assert_eq!(
        builder.take(page(&["a", "b"]), &query).as_deref(),
        Some("b")
    );
    assert_eq!(
        builder.take(page(&["c", "d"]), &query).as_deref(),
        Some("d")
    );
    assert!(!builder.page.has_more);
    builder.take(page(&["e", "f"]), &query);
    let (own, first, last, more) = ids(&builder);
    assert_eq!(own, ["a", "c"]);
    assert_eq!((first, last, more), (Some("a"), Some("c"), true));
}

#[test]
fn backward_the_nearest_are_taken_and_the_order_stays() {
    let query = Query::parse("before=z&limit=2");
    let mut builder = builder(&["a", "c", "e"], 2);
    assert_eq!(
        builder.take(page(&["d", "e", "f"]), &query).as_deref(),
        Some("d")
    );
    builder.take(page(&["a", "b", "c"]), &query);
    let (own, first, last, more) = ids(&builder);
    assert_eq!(own, ["c", "e"]);
    assert_eq!((first, last, more), (Some("c"), Some("e"), true));
}

#[test]
fn between_two_ids_both_bounds_hold() {
    let query = Query::parse("before=z&after=a&limit=2");
    assert_eq!(
        query.target("/v1/vector_stores", ObjectKind::VectorStore, Some("a")),
        "/v1/vector_stores?limit=100&after=a&before=z"
    );
    let mut builder = builder(&["a", "b", "y", "z", "zz"], 9);
    assert_eq!(
        builder.take(page(&["b", "c"]), &query).as_deref(),
        Some("c")
    );
    // This holds for a backend that knows only one of them too.
    assert_eq!(builder.take(page(&["y", "z", "zz"]), &query), None);
    let (own, _, last, more) = ids(&builder);
    assert_eq!(
        (own, last, more),
        (vec!["b".to_owned(), "y".to_owned()], Some("y"), false)
    );
}

#[test]
fn what_no_page_had_is_asked_for_behind_the_cursor() {
    let builder = builder(&["a", "b", "c", "d"], 9);
    for (query, expected) in [
        ("", &["d", "c", "b", "a"][..]),
        ("order=asc", &["a", "b", "c", "d"]),
        ("after=c", &["b", "a"]),
        ("after=b&order=asc", &["c", "d"]),
        ("before=b", &["c", "d"]),
    ] {
        let behind = builder.behind_cursor(&Query::parse(query));
        assert_eq!(behind, expected, "{query}");
    }
    let object = RawValue::from_string(r#"{"id":"a","purpose":"batch"}"#.to_owned()).unwrap();
    assert!(Query::parse("purpose=batch&order=asc&x=y").admits(&object));
    assert!(!Query::parse("purpose=vision").admits(&object));
    assert!(!Query::parse("status=x").admits(&object));
}

#[test]
fn filters_go_on_and_limits_that_are_none_too() {
    let query = Query::parse("purpose=batch&after=file-1&limit=3");
    assert_eq!(query.limit(ObjectKind::File), 3);
    assert_eq!(
        query.target("/v1/files", ObjectKind::File, Some("file-9")),
        "/v1/files?purpose=batch&limit=1000&after=file-9"
    );
    let query = Query::parse("limit=nope");
    assert_eq!(
        query.target("/v1/videos", ObjectKind::Video, None),
        "/v1/videos?limit=nope"
    );
    assert_eq!(query.limit(ObjectKind::Video), 20);
}
