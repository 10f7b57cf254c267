//! The page in a real browser: Debian's chromium, driven through chromedriver. A machine without them
//! skips these tests, and fails with `LLMPROXY_TEST_NO_SKIP=1`, as CI does.
//!
//! `LLMPROXY_TEST_AXE` names the file `axe.min.js` of the npm package axe-core, which looks for what a
//! screen reader or a keyboard cannot use. `LLMPROXY_SCREENSHOTS` names the folder of the pictures.

use std::{
    future::Future,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, MutexGuard},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, wd::WebDriverCompatibleCommand};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::{HOSTILE, HOSTILE_GROUP, HOSTILE_MODEL, TOKEN, fill};
use crate::harness::{
    ASK, ASK_STREAM, Backend, DONE, Home, PATIENCE, Proxy, Request, Turnstile, alone,
    chat_completion, delta,
};

/// Width and height of a desk's screen and a phone's.
const DESK: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (390, 844);

/// A browser with a profile of its own. Dropping it ends it.
struct Browser {
    driver: Child,
    port: u16,
    profile: TempDir,
    /// A browser loads the machine.
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test that failed has not closed its window.
        let profile = self.profile.path().display().to_string();
        let _ = Command::new("pkill").args(["-9", "-f", &profile]).status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Says why a test is not run, or fails where nothing may be skipped.
fn skip(why: &str) {
    assert!(
        std::env::var_os("LLMPROXY_TEST_NO_SKIP").is_none_or(|value| value != "1"),
        "{why}"
    );
    eprintln!("skipped: {why}");
}

impl Browser {
    /// Starts chromedriver. `None` if it, or the browser, is not installed.
    fn start() -> Option<Self> {
        if Command::new("chromium")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            skip("chromium is not installed");
            return None;
        }
        let alone = alone();
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut driver) = driver else {
            skip("chromedriver is not installed");
            return None;
        };
        let output = BufReader::new(driver.stdout.take().unwrap());
        let port = output.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        Some(Self {
            port: port.expect("chromedriver says its port"),
            driver,
            profile: TempDir::new().unwrap(),
            _alone: alone,
        })
    }

    /// Runs a script with a window, and closes it whatever happens.
    fn run<F: Future<Output = ()>>(&self, script: impl FnOnce(Window) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let profile = format!("--user-data-dir={}", self.profile.path().display());
            let options = json!({
                "args": [
                    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync", profile,
                ],
            });
            let mut capabilities = serde_json::Map::new();
            capabilities.insert("goog:chromeOptions".to_owned(), options);
            capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
            let client = ClientBuilder::new(hyper_util_connector())
                .capabilities(capabilities)
                .connect(&format!("http://127.0.0.1:{}", self.port))
                .await
                .expect("the browser starts");
            let window = Window(client.clone());
            window.resize(DESK).await;
            script(window).await;
            client.close().await.unwrap();
        });
    }
}

/// A command of Chrome's own protocol.
#[derive(Debug)]
struct Chrome(&'static str, Value);

impl WebDriverCompatibleCommand for Chrome {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        let body = json!({"cmd": self.0, "params": self.1});
        (http::Method::POST, Some(body.to_string()))
    }
}

/// The window of a browser.
struct Window(Client);

impl Window {
    async fn chrome(&self, command: &'static str, parameters: Value) -> Value {
        self.0.issue_cmd(Chrome(command, parameters)).await.unwrap()
    }

    async fn resize(&self, (width, height): (u32, u32)) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.chrome("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    async fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.chrome("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    async fn open(&self, proxy: &Proxy, path: &str) {
        self.0
            .goto(&format!("http://{}{path}", proxy.address()))
            .await
            .unwrap();
    }

    async fn text(&self) -> String {
        let main = self
            .0
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css("main"))
            .await
            .unwrap();
        main.text().await.unwrap()
    }

