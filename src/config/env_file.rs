//! Reads `.env`: each line is a `NAME=value`. A `$` is not replaced, because a secret that contains
//! one would change.
//!
//! Quotes and escapes are those of dotenv files. In `'…'` every character is literal, line ends
//! too. In `"…"` and without quotes, a backslash makes `\`, `"`, `'`, `$` and a space literal, and
//! `\n` is a line end.

use std::{
    fmt,
    iter::Peekable,
    path::{Path, PathBuf},
    str::Chars,
};

/// Why a line cannot be read. The error does not repeat the line, because it may contain a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}{}: {problem}", in_parentheses(.name.as_deref()))]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The variable that the line sets, if that is certain.
    pub name: Option<String>,
    pub problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("not a NAME=value")]
    NoName,
    #[error("a value with spaces needs quotes around it")]
    Spaces,
    #[error("a quote is opened and not closed")]
    OpenQuote,
    #[error("not UTF-8")]
    NotUtf8,
}

fn in_parentheses(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" ({name})"))
}

/// The variables of an env file. Those of the environment come first.
#[derive(Default)]
pub struct Variables {
    file: Vec<(String, String)>,
    path: Option<PathBuf>,
}

/// Settings that other users of the machine must not know.
const SECRETS: [&str; 3] = ["OPENAI_API_KEY", "ADMIN_TOKEN", "ALERT_SECRET"];

impl Variables {
    /// Reads the contents of a file.
    ///
    /// # Errors
    /// [`LineError`] of the first line that cannot be read.
    pub fn read(bytes: &[u8]) -> Result<Self, LineError> {
        Ok(Self {
            file: read(bytes)?,
            path: None,
        })
    }

    /// Sets the path of the file that they were read from.
    #[must_use]
    pub fn of_file(self, path: PathBuf) -> Self {
        let path = Some(path);
        Self { path, ..self }
    }

    /// Returns the path of the file, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns a warning if others than the owner may read the file and it has a secret. One group may
    /// read a file of root's: this is how a service that runs as another user gets its secrets.
    #[must_use]
    pub fn exposure(&self) -> Option<String> {
        let path = self.path.as_deref()?;
        let has = |name: &&str| self.in_file(name).is_some_and(|value| !value.is_empty());
        let secret = SECRETS.iter().find(|name| has(name))?;
        let mode = readable_by_others(path)?;
        if mode & 0o004 == 0 && is_lent_to_a_group(path) {
            return None;
        }
        let path = path.display();
        Some(format!(
            "others can read {path}, which holds {secret} (mode {mode:04o}): chmod 600 {path}"
        ))
    }

    /// Returns the value in the file. If a variable is set twice, the first value counts.
    #[must_use]
    pub fn in_file(&self, name: &str) -> Option<&str> {
        let found = self.file.iter().find(|(in_file, _)| in_file == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the names in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.file.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the value in the environment, or else in the file.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let in_file = || self.in_file(name).map(str::to_owned);
        std::env::var(name).ok().or_else(in_file)
    }
}

/// Returns the mode of a file that its group or everybody may read.
#[must_use]
#[cfg(unix)]
pub fn readable_by_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o044 != 0).then_some(mode)
}

/// Returns whether root owns a file and has given it to a group other than its own.
#[cfg(unix)]
fn is_lent_to_a_group(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|file| file.uid() == 0 && file.gid() != 0)
}

#[cfg(not(unix))]
fn is_lent_to_a_group(_: &Path) -> bool {
    false
}

/// Other systems have no modes.
#[must_use]
#[cfg(not(unix))]
pub fn readable_by_others(_: &Path) -> Option<u32> {
    None
}

/// Writes a value so that reading it gives the same value.
#[must_use]
pub fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@%+,=".contains(c);
    if value.chars().all(is_plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '\\' | '"' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text + "\""
}

/// Written by hand, because the derived one would show the secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").finish_non_exhaustive()
    }
}

