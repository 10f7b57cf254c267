//! Finds names in an env file that are most likely a setting's, misspelt.

use super::{env_file::Variables, table};

/// Length from which on two slips count as a misspelling, and a beginning as an abbreviation.
const LONG_CHARS: usize = 8;
/// A former name that is still read.
const FORMER: &str = "SETTLE_INTERVAL";

/// Returns a name in the file that is close to a setting's without being one, and that setting. Other
/// names are those of other programs.
#[must_use]
pub fn misspelt_name(variables: &Variables) -> Option<(&str, &'static str)> {
    variables.names().find_map(|name| {
        let close = closest(name)?;
        Some((name, close))
    })
}

/// Returns the names in the file that are no settings.
#[must_use]
pub fn unknown_names(variables: &Variables) -> Vec<&str> {
    let is_known = |name: &&str| {
        let upper = name.to_ascii_uppercase();
        known().any(|known| known == upper)
    };
    variables.names().filter(|name| !is_known(name)).collect()
}

/// Returns the names of all settings.
fn known() -> impl Iterator<Item = &'static str> {
    let without_flag = table::VARIABLES_ONLY
        .iter()
        .flat_map(|setting| setting.variables.split(", "));
    table::SETTINGS
        .iter()
        .map(|setting| setting.variable)
        .chain(without_flag)
        .chain([FORMER])
}

fn closest(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    // Names in lower case are other variables, some of which are read.
    if known().any(|known| known == upper) {
        return None;
    }
    known().find(|known| is_misspelling(&upper, known))
}

/// Returns whether a name is a setting's with one or two slips, or begins like it does. A name that
/// goes on where the setting's ends is another one, such as `OPENAI_API_KEY_2`.
fn is_misspelling(name: &str, known: &str) -> bool {
    let chars = name.chars().count();
    let slips = if chars < LONG_CHARS { 1 } else { 2 };
    if name.starts_with(known) || chars < 4 {
        return false;
    }
    if strsim::osa_distance(name, known) <= slips {
        return true;
    }
    // MAX_CONCURENT is MAX_CONCURRENT_REQUESTS, cut and with a slip.
    let beginnings = [chars.saturating_sub(1), chars, chars + 1];
    chars > LONG_CHARS
        && beginnings.into_iter().any(|length| {
            let beginning = known.get(..length).unwrap_or(known);
            beginning.len() < known.len() && strsim::osa_distance(name, beginning) <= 1
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_names_of_other_programs_are_not() {
        for (name, meant) in [
            ("MAX_CONCURENT", Some("MAX_CONCURRENT_REQUESTS")),
            ("MAX_CONCURRENT", Some("MAX_CONCURRENT_REQUESTS")),
            ("ADMIN_TOKNE", Some("ADMIN_TOKEN")),
            ("OPENAI_BACKEND_ULR", Some("OPENAI_BACKEND_URL")),
            ("OPENAI_BACKEND", Some("OPENAI_BACKEND_URL")),
            ("PROT", Some("PORT")),
            ("STORE_KEY", Some("STORE_KEYS")),
            ("admin_tokn", Some("ADMIN_TOKEN")),
            ("MAX_CONCURRENT_REQUESTS", None),
            ("SETTLE_INTERVAL", None),
            ("http_proxy", None),
            ("OPENAI_API_KEY_2", None),
            ("OPENAI_MODEL", None),
            ("OPENAI_TIMEOUT", None),
            ("ANTHROPIC_API_KEY", None),
            ("DATABASE_HOST", None),
            ("MAX_TOKENS", None),
            ("LOG_LEVEL", None),
            ("PATH", None),
            ("POSTGRES_URL", None),
        ] {
            assert_eq!(closest(name), meant, "{name}");
        }
    }
}
