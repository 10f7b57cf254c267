//! What the database takes on the disk, from measured bytes.

use crate::number;

/// Measured on PostgreSQL 15 with 400,000 full rows of 100,000 users, `pg_relation_size` after a VACUUM: the
/// row 431, its primary key 23, `usage_logs_row_id_key` 32, `usage_logs_by_time` 27.
const ROW_BYTES: f64 = 431.0;
const ROW_INDEX_BYTES: f64 = 23.0 + 32.0 + 27.0;
/// The same, of 100,000 sums of an hour: 293 and 86 of the primary key. Sums of a day take as many.
const SUM_BYTES: f64 = 293.0 + 86.0;
const ROWS: f64 = 1e10;
/// Hours of a day in which a user sends anything, and buckets of each: models and endpoints.
const ACTIVE_HOURS: f64 = 4.0;
const BUCKETS: f64 = 2.0;
const DAYS: f64 = 365.0;

pub fn report(users: f64) -> String {
    let terabytes = |bytes: f64| format!("{:.2} TB", bytes / 1e12);
    let rows = ROWS * (ROW_BYTES + ROW_INDEX_BYTES);
    let hourly = users * ACTIVE_HOURS * BUCKETS * DAYS * SUM_BYTES;
    let daily = users * BUCKETS * DAYS * SUM_BYTES;
    let a_month = ROWS / 12.0;
    format!(
        "Disk, 10 billion rows in a year ({} a second on average):\n\
         rows {} and their indexes {}, a month of them {}; with RETENTION=90d {} remain\n\
         sums of hours {} ({} active hours a day, {} buckets each), of days {}\n\
         deleting a month by DELETE: {} transactions of 500 rows; by DROP: one",
        number(ROWS / (DAYS * 86_400.0)),
        terabytes(ROWS * ROW_BYTES),
        terabytes(ROWS * ROW_INDEX_BYTES),
        terabytes(rows / 12.0),
        terabytes(rows * 90.0 / DAYS),
        terabytes(hourly),
        ACTIVE_HOURS,
        BUCKETS,
        terabytes(daily),
        number(a_month / 500.0),
    )
}