    /// Waits until the page has a text.
    async fn sees(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The page may be replaced while it is read.
            let main = self.0.find(Locator::Css("body")).await;
            let seen = match main {
                Ok(main) => main.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if seen.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} in:\n{seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn fill_in(&self, css: &str, text: &str) {
        let field = self.0.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses a button or a link by its text.
    async fn press(&self, text: &str) {
        let path = format!(
            "//*[(self::button or self::a or self::summary) and normalize-space()='{text}']"
        );
        let element = self.0.find(Locator::XPath(&path)).await;
        let element = element.unwrap_or_else(|error| panic!("no {text:?}: {error}"));
        element.click().await.unwrap();
    }

    async fn sign_in(&self, proxy: &Proxy, secret: &str) {
        self.open(proxy, "/").await;
        self.fill_in("#secret", secret).await;
        self.press("Sign in").await;
        self.sees("Sign out").await;
    }

    async fn script(&self, script: &str) -> Value {
        self.0.execute(script, Vec::new()).await.unwrap()
    }

    /// Saves pictures of the page: light and dark, desk and phone.
    async fn pictures(&self, name: &str) {
        let folder = std::env::var_os("LLMPROXY_SCREENSHOTS").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots"),
            PathBuf::from,
        );
        std::fs::create_dir_all(&folder).unwrap();
        for (screen, size) in [("desk", DESK), ("phone", PHONE)] {
            self.resize(size).await;
            for scheme in ["light", "dark"] {
                self.prefer(scheme).await;
                let wide = self
                    .script("return document.documentElement.scrollWidth")
                    .await;
                assert!(
                    wide.as_u64().unwrap() <= u64::from(size.0),
                    "{name} on a {screen}: {wide} wide"
                );
                let height = self
                    .script("return document.documentElement.scrollHeight")
                    .await;
                let clip = json!({"x": 0, "y": 0, "width": size.0, "height": height.as_u64().unwrap().min(4_000), "scale": 1});
                let picture = self
                    .chrome(
                        "Page.captureScreenshot",
                        json!({"captureBeyondViewport": true, "clip": clip}),
                    )
                    .await;
                let picture = picture["data"].as_str().unwrap();
                let picture = data_encoding::BASE64.decode(picture.as_bytes()).unwrap();
                std::fs::write(
                    folder.join(format!("{name}-{screen}-{scheme}.png")),
                    picture,
                )
                .unwrap();
                self.check_with_axe(&format!("{name} on a {screen}, {scheme}"))
                    .await;
            }
        }
        self.prefer("light").await;
        self.resize(DESK).await;
    }

    /// Checks that axe finds nothing serious, if it is there.
    async fn check_with_axe(&self, what: &str) {
        let Some(path) = std::env::var_os("LLMPROXY_TEST_AXE") else {
            skip("LLMPROXY_TEST_AXE does not name the file axe.min.js");
            return;
        };
        let axe = std::fs::read_to_string(path).unwrap();
        self.script(&axe).await;
        let found = self
            .0
            .execute_async(
                "const done = arguments[0];
                 axe.run(document, {resultTypes: ['violations']}).then(
                     found => done(found.violations
                         .filter(one => one.impact === 'serious' || one.impact === 'critical')
                         .map(one => one.id + ': ' + one.help + '\\n' + one.nodes.map(node => node.html).join('\\n'))),
                     error => done([String(error)]))",
                Vec::new(),
            )
            .await
            .unwrap();
        assert_eq!(found, json!([]), "{what}: {found:#}");
    }

    /// Checks that nothing of what others have named has run.
    async fn check_nothing_ran(&self) {
        let strange = self
            .script("return document.querySelectorAll('main script, main img, [onload], [onerror]').length")
            .await;
        assert_eq!(strange, json!(0));
        assert!(
            self.0.get_alert_text().await.is_err(),
            "nothing has opened a dialog"
        );
    }
}

fn hyper_util_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// A backend that answers streams only when it may, so that there are live requests to be seen.
fn slow_backend(turnstile: &Arc<Turnstile>) -> Backend {
    let turnstile = Arc::clone(turnstile);
    Backend::start(move |seen, wire| {
        if !seen.asks_to_stream() {
            return wire.json(&chat_completion(1_200, 300));
        }
        wire.sse_head();
        wire.chunk(delta("Hello"));
        turnstile.pass();
        wire.chunk(DONE);
        wire.end();
    })
}

#[test]
fn an_operator_signs_in_sees_adds_limits_forbids_and_signs_out() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let turnstile = Arc::new(Turnstile::default());
    let backend = slow_backend(&turnstile);
    let home = Home::new(&backend)
        .set("ADMIN_TOKEN", TOKEN)
        .set("TIME_ZONE", "Europe/Berlin");
    fill(&home, 120);
    let proxy = home.serve();
    browser.run(async |window| {
        window.open(&proxy, "/").await;
        window.pictures("sign-in").await;
        window.fill_in("#secret", "a-guessed-token").await;
        window.press("Sign in").await;
        window.sees("neither the admin token nor the key").await;
        window.sign_in(&proxy, TOKEN).await;
        window.sees("No request is running").await;

        window.press("Users").await;
        window.sees("1–50 of 120").await;
        window.press("Add a user").await;
        window.fill_in("#add-name", "zoe").await;
        window.fill_in("#add-amount", "20").await;
        window.press("Add and show the key").await;
        window.sees("The new key of zoe").await;
        window.pictures("users").await;
        let key = window.0.find(Locator::Css("#key")).await.unwrap();
        let key = key.text().await.unwrap();

        // The overview shows a request as it begins, without a reload.
        window.press("Overview").await;
        window.sees("No request is running").await;
        let live = proxy.start(&Request::post("/v1/chat/completions", ASK_STREAM).key(&key));
        let other = proxy.start(&Request::post("/v1/chat/completions", ASK_STREAM).key(&key));
        window.sees("zoe").await;
        for _ in 0..3 {
            let refused = ASK.replace("gpt-4.1-mini", "unknown-model-without-price");
            proxy.chat(&key, &refused);
            proxy.send(&Request::get("/v1/none").key(&key));
        }
        window.sees("model_not_priced").await;
        window.pictures("overview").await;
        window.press("Pause").await;
        window.sees("Paused.").await;
        window.press("Go on").await;
        turnstile.allow(2);
        drop((live, other));
        window.sees("No request is running").await;

        window.open(&proxy, "/page/user?name=alice").await;
        window.fill_in("#set-amount", "7.5").await;
        window.press("Set budget").await;
        window.sees("The budget of alice is 7.5usd/month").await;
        window.pictures("user").await;
        window.press("Forbid alice").await;
        window.press("Forbid").await;
        window.sees("alice is forbidden").await;
        window.press("Allow again").await;
        window.sees("alice is allowed again").await;
        window.open(&proxy, "/page/user?name=nobody").await;
        window.sees("Not found").await;
        window.pictures("error").await;
        window.press("Sign out").await;
        window.sees("Admin token, or your key").await;
    });
}

#[test]
fn a_user_signs_in_with_a_key_and_sees_their_own() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let turnstile = Arc::new(Turnstile::default());
    let backend = slow_backend(&turnstile);
    let home = Home::new(&backend).set("ADMIN_TOKEN", TOKEN);
    fill(&home, 12);
    let added = home.cli(&["key", "add", "alice"]).stdout;
    let key = added.trim().to_owned();
    let proxy = home.serve();
    proxy.chat(&key, ASK);
    browser.run(async |window| {
        window.sign_in(&proxy, &key).await;
        window.sees("What is left").await;
        assert!(!window.text().await.contains("bob"));
        window.pictures("own").await;
    });
}

