//! The other names under which the price of a model may stand: as gateways and makers write it, and
//! without the date of a snapshot.

/// Gateways whose name before a model's says only who made it, at the maker's price. Others, such
/// as `azure/` and `openrouter/`, have prices of their own, and makers of open weights are hosted
/// by many.
const STRIPPED: [&str; 2] = ["openai/", "anthropic/"];
/// Beginnings of names that a gateway writes, and what LiteLLM's file has instead.
const RENAMED: [(&str, &str); 3] = [
    ("google/gemini-", "gemini/gemini-"),
    ("models/gemini-", "gemini/gemini-"),
    ("x-ai/grok-", "xai/grok-"),
];
/// Families of models that LiteLLM's file has under their maker's name, while the maker's own API
/// has them without. Weights that anyone may host are missing here, but for those whose maker sells
/// them under just this name.
const MAKERS: [(&str, &str); 11] = [
    ("gemini-", "gemini/"),
    ("grok-", "xai/"),
    ("mistral-", "mistral/"),
    ("codestral-", "mistral/"),
    ("magistral-", "mistral/"),
    ("ministral-", "mistral/"),
    ("pixtral-", "mistral/"),
    ("sonar", "perplexity/"),
    ("voyage-", "voyage/"),
    ("deepseek-", "deepseek/"),
    ("kimi-", "moonshot/"),
];

/// Returns the one other spelling of a name, if it has one.
#[must_use]
pub fn respelled(name: &str) -> Option<String> {
    if let Some(rest) = STRIPPED.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        return Some(rest.to_owned());
    }
    let mut renamed = RENAMED.iter();
    if let Some(name) =
        renamed.find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)))
    {
        return Some(name);
    }
    let mut makers = MAKERS.iter();
    let (_, maker) = makers.find(|(start, _)| name.starts_with(start))?;
    Some(format!("{maker}{name}"))
}

/// Returns the names of the base models, the nearest first: without the organisation of a
/// fine-tuned model, without its date, and without `-preview` where that stood before the date.
pub fn bases(name: &str) -> impl Iterator<Item = &str> {
    let tuned = tuned_base(name);
    let undated = without_date(tuned.unwrap_or(name));
    let released = undated.and_then(|name| name.strip_suffix("-preview"));
    [tuned, undated, released].into_iter().flatten()
}

/// Returns `ft:gpt-4o-2024-08-06` of `ft:gpt-4o-2024-08-06:org:name:id`. A fine-tuned model has
/// prices of its own, so that its `ft:` stays.
fn tuned_base(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("ft:")?;
    let end = rest.find(':')?;
    Some(&name[.."ft:".len() + end])
}

/// Cuts the date off the end: `-2025-08-07`, `-20250929`, `@20250929`, `-0613` (month and day),
/// `-05-20` or `-09-2025`. Numbers that are no date, such as Mistral's `-2512`, stay, because they
/// are versions with prices of their own.
fn without_date(name: &str) -> Option<&str> {
    const FORMS: [&str; 6] = [
        "-YYYY-MM-DD",
        "-YYYYMMDD",
        "@YYYYMMDD",
        "-MM-YYYY",
        "-MM-DD",
        "-MMDD",
    ];
    let base = FORMS.iter().find_map(|form| {
        let at = name.len().checked_sub(form.len())?;
        let (base, date) = name.split_at_checked(at)?;
        has_form(date, form).then_some(base)
    });
    base.filter(|base| !base.is_empty())
}

fn has_form(date: &str, form: &str) -> bool {
    let fits = date
        .bytes()
        .zip(form.bytes())
        .all(|(byte, place)| match place {
            b'Y' | b'M' | b'D' => byte.is_ascii_digit(),
            _ => byte == place,
        });
    // The digits of one letter of the form.
    let number = |letter: u8| {
        let places = date.bytes().zip(form.bytes());
        places
            .filter(|(_, place)| *place == letter)
            .fold(0_u32, |number, (byte, _)| {
                number * 10 + u32::from(byte.wrapping_sub(b'0'))
            })
    };
    fits && (1..=12).contains(&number(b'M'))
        && (!form.contains('D') || (1..=31).contains(&number(b'D')))
        && (!form.contains('Y') || (2020..2100).contains(&number(b'Y')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_its_base_without_the_date() {
        for (name, expected) in [
            ("gpt-5-2025-08-07", &["gpt-5"][..]),
            ("claude-sonnet-4-5-20250929", &["claude-sonnet-4-5"]),
            ("claude-sonnet-4-5@20250929", &["claude-sonnet-4-5"]),
            ("gpt-4-0613", &["gpt-4"]),
            ("gpt-3.5-turbo-1106", &["gpt-3.5-turbo"]),
            (
                "gemini-2.5-flash-preview-09-2025",
                &["gemini-2.5-flash-preview", "gemini-2.5-flash"],
            ),
            (
                "gemini-2.5-pro-preview-05-20",
                &["gemini-2.5-pro-preview", "gemini-2.5-pro"],
            ),
            (
                "ft:gpt-4o-2024-08-06:acme:bills:9xYz",
                &["ft:gpt-4o-2024-08-06", "ft:gpt-4o"],
            ),
            ("ft:gpt-4o:acme::1", &["ft:gpt-4o"]),
            ("gpt-5", &[]),
            ("gpt-4-32k", &[]),
            ("mistral-large-2512", &[]),
            ("gpt-4-1332", &[]),
            ("gpt-5-2025-13-07", &[]),
            ("model-1999-01-01-20190101", &[]),
            ("-0613", &[]),
            ("", &[]),
            ("é-0613x", &[]),
            ("ééééé", &[]),
        ] {
            assert_eq!(bases(name).collect::<Vec<_>>(), expected, "{name}");
        }
    }

    #[test]
    fn a_gateway_s_name_has_one_other_spelling() {
        for (name, expected) in [
            ("openai/gpt-4o", Some("gpt-4o")),
            ("anthropic/claude-opus-4-5", Some("claude-opus-4-5")),
            ("google/gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
            ("models/gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
            ("gemini-2.5-pro", Some("gemini/gemini-2.5-pro")),
            ("grok-4", Some("xai/grok-4")),
            ("azure/gpt-4o", None),
            ("openrouter/openai/gpt-4o", None),
            ("google/gemma-3-27b-it", None),
            ("gemma-3-27b-it", None),
            ("meta-llama/llama-3", None),
            ("gpt-4o", None),
        ] {
            assert_eq!(respelled(name).as_deref(), expected, "{name}");
        }
    }
}
