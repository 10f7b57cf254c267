//! The other database: with `LLMPROXY_TEST_DATABASE=postgres` the whole suite runs on a private
//! PostgreSQL server, each test in a database of its own (`postgres_suite.rs`).

use super::{
    postgres_suite::{PostgresDatabase, programs},
    tools::skip,
};

/// Tests that are about SQLite's files, write rows of their own into one, or have namespaces of their own:
/// these run on a file in any case, as those whose times a look at the tables of a server would change. The
/// beginnings of their names. `.ci/run` reads this list, a name a line, to leave them out on PostgreSQL.
const ABOUT_FILES: &[&str] = &[
    "accounting::placeholders::",
    "admin::costs::the_costs_of_any_window_equal_the_sum_of_its_rows",
    "admin::namespace::",
    "alerts::events::a_database_that_takes_nothing_does_not_keep_its_alert",
    "alerts::events::a_key_that_expires_soon_raises_one_alert_also_after_a_restart",
    "alerts::events::a_ledger_that_fails_and_recovers_raises_an_alert_each",
    "alerts::sending::an_alert_is_posted_once_with_a_text_and_a_signature",
    "care::",
    "cli::database::",
    "connect::addresses::a_black_holed_first_address_costs_a_quarter_of_a_second_once",
    "connect::addresses::only_black_holes_are_a_502_within_the_connect_timeout",
    "database::",
    "faults::disk::",
    "faults::locked_database::",
    "faults::resources::unknown_keys_cost_no_database_work_and_lock_nobody_out",
    "faults::secrets::",
    "faults::wal::",
    "hashed_keys::keys_hashed_while_the_server_runs_are_wiped_and_still_work",
    "import::hostile::a_database_of_llmproxy_is_no_source",
    "import::one_api::users_tokens_and_logs_of_one_api_come_over",
    "import::python::a_dry_run_says_the_same_and_writes_nothing",
    "ledger::",
    "limits::audit::",
    "limits::budgets::rows_of_another_server_on_the_same_file_count_within_a_second",
    "limits::crowds::budgets_agree_with_the_ledger_s_own_sum_to_the_token_and_the_nano_dollar",
    "limits::crowds::what_a_kill_cut_off_counts_in_budgets",
    "limits::endpoints::",
    "limits::trial::",
    "money::lists::windows_are_days_and_months_of_the_time_zone",
    "money::migration::",
    "money::reconcile::",
    "money::repricing::",
    "money::unpriced::a_change_of_price_counts_within_250_ms_by_file_and_over_http",
    "money::unpriced::rows_of_a_database_that_was_away_have_their_prices",
    "objects::billing::an_abandoned_stream_unknown_to_the_backend_is_billed",
    "objects::client_ids::a_client_s_item_id_expires",
    "objects::crowded::own_objects_are_listed_among_thousands_of_others",
    "objects::forgotten::",
    "objects::hidden_references::an_unreadable_or_missing_object_blocks_no_other_bill",
    "objects::lists::a_list_that_the_ledger_refuses_is_logged",
    "openapi::every_documented_parameter_is_known_to_the_server",
    "openapi::every_documented_status_is_answered_with_the_documented_body",
    "openapi::other_methods_are_405_and_other_paths_are_404",
    "page::browser::a_user_signs_in_with_a_key_and_sees_their_own",
    "page::browser::an_operator_signs_in_sees_adds_limits_forbids_and_signs_out",
    "page::browser::the_keyboard_is_enough",
    "page::figures::five_thousand_users_are_found_and_paged_on_small_pages",
    "page::figures::names_models_and_errors_of_any_kind_are_text",
    "page::figures::the_page_says_what_the_admin_api_says",
    "people::remote::every_command_prints_the_same_over_http_as_on_the_file",
    "process::start_and_stop::a_second_signal_does_not_wait_for_a_locked_database",
    "process::start_and_stop::it_listens_within_a_second_and_logs_its_settings",
    "sight::metrics::metrics_are_there_while_the_database_is_not",
    "sight::ready::",
    "sight::systemd::a_database_that_cannot_be_written_is_no_reason_to_be_killed",
];

/// Returns whether the suite runs on PostgreSQL, and this test with it.
pub fn on_postgres() -> bool {
    let thread = std::thread::current();
    // The test's name.
    let name = thread.name().unwrap_or_default();
    std::env::var("LLMPROXY_TEST_DATABASE").is_ok_and(|value| value == "postgres")
        && !ABOUT_FILES.iter().any(|about| name.starts_with(about))
}

/// Returns whether tests of several nodes can run. If they cannot, they are skipped with a message, or
/// fail if tests may not be skipped.
#[track_caller]
pub fn has_postgres() -> bool {
    let found = programs().is_some();
    if !found {
        skip("PostgreSQL is not installed");
    }
    found
}

impl PostgresDatabase {
    /// Adds to a copy what `db copy` leaves out, because it belongs to running servers.
    pub fn copy_running(&self, copy: &rusqlite::Connection) {
        let mut client = self.connect();
        for row in client
            .query("SELECT id, process, alive_at_ms FROM server_runs", &[])
            .unwrap()
        {
            let values: (i64, String, i64) = (row.get(0), row.get(1), row.get(2));
            copy.execute("INSERT INTO server_runs VALUES (?1, ?2, ?3)", values)
                .unwrap();
        }
        let notes = "SELECT run_id, id, user_id, key_id, started_at_ms, endpoint, model, service_tier, status, \
             input_tokens, output_tokens, tokens_per_second, noted_at_ms, request_id FROM running_requests";
        for row in client.query(notes, &[]).unwrap() {
            let number = |place| row.get::<usize, i64>(place);
            let text = |place| row.get::<usize, Option<String>>(place);
            copy.execute(
                "INSERT INTO running_requests (run_id, id, user_id, key_id, started_at_ms, endpoint, model, service_tier, \
                 status, input_tokens, output_tokens, tokens_per_second, noted_at_ms, request_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
                rusqlite::params![
                    number(0), number(1), number(2), number(3), number(4), text(5), text(6), text(7),
                    number(8), number(9), number(10), number(11), number(12), row.get::<usize, Option<Vec<u8>>>(13)
                ],
            )
            .unwrap();
        }
    }
}