#[test]
fn an_empty_server_looks_finished() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let backend = Backend::chats(7, 3);
    let proxy = Home::new(&backend).serve();
    browser.run(async |window| {
        window.open(&proxy, "/").await;
        window.pictures("sign-in-local").await;
        window.press("Go on as operator").await;
        window.sees("Nothing was used in the last 30 days").await;
        window.pictures("overview-empty").await;
        window.press("Users").await;
        window.sees("There are no users yet").await;
        window.pictures("users-empty").await;
    });
}

#[test]
fn hostile_names_do_nothing_in_a_browser() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("ADMIN_TOKEN", TOKEN);
    assert_eq!(home.cli(&["group", "add", HOSTILE_GROUP]).code, Some(0));
    let added = home.cli(&["user", "add", HOSTILE, "--group", HOSTILE_GROUP]);
    let key = added.stdout.trim().to_owned();
    let proxy = home.serve();
    let ask = json!({"model": HOSTILE_MODEL, "messages": []}).to_string();
    assert_eq!(proxy.chat(&key, &ask).status, 200);
    proxy.send(&Request::get("/v1/<img/src=x/onerror=alert(4)>").key(&key));
    browser.run(async |window| {
        window.sign_in(&proxy, TOKEN).await;
        window.sees(HOSTILE).await;
        window.check_nothing_ran().await;
        // Also where the script has put the live figures.
        window.sees("As of").await;
        window.press("Users").await;
        window.sees(HOSTILE_GROUP).await;
        window.check_nothing_ran().await;
        window.press(HOSTILE).await;
        window.sees(HOSTILE_MODEL).await;
        window.check_nothing_ran().await;
        window.press("Sign out").await;
        window.sign_in(&proxy, &key).await;
        window.sees(HOSTILE).await;
        window.check_nothing_ran().await;
    });
}

#[test]
fn the_keyboard_is_enough() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let backend = Backend::chats(7, 3);
    let home = Home::new(&backend).set("ADMIN_TOKEN", TOKEN);
    fill(&home, 12);
    let proxy = home.serve();
    browser.run(async |window| {
        window.open(&proxy, "/").await;
        let focused = async || {
            let element = window.0.active_element().await.unwrap();
            let text = element.text().await.unwrap();
            (element, text)
        };
        // The field has the focus at once.
        let (field, _) = focused().await;
        field.send_keys(&format!("{TOKEN}\u{e007}")).await.unwrap();
        window.sees("Sign out").await;
        // Tab comes to everything in the order of reading, the link over the menu first.
        let mut seen = Vec::new();
        let body = window.0.find(Locator::Css("body")).await.unwrap();
        body.send_keys("\u{e004}").await.unwrap();
        for _ in 0..8 {
            let (element, text) = focused().await;
            seen.push(text);
            element.send_keys("\u{e004}").await.unwrap();
        }
        let position = |text: &str| {
            let found = seen.iter().position(|seen| seen == text);
            found.unwrap_or_else(|| panic!("{text:?} is not among {seen:?}"))
        };
        assert!(position("Skip to the content") < position("Users"));
        assert!(position("Users") < position("Sign out"));
        assert!(position("Sign out") < position("Pause"));
    });
}
