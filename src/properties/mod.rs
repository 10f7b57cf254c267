//! The promise of the settings for any input, beside those of `core/properties/`. No part of the product:
//! compiled for tests and under `--cfg fuzzing`.

// A panic is how these functions speak.
#![allow(clippy::missing_panics_doc)]

#[cfg(test)]
#[path = "../core/properties/random.rs"]
mod random;
#[cfg(test)]
#[path = "../core/properties/replay.rs"]
mod replay;
mod settings;
#[path = "../core/properties/typed.rs"]
mod typed;

pub use settings::settings;

#[cfg(test)]
#[test]
fn settings_hold_for_seeds_and_mutations() {
    replay::replay("settings", settings, 1_000);
}
