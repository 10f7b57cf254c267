//! Feeds every seed in `fuzz/seeds/`, and mutations of it that are the same in every run, to its
//! property.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use super::{random::Random, *};

/// A target, its property, and how many mutations a test run can afford: about half a second each
/// on one core. `fuzz/run` tries many more.
type Target = (&'static str, fn(&[u8]), usize);

const TARGETS: [Target; 9] = [
    ("backend_body", backend_body, 2_000),
    ("backend_head", backend_head, 4_000),
    ("decode", decode, 300),
    ("path", path, 1_500),
    ("prices", prices, 1_000),
    ("settings", settings, 1_000),
    ("splice", splice, 5_000),
    ("sse", sse, 600),
    ("usage", usage, 2_500),
];
/// Mutations may make an input grow to this.
const MAX_BYTES: usize = 4096;

#[test]
fn every_target_has_its_property_and_seeds() {
    let names = TARGETS.map(|(name, _, _)| name);
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
            replay($name);
        })*
    };
}

replay! {
    backend_body_holds_for_seeds_and_mutations: "backend_body";
    backend_head_holds_for_seeds_and_mutations: "backend_head";
    decode_holds_for_seeds_and_mutations: "decode";
    path_holds_for_seeds_and_mutations: "path";
    prices_hold_for_seeds_and_mutations: "prices";
    settings_hold_for_seeds_and_mutations: "settings";
    splice_holds_for_seeds_and_mutations: "splice";
    sse_holds_for_seeds_and_mutations: "sse";
    usage_holds_for_seeds_and_mutations: "usage";
}

fn replay(name: &str) {
    let (_, property, mutations) = TARGETS.iter().find(|(known, _, _)| *known == name).unwrap();
    let files = files_in(&fuzz().join("seeds").join(name));
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, seed) in files.iter().zip(&seeds) {
        let _named = Named(seed, file.display().to_string());
        property(seed);
    }
    let mut random = Random::of(name.as_bytes());
    for count in 0..*mutations {
        let input = mutate(&seeds, &mut random);
        let _named = Named(&input, format!("mutation {count} of {name}"));
        property(&input);
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Shows the input when its property fails.
struct Named<'a>(&'a [u8], String);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: b\"{}\"", self.1, self.0.escape_ascii());
        }
    }
}

/// Makes one to four small changes to a seed. Some take a piece of another seed.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(seeds).clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = at + random.below(input.len() - at + 1).min(random.below(64));
        match random.below(7) {
            0 => drop(input.drain(at..end)),
            1 => input.truncate(at),
            2 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            3 | 4 => {
                let other = random.pick(seeds);
                let from = random.below(other.len() + 1);
                let to = from + random.below(other.len() - from + 1).min(random.below(64));
                input.splice(at..end, other[from..to].iter().copied());
            }
            5 => input.insert(
                at,
                *random.pick(b"\0\r\n\t \"\\{}[],:;.%/+-0179aeEf\x7f\x80\xbb\xc0\xef\xff"),
            ),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    input.truncate(MAX_BYTES);
    input
}
