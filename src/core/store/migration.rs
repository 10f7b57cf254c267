//! The versions of the schema, which both databases number alike.

/// The version of the schema.
pub const SCHEMA: usize = 13;

/// The choice if the database is of an older version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfOlder {
    Migrate,
    Refuse,
}

/// The choice if the database has no schema yet.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfEmpty {
    Create,
    Refuse,
}
