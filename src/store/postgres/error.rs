//! PostgreSQL's errors: in one line, and what they are about.

use postgres::error::SqlState;

use crate::store::sql::SqlErrorKind;

/// Returns the error in one line: what the server says, or why the connection broke.
pub(in crate::store) fn describe(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        let detail = error.detail().map(|detail| format!(" ({detail})"));
        let code = error.code().code();
        return format!("{}{} [{code}]", error.message(), detail.unwrap_or_default());
    }
    // Its own text says only at which step it happened.
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Returns what an error is about (postgresql.org/docs/current/errcodes-appendix.html).
pub(in crate::store) fn error_kind(error: &postgres::Error) -> SqlErrorKind {
    let Some(code) = error.code() else {
        return SqlErrorKind::Disconnected;
    };
    if *code == SqlState::LOCK_NOT_AVAILABLE
        || *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::T_R_DEADLOCK_DETECTED
    {
        return SqlErrorKind::Busy;
    }
    match &code.code()[..2] {
        "23" => SqlErrorKind::Constraint,
        // Values that a column cannot hold, such as a text with a NUL.
        "22" => SqlErrorKind::Row,
        // The connection; an administrator's shutdown or a fail-over.
        "08" | "57" => SqlErrorKind::Disconnected,
        _ => SqlErrorKind::Other,
    }
}
