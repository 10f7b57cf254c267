//! Inputs that are written like an env file, with a `NAME=value` on each line.

/// Stands for a secret in the seeds.
pub(super) const SECRET: &str = "pa55word";

/// What an operator types: names and values.
pub(super) struct Typed<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Typed<'a> {
    /// Reads a text with a `NAME=value` on each line.
    pub(super) fn of(text: &'a str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once('='))
                .collect(),
        )
    }

    pub(super) fn value(&self, wanted: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| *value)
    }

    /// Returns whether [`SECRET`] stands where a secret belongs and nowhere else.
    pub(super) fn holds_secret(&self, belongs: impl Fn(&str, &str) -> bool) -> bool {
        let mut secrets = self.0.iter().filter(|(_, value)| value.contains(SECRET));
        let all_belong = secrets.clone().all(|(name, value)| belongs(name, value));
        secrets.next().is_some() && all_belong
    }

    /// Returns the message for an operator about a setting that cannot be used.
    pub(super) fn check_message(&self, message: &str) {
        assert!(!message.contains(char::is_control), "{message:?}");
        let is_hidden = self.holds_secret(|name, value| is_key(name) || has_password(value));
        assert!(!(is_hidden && message.contains(SECRET)), "{message}");
    }
}

pub(super) fn is_key(name: &str) -> bool {
    ["OPENAI_API_KEY", "ADMIN_TOKEN"].contains(&name)
}

/// Returns whether a text is a URL with [`SECRET`] in the place of user and password only.
fn has_password(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else {
        return false;
    };
    rest.split_once('@').is_some_and(|(user, host)| {
        user.contains(SECRET) && !scheme.contains(SECRET) && !host.contains(SECRET)
    })
}
