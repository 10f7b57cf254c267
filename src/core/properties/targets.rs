//! All fuzz targets of this package with their properties, as `cargo test` replays them.

use std::path::PathBuf;

use super::{
    replay::{files_in, fuzz, replay},
    *,
};

/// A target, its property, and how many mutations a test run can afford: about half a second each
/// on one core. `fuzz/run` tries many more.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: [Target; 9] = [
    ("backend_body", backend_body, 2_000),
    ("backend_head", backend_head, 4_000),
    ("decode", decode, 300),
    ("path", path, 1_500),
    ("prices", prices, 1_000),
    ("splice", splice, 5_000),
    ("sse", sse, 600),
    ("texts", texts, 1_000),
    ("usage", usage, 2_500),
];

#[test]
fn every_target_has_its_property_and_seeds() {
    let mut names = TARGETS.map(|(name, _, _)| name).to_vec();
    // That of the package around this one.
    names.push("settings");
    names.sort_unstable();
    let in_fuzz = |folder: &str| -> Vec<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        files_in(&fuzz().join(folder))
            .into_iter()
            .map(stem)
            .collect()
    };
    assert_eq!(in_fuzz("fuzz_targets"), names);
    assert_eq!(in_fuzz("seeds"), names);
}

macro_rules! replay {
    ($($test:ident: $name:literal;)*) => {
        $(#[test]
        fn $test() {
            let (_, property, mutations) = TARGETS.iter().find(|(name, _, _)| *name == $name).unwrap();
            replay($name, *property, *mutations);
        })*
    };
}

replay! {
    backend_body_holds_for_seeds_and_mutations: "backend_body";
    backend_head_holds_for_seeds_and_mutations: "backend_head";
    decode_holds_for_seeds_and_mutations: "decode";
    path_holds_for_seeds_and_mutations: "path";
    prices_hold_for_seeds_and_mutations: "prices";
    splice_holds_for_seeds_and_mutations: "splice";
    sse_holds_for_seeds_and_mutations: "sse";
    texts_hold_for_seeds_and_mutations: "texts";
    usage_holds_for_seeds_and_mutations: "usage";
}
