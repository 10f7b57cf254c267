//! Which models a list of patterns is about.

use wildmatch::WildMatchPattern;

use crate::model::is_small_ascii;

/// Patterns of names, in which `*` stands for any text. No other character is special.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPatterns {
    patterns: Vec<Pattern>,
    /// The patterns in small letters, as far as they are others.
    folded: Vec<Pattern>,
    /// One of them is `*`, so that none has to be compared.
    has_all: bool,
}

type Pattern = WildMatchPattern<'*', '\0'>;

impl ModelPatterns {
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        let compiled = |pattern: &str| Pattern::new(pattern);
        let folded = patterns.iter().filter_map(|pattern| {
            let folded = pattern.to_lowercase();
            (folded != *pattern).then(|| compiled(&folded))
        });
        Self {
            has_all: patterns.iter().any(|pattern| pattern == "*"),
            folded: folded.collect(),
            patterns: patterns.iter().map(|pattern| compiled(pattern)).collect(),
        }
    }

    /// Returns whether a list of allowed models has the name, in exactly this spelling.
    #[must_use]
    pub fn allow(&self, model: &str) -> bool {
        self.has_all || self.patterns.iter().any(|pattern| pattern.matches(model))
    }

    /// Returns whether a list of denied models has the name. The case does not matter, because some
    /// backends do not care for it.
    #[must_use]
    pub fn deny(&self, model: &str) -> bool {
        let has = |patterns: &[Pattern], name: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| pattern.matches(name))
        };
        if self.has_all || has(&self.patterns, model) {
            return true;
        }
        // Nearly all names are in small letters, as most patterns are.
        if is_small_ascii(model.as_bytes()) {
            return has(&self.folded, model);
        }
        let small = model.to_lowercase();
        has(&self.folded, &small) || has(&self.patterns, &small)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> ModelPatterns {
        let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
        ModelPatterns::new(&list)
    }

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_is_special() {
        let allowed = patterns(&["gpt-4.1*", "o4-mini"]);
        for model in ["gpt-4.1", "gpt-4.1-mini", "o4-mini"] {
            assert!(allowed.allow(model), "{model}");
        }
        for model in [
            "gpt-4o",
            "gpt-401",
            "o4-mini-high",
            "GPT-4.1",
            "",
            "xgpt-4.1",
        ] {
            assert!(!allowed.allow(model), "{model}");
        }
        assert!(patterns(&["gpt-?"]).allow("gpt-?") && !patterns(&["gpt-?"]).allow("gpt-4"));
        assert!(patterns(&["*"]).allow("") && patterns(&["*mini*"]).allow("gpt-4o-mini-2024"));
    }

    #[test]
    fn a_denied_name_is_denied_in_any_case() {
        let denied = patterns(&["GPT-5*"]);
        assert!(denied.deny("gpt-5-pro") && denied.deny("Gpt-5") && !denied.deny("gpt-4"));
        let denied = patterns(&["o4*", "\u{c4}X*"]);
        assert!(denied.deny("O4-mini") && denied.deny("\u{e4}x-1") && denied.deny("\u{c4}x"));
        assert!(!denied.deny("o5") && !denied.deny("O5"));
    }
}
