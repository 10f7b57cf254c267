//! The password of a database whose URL has none: from `PGPASSWORD`, or from the password file, as libpq
//! finds it (postgresql.org/docs/current/libpq-pgpass.html). So none has to be an argument of a command,
//! which others on the machine can read.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use postgres::{Config, config::Host};

/// Returns the password for a database at one host. `None` if none is set, and the server may not need one.
///
/// # Errors
/// What is wrong with a password file.
pub(super) fn find(
    config: &Config,
    password_file: Option<&Path>,
) -> Result<Option<String>, String> {
    if let Ok(password) = env::var("PGPASSWORD")
        && !password.is_empty()
    {
        return Ok(Some(password));
    }
    let path = password_file
        .map(Path::to_owned)
        .or_else(|| Some(PathBuf::from(env::var_os("PGPASSFILE")?)))
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pgpass")));
    let text = match path {
        Some(path) if path.is_file() => read(&path)?,
        _ => return Ok(None),
    };
    let name = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.as_str(),
        _ => "localhost",
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    Ok(password_in(
        &text,
        [name, &port.to_string(), database, user],
    ))
}

/// Reads a password file, unless others can read it, too.
fn read(path: &Path) -> Result<String, String> {
    let name = path.display();
    let unreadable = |error| format!("the password file {name} cannot be read: {error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = fs::metadata(path).map_err(unreadable)?.mode();
        if mode & 0o077 != 0 {
            return Err(format!(
                "the password file {name} is not used, because others can read it: chmod 600"
            ));
        }
    }
    fs::read_to_string(path).map_err(unreadable)
}

/// Returns the password of the first line whose host, port, database and user fit.
fn password_in(text: &str, wanted: [&str; 4]) -> Option<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut passwords = lines.filter_map(|line| {
        let fields = fields(line);
        let [host, port, database, user, password] = fields.as_slice() else {
            return None;
        };
        let known = [host, port, database, user];
        let fits = known
            .iter()
            .zip(wanted)
            .all(|(known, wanted)| *known == "*" || *known == wanted);
        fits.then(|| password.clone())
    });
    passwords.next()
}

/// Splits a line at its colons. A backslash takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let taken = match character {
            ':' => {
                fields.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(field) = fields.last_mut() {
            field.push(taken);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::password_in;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let text = "# db:5432:llm:bob:no\n\
                    other:*:*:*:other\n\
                    db:6432:*:*:bouncer\n\
                    db:*:llm:al\\:ice:co\\\\l\\:on\n\
                    a line without colons\n\
                    *:*:*:bob:any";
        let find = |host, port, user| password_in(text, [host, port, "llm", user]);
        assert_eq!(find("db", "5432", "al:ice").as_deref(), Some("co\\l:on"));
        assert_eq!(find("db", "6432", "bob").as_deref(), Some("bouncer"));
        assert_eq!(find("db", "5432", "bob").as_deref(), Some("any"));
        assert_eq!(find("elsewhere", "5432", "carol"), None);
    }
}
