//! A real browser without a screen, told by WebDriver what a person would do.
//!
//! It must not know what is on a page. Invariant: neither browser nor driver outlives its handle; everything the browser
//! asked for and complained about is kept.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Once,
};

use fantoccini::{Client, ClientBuilder, wd::WebDriverCompatibleCommand};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tonic::codegen::http::Method;

/// Set to anything: a machine without a browser is an error.
pub const REQUIRED: &str = "BROWSER_TESTS_REQUIRED";

/// What is run.
const DRIVER: &str = "chromedriver";
const BROWSER: &str = "chromium";

/// A browser with one window.
pub struct Browser {
    driver: Child,
    /// What it is told by.
    pub client: Client,
    _profile: tempfile::TempDir,
}

/// Whether there is a browser to test with. Where there is none, stderr says what to install.
pub fn is_installed() -> bool {
    let found = |name: &str| {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).any(|folder| folder.join(name).is_file())
    };
    let missing: Vec<&str> = [DRIVER, BROWSER].into_iter().filter(|name| !found(name)).collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!(
        "there is no {} on this machine: install Debian's packages chromium and chromium-driver, or what has them \
         elsewhere",
        missing.join(" and no ")
    );
    assert!(env::var_os(REQUIRED).is_none(), "{message}");
    // Not by a macro: of a test that passes, what those print is kept back.
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _ = writeln!(io::stderr(), "NOT RUN: the tests of the page in a browser. {message}");
    });
    false
}

impl Browser {
    /// Opens one with a profile of its own.
    pub async fn open() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        // What it keeps beside its profile goes there too.
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok())
            .expect("chromedriver says where it listens");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let folder = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--no-first-run",
            "--window-size=1200,900",
            &folder,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written above") };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        Self { driver, client: client.expect("a session"), _profile: profile }
    }

    /// Runs a script in the page and gives what it returns.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until a script returns true.
    pub async fn until(&self, script: &str) {
        for _ in 0..200 {
            if self.script(script).await == Value::Bool(true) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let page = self.client.source().await.unwrap_or_default();
        panic!("never true: {script}\n{page}");
    }

    /// The window as a phone, or as it was.
    pub async fn phone(&self, is_phone: bool) {
        let (width, height) = if is_phone { (360, 740) } else { (1200, 900) };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// As for somebody who likes it dark, or light.
    pub async fn dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// With scripts, or as for somebody who has turned them off.
    pub async fn scripts(&self, are_run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !are_run })).await;
    }

    /// Keeps a picture of the whole page.
    pub async fn picture(&self, folder: &Path, name: &str, width: u32) {
        let height = self.script("return document.documentElement.scrollHeight").await.as_u64().unwrap_or(900);
        let size =
            json!({ "width": width, "height": height.min(6_000), "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
        let png = self.client.screenshot().await.expect("a picture");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(folder.join(format!("{name}.png")), png).expect("it is written");
        self.phone(width < 500).await;
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.issue("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// What the browser complained about since it was last asked.
    pub async fn complaints(&self) -> Vec<String> {
        let entries = self.issue("se/log", json!({ "type": "browser" })).await;
        let entries = entries.as_array().into_iter().flatten();
        let serious = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        serious.map(|entry| entry["message"].to_string()).collect()
    }

    /// Addresses that the browser asked for since it was last asked.
    pub async fn requests(&self) -> Vec<String> {
        let entries = self.issue("se/log", json!({ "type": "performance" })).await;
        let sent = |entry: &Value| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent").then_some(())?;
            message["params"]["request"]["url"].as_str().map(str::to_owned)
        };
        entries.as_array().into_iter().flatten().filter_map(sent).collect()
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Further { path, body }).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Closes it.
    pub async fn close(mut self) {
        // The driver ends its browser when it is asked to; killed, it would leave it behind.
        self.client.clone().close().await.expect("it closes");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What is said beside the standard.
#[derive(Debug)]
struct Further {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Further {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Where pictures are kept.
pub fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/page-screenshots")
}
