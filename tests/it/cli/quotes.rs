//! Quotes that belong to a file's syntax and came into a value: `docker --env-file` and systemd's `-e` take them as they
//! stand.

use super::home;

const NAMES: [&str; 4] = [
    "OPENAI_API_KEY",
    "ADMIN_TOKEN",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
];

#[test]
fn a_secret_in_quotes_is_refused_in_a_line_about_quotes() {
    for name in NAMES {
        for value in [
            "\"sk-hunter2-hunter2\"",
            "'sk-hunter2-hunter2'",
            " \"sk-hunter2-hunter2\" ",
            "\"sk-hunter2-hunter2",
            "sk-hunter2-hunter2'",
            "\"sk-hunter2 hunter2\"",
        ] {
            let ran = home().set(name, value).refused();
            ran.assert_one_line_error();
            let line = &ran.stderr;
            assert!(line.contains(name) && line.contains("quotes"), "{line}");
            let is_secret = !name.ends_with("_ID");
            assert!(!is_secret || !line.contains("hunter2"), "{line}");
        }
    }
}

#[test]
fn the_quotes_that_dotenv_takes_off_are_no_error() {
    let (proxy, _) = home()
        .unset("OPENAI_API_KEY")
        .file(
            ".env",
            "OPENAI_API_KEY=\"sk-it's\"\nADMIN_TOKEN='a-long-\"admin-token'\n",
        )
        .serve_alice();
    let request = crate::harness::Request::get("/admin/list_users").key("a-long-\"admin-token");
    assert_eq!(proxy.send(&request).status, 200);
}

#[test]
fn quotes_left_over_by_dotenv_are_refused_too() {
    let ran = home()
        .unset("OPENAI_API_KEY")
        .file(".env", "OPENAI_API_KEY='\"sk-hunter2\"'\n")
        .refused();
    ran.assert_one_line_error();
    assert!(
        ran.stderr.contains("quotes") && !ran.stderr.contains("hunter2"),
        "{ran:?}"
    );
}
