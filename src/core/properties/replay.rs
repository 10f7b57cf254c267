//! Feeds every seed in `fuzz/seeds/`, and mutations of it that are the same in every run, to its
//! property.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use super::random::Random;

/// Mutations may make an input grow to this.
const MAX_BYTES: usize = 4096;

/// Checks a property with the seeds of a target and so many mutations.
pub(super) fn replay(name: &str, property: fn(&[u8]), mutations: usize) {
    let files = files_in(&fuzz().join("seeds").join(name));
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, seed) in files.iter().zip(&seeds) {
        let _named = Named(seed, file.display().to_string());
        property(seed);
    }
    let mut random = Random::of(name.as_bytes());
    for count in 0..mutations {
        let input = mutate(&seeds, &mut random);
        let _named = Named(&input, format!("mutation {count} of {name}"));
        property(&input);
    }
}

/// Returns the directory of the fuzz targets, from that of either package.
pub(super) fn fuzz() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = package.ancestors().map(|dir| dir.join("fuzz"));
    above.find(|dir| dir.join("seeds").is_dir()).unwrap()
}

pub(super) fn files_in(folder: &Path) -> Vec<PathBuf> {
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