/// Returns names and values in the order of the file.
fn read(bytes: &[u8]) -> Result<Vec<(String, String)>, LineError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        LineError {
            line: before.split(|byte| *byte == b'\n').count(),
            name: None,
            problem: Problem::NotUtf8,
        }
    })?;
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let mut variables = Vec::new();
    while reader.has_more() {
        variables.push(reader.variable()?);
    }
    Ok(variables)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    /// Line of the next character.
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn skip_while(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.rest.next_if(|c| is_skipped(*c)).is_some() {}
    }

    fn skip_blanks(&mut self) {
        self.skip_while(|c| c != '\n' && c.is_whitespace());
    }

    fn at_line_end(&mut self) -> bool {
        matches!(self.rest.peek(), None | Some('\n'))
    }

    /// Skips empty lines and comments. Returns whether a variable follows.
    fn has_more(&mut self) -> bool {
        loop {
            self.skip_blanks();
            match self.rest.peek() {
                None => return false,
                Some('#') => self.skip_while(|c| c != '\n'),
                Some('\n') => {
                    self.next();
                }
                Some(_) => return true,
            }
        }
    }

    fn variable(&mut self) -> Result<(String, String), LineError> {
        let line = self.line;
        let no_name = || LineError {
            line,
            name: None,
            problem: Problem::NoName,
        };
        let mut name = self.name().ok_or_else(no_name)?;
        // `export=value` sets a variable of this name.
        if name == "export" && self.rest.peek() != Some(&'=') {
            name = self.name().ok_or_else(no_name)?;
        }
        self.rest.next_if_eq(&'=').ok_or_else(no_name)?;
        match self.value() {
            Ok(value) => Ok((name, value)),
            Err(problem) => Err(LineError {
                line,
                name: Some(name),
                problem,
            }),
        }
    }

    /// Reads a name and the blanks after it.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        {
            name.push(c);
        }
        self.skip_blanks();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        is_name.then_some(name)
    }

    /// Reads a value up to the end of its line.
    fn value(&mut self) -> Result<String, Problem> {
        let mut value = String::new();
        self.skip_blanks();
        if self.rest.peek() == Some(&'#') {
            self.skip_while(|c| c != '\n');
        }
        while !self.at_line_end() {
            match self.next() {
                Some('\'') => self.single_quoted(&mut value)?,
                Some('"') => self.double_quoted(&mut value)?,
                Some('\\') => self.escape(&mut value),
                Some(blank) if blank.is_whitespace() => return self.end(value),
                Some(other) => value.push(other),
                None => break,
            }
        }
        Ok(value)
    }

    /// Reads the rest of a line after the first blank of a value. Only a comment is allowed.
    fn end(&mut self, value: String) -> Result<String, Problem> {
        self.skip_blanks();
        if self.rest.peek() == Some(&'#') {
            self.skip_while(|c| c != '\n');
        }
        if self.at_line_end() {
            Ok(value)
        } else {
            Err(Problem::Spaces)
        }
    }

    fn single_quoted(&mut self, value: &mut String) -> Result<(), Problem> {
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(other) => value.push(other),
                None => return Err(Problem::OpenQuote),
            }
        }
    }

    fn double_quoted(&mut self, value: &mut String) -> Result<(), Problem> {
        loop {
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => self.escape(value),
                Some(other) => value.push(other),
                None => return Err(Problem::OpenQuote),
            }
        }
    }

    /// Reads what follows a backslash. Before any other character it stands for itself: `C:\data`.
    fn escape(&mut self, value: &mut String) {
        let escaped = self
            .rest
            .next_if(|c| matches!(c, '\\' | '\'' | '"' | '$' | ' ' | 'n'));
        value.push(match escaped {
            Some('n') => '\n',
            Some(other) => other,
            None => '\\',
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(line: &str) -> Result<String, LineError> {
        let variables = read(line.as_bytes())?;
        let [(_, value)] = &variables[..] else {
            panic!("{line:?} is one variable: {variables:?}")
        };
        Ok(value.clone())
    }

    #[test]
    fn each_form_of_a_line_is_read() {
        for (line, expected) in [
            ("A=b", "b"),
            ("  export A = b", "b"),
            ("export=b", "b"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A=#nothing", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=b=c==", "b=c=="),
            ("A=b  \t", "b"),
            ("A='b # c'", "b # c"),
            ("A=\"b # c\" # d", "b # c"),
            ("A='it'\"'\"'s'", "it's"),
            ("A=b\\ c", "b c"),
            ("A=\"a\\\"b\\\\c\\$d\\n\"", "a\"b\\c$d\n"),
            ("A='a\\nb\\'", "a\\nb\\"),
            ("A='b\nc'", "b\nc"),
            ("a.b_1=c", "c"),
        ] {
            for line in [
                line.to_owned(),
                format!("\u{feff}{line}\r\n"),
                format!("\n# x\r\n{line}\n\n"),
            ] {
                assert_eq!(value(&line).as_deref(), Ok(expected), "{line:?}");
            }
        }
        let two = read(b"A=1\r\n\r\nB=2").unwrap();
        assert_eq!(
            two,
            [("A".into(), "1".into()), ("B".into(), "2".into())],
            "in their order"
        );
        assert_eq!(read(b""), Ok(vec![]));
    }

    #[test]
    fn no_variable_is_put_in_and_a_lone_backslash_is_one() {
        for text in [
            "s3cret$tail",
            "$HOME",
            "${HOME}",
            "a$",
            "$$",
            "a\\b",
            "C:\\data",
            "a\\",
        ] {
            assert_eq!(value(&format!("A={text}")).as_deref(), Ok(text));
            assert_eq!(value(&format!("A='{text}'")).as_deref(), Ok(text));
        }
        assert_eq!(value("A=\"$HOME\\b\"").as_deref(), Ok("$HOME\\b"));
    }

    #[test]
    fn an_unreadable_line_is_reported_by_number_and_name() {
        for (text, message) in [
            (
                "A=1\nB=10.0.0.0/8, ::1\n",
                "line 2 (B): a value with spaces needs quotes around it",
            ),
            (
                "\r\nB='x\n\nC=1\n",
                "line 2 (B): a quote is opened and not closed",
            ),
            ("B=\"x\\\"", "line 1 (B): a quote is opened and not closed"),
            ("A='1\n2'\nsk-x", "line 3: not a NAME=value"),
            ("A-B=1", "line 1: not a NAME=value"),
            ("export", "line 1: not a NAME=value"),
            ("=1", "line 1: not a NAME=value"),
            ("1A=1", "line 1: not a NAME=value"),
            ("A\nB=1", "line 1: not a NAME=value"),
        ] {
            assert_eq!(value(text).unwrap_err().to_string(), message, "{text:?}");
        }
        let error = read(b"A=1\nB=\xff").unwrap_err();
        assert_eq!(error.to_string(), "line 2: not UTF-8");
    }

    proptest! {
        #[test]
        fn any_bytes_are_variables_or_an_error_of_one_of_its_lines(
            text in "([A-B]{0,2}[= ]{0,2}|export |['\"\\\\$#\r\n\u{feff}]|\\PC){0,40}",
            tail in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let bytes = [text.as_bytes(), &tail].concat();
            let lines = bytes.split(|byte| *byte == b'\n').count();
            match read(&bytes) {
                Ok(variables) => prop_assert!(variables.len() <= lines),
                Err(error) => prop_assert!((1..=lines).contains(&error.line)),
            }
        }

        #[test]
        fn what_is_written_is_read_back(value in "(\\PC|[\\\\'\"$# \n\t]){0,12}") {
            let text = format!("A={}\nB=1\n", quoted(&value));
            let variables = read(text.as_bytes()).unwrap();
            prop_assert_eq!(variables, [("A".to_owned(), value), ("B".to_owned(), "1".to_owned())]);
        }

        #[test]
        fn quoted_values_are_read_back(values in prop::collection::vec("(\\PC|[\\\\'\"$# \n\t]){0,12}", 0..4)) {
            let double = |value: &str| {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                format!("A=\"{escaped}\" # x\n")
            };
            let single = |value: &str| format!("export A='{}'\r\n", value.replace('\'', "'\\''"));
            let texts = [
                values.iter().map(|value| double(value)).collect::<String>(),
                values.iter().map(|value| single(value)).collect(),
            ];
            for text in texts {
                let read: Vec<String> = read(text.as_bytes()).unwrap().into_iter().map(|(_, value)| value).collect();
                prop_assert_eq!(&read, &values);
            }
        }
    }
}
