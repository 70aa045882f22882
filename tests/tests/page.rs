//! The page in a real browser, as people use it: looked at by day, by night and on a phone, clicked through, typed into,
//! gone through by keyboard, signed in to. Pictures are kept under target/page-screenshots.

use std::{collections::BTreeSet, fs, future::Future, path::Path, time::Duration};

use fantoccini::{Locator, elements::Element, key::Key};
use serde_json::Value;
use weir_tests::{
    browser::{Browser, is_installed, pictures},
    estate::{self, KEEPING},
    host::Host,
};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");

/// Pages by the names of their pictures. The days on which anything happened are long ago.
const PAGES: [(&str, &str); 9] = [
    ("levels", "/?period=week&until=2019-07-04"),
    ("rules", "/rules?until=2019-07-04"),
    ("rule", "/rules/voltage?until=2019-07-04"),
    ("rule-shadow", "/rules/shadow?until=2019-07-04"),
    ("what-ifs", "/what-ifs"),
    ("what-if", "/what-ifs/1?variant=below_dv%3D2590"),
    ("devices", "/devices?period=week&until=2019-07-04"),
    ("device", "/devices/00-0D-6F-00-00-00-00-01?until=2019-07-04"),
    ("reports", "/reports?period=week&ending=2019-07-03&planned=70000&capacity=500000"),
];

/// Runs what is to be seen in a browser, where there is one.
fn in_browser<F: Future<Output = ()>>(see: impl FnOnce(Browser) -> F) {
    if !is_installed() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { see(Browser::open().await).await });
}

fn start(folder: &Path, settings: &[(&str, &str)]) -> Host {
    Host::start_with(BINARY, &folder.join("data"), &[&[KEEPING], settings].concat())
}

async fn open(browser: &Browser, host: &Host, path: &str) {
    browser.client.goto(&format!("{}{path}", host.url)).await.unwrap();
}

/// What is there, or comes within a while: a page may be on its way.
async fn find(browser: &Browser, css: &str) -> Element {
    let found = browser.client.wait().at_most(Duration::from_secs(10)).for_element(Locator::Css(css)).await;
    found.unwrap_or_else(|error| panic!("{css}: {error}"))
}

async fn click(browser: &Browser, css: &str) {
    find(browser, css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
}

async fn fill(browser: &Browser, id: &str, text: &str) {
    find(browser, &format!("#{id}")).await.send_keys(text).await.unwrap_or_else(|error| panic!("{id}: {error}"));
}

/// Waits until something says this, among other things.
async fn says(browser: &Browser, css: &str, wanted: &str) {
    let (css, wanted) = (Value::from(css), Value::from(wanted));
    let script = format!("return [...document.querySelectorAll({css})].some(e => e.textContent.includes({wanted}))");
    browser.until(&script).await;
}

/// Nothing was complained about, and nobody else was asked for anything.
async fn is_quiet(browser: &Browser, host: &Host, at: &str) {
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{at}: {complaints:?}");
    let elsewhere: Vec<String> = browser.requests().await;
    // What a new window shows before anything is asked for is the browser's own.
    let elsewhere: Vec<_> = elsewhere
        .iter()
        .filter(|url| !url.starts_with(&host.url) && !url.starts_with("data:") && !url.starts_with("chrome"))
        .collect();
    assert!(elsewhere.is_empty(), "{at}: {elsewhere:?}");
}

/// Nothing sticks out to the side.
async fn fits(browser: &Browser, at: &str) {
    let wide = "const wide = document.documentElement.clientWidth; return [...document.querySelectorAll('body *')]\
                .filter(e => !e.closest('.scroll') && !e.closest('pre') && !e.classList.contains('skip') && e.getBoundingClientRect().right > wide + 1)\
                .map(e => e.outerHTML.slice(0, 100)).concat(document.documentElement.scrollWidth > wide ? ['scrolls'] : [])";
    let out = browser.script(wide).await;
    assert_eq!(out, Value::Array(Vec::new()), "{at}");
}

/// Every field has a name, every picture says what it is, no identifier is there twice, headings are in order.
async fn is_sound(browser: &Browser, at: &str) {
    let faults = "const faults = [];\
        for (const e of document.querySelectorAll('input:not([type=hidden]), select')) if (!e.labels.length) faults.push('no label: ' + e.outerHTML);\
        for (const e of document.querySelectorAll('svg')) for (const id of e.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(id)) faults.push('not said: ' + id);\
        const ids = [...document.querySelectorAll('[id]')].map(e => e.id); ids.filter((id, i) => ids.indexOf(id) !== i).forEach(id => faults.push('twice: ' + id));\
        if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');\
        let last = 1; for (const h of document.querySelectorAll('h1, h2, h3')) { const n = +h.tagName[1]; if (n > last + 1) faults.push('h' + n + ' after h' + last); last = n; }\
        for (const e of document.querySelectorAll('table')) if (!e.caption || !e.tHead) faults.push('a table without caption or head');\
        for (const e of document.querySelectorAll('a, button')) if (!(e.textContent.trim() || e.getAttribute('aria-label'))) faults.push('no name: ' + e.outerHTML);\
        return faults";
    assert_eq!(browser.script(faults).await, Value::Array(Vec::new()), "{at}");
}

#[test]
fn every_page_is_sound_by_day_by_night_and_on_a_phone() {
    in_browser(|browser| async move {
        let folder = tempfile::tempdir().unwrap();
        let host = start(folder.path(), &[("WEIR_WHATIF__CPU_PERCENT_MAX", "100")]);
        estate::happened(&host, folder.path(), None);
        host.json([
            "whatif",
            "run",
            "--rule",
            "voltage",
            "--sweep",
            "below_dv=2530..2600:10",
            "--name",
            "Summer of 2019",
            "--json",
        ]);
        for (name, path) in PAGES {
            for (dress, is_dark, width) in [("light", false, 1200), ("dark", true, 1200), ("phone", false, 360)] {
                browser.phone(width < 500).await;
                browser.dark(is_dark).await;
                open(&browser, &host, path).await;
                let at = format!("{name} {dress}");
                is_sound(&browser, &at).await;
                fits(&browser, &at).await;
                browser.picture(&pictures(), &format!("{name}-{dress}"), width).await;
                is_quiet(&browser, &host, &at).await;
            }
            let paper = browser.script("return getComputedStyle(document.body).backgroundColor").await;
            browser.dark(true).await;
            let dark = browser.script("return getComputedStyle(document.body).backgroundColor").await;
            assert_ne!(paper, dark, "{name} is dark where one likes it dark");
        }
        browser.close().await;
        assert_eq!(host.stop(), Some(0));
    });
}

#[test]
fn a_question_is_asked_followed_and_looked_into_by_clicks() {
    in_browser(|browser| async move {
        let folder = tempfile::tempdir().unwrap();
        // So slow that it is seen to go on.
        let host = start(folder.path(), &[("WEIR_WHATIF__CPU_PERCENT_MAX", "1")]);
        estate::happened(&host, folder.path(), None);
        open(&browser, &host, "/").await;
        // From an empty day to the day on which anything happened, and on to the rule that did it.
        click(&browser, ".empty a").await;
        says(&browser, ".choices a[aria-current=true]", "Day").await;
        click(&browser, "a[href='/rules/voltage']").await;
        says(&browser, "h1", "Rule voltage").await;
        says(&browser, "main", "<script>x</script>").await;
        click(&browser, "main a[href='/what-ifs?rule=voltage']").await;
        assert_eq!(browser.script("return document.getElementById('rule').value").await, "voltage");
        // What cannot be is said, and what was typed stays.
        fill(&browser, "sweep", "below_dv=2600..2530").await;
        fill(&browser, "name", "Lower <b>or</b> higher").await;
        click(&browser, "main form button").await;
        says(&browser, ".refused", "Values to try: expected NAME=LOW..HIGH:STEP").await;
        assert_eq!(browser.script("return document.getElementById('name').value").await, "Lower <b>or</b> higher");
        browser.script("document.getElementById('sweep').value = ''").await;
        fill(&browser, "sweep", "below_dv=2530..2600:10").await;
        click(&browser, "main form button").await;
        browser.complaints().await;
        says(&browser, "h1", "Lower <b>or</b> higher").await;
        // It is over by itself: nobody loads the page again.
        browser.until("return !document.getElementById('live') && !!document.querySelector('svg .curve')").await;
        says(&browser, "svg.wide", "live now: 2580").await;
        assert_eq!(browser.script("return document.querySelectorAll('svg.wide .point').length").await, 8);
        click(&browser, "svg.wide a[href*='2590']").await;
        says(&browser, "#detail", "With below_dv=2590").await;
        says(&browser, ".answer", "alerts would be newly suppressed").await;
        assert!(
            browser
                .client
                .current_url()
                .await
                .unwrap()
                .as_str()
                .ends_with("/what-ifs/1?variant=below_dv%3D2590#detail")
        );
        click(&browser, "td a[href^='/devices/']").await;
        says(&browser, "h1", "Device 00-0D-6F").await;
        is_quiet(&browser, &host, "clicks").await;
        click(&browser, "header a[href='/devices']").await;
        fill(&browser, "find", &estate::mpan(7)).await;
        browser.client.find(Locator::Id("find")).await.unwrap().send_keys(&Key::Enter.to_string()).await.unwrap();
        browser.until("return document.querySelector('h1').textContent === 'Device 00-0D-6F-00-00-00-00-07'").await;
        browser.close().await;
        assert_eq!(host.stop(), Some(0));
    });
}

#[test]
fn levels_change_by_themselves_rest_when_told_to_and_are_whole_without_a_script() {
    in_browser(|browser| async move {
        let folder = tempfile::tempdir().unwrap();
        let host = start(folder.path(), &[]);
        let send = |counter: u32| {
            let file = folder.path().join("alerts.csv");
            fs::write(&file, format!("device,counter,code\n00-0D-6F-00-00-00-00-01,{counter},8F40\n")).unwrap();
            host.json(["alert", "send", file.to_str().unwrap(), "--json"]);
        };
        let received = "return document.querySelector('.tiles dd').textContent";
        send(1);
        open(&browser, &host, "/").await;
        assert_eq!(browser.script(received).await, "1");
        browser.script("window.same = true; document.querySelector('details').open = true; document.querySelector('#live a').focus()").await;
        send(2);
        browser.until("return document.querySelector('.tiles dd').textContent === '2'").await;
        let kept = "return window.same && document.querySelector('details').open && document.activeElement.closest('#live') !== null";
        assert_eq!(
            browser.script(kept).await,
            true,
            "the page is the same, what was open is, and who was at a link still is"
        );
        click(&browser, "#live-state button").await;
        send(3);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(browser.script(received).await, "2", "it rests");
        click(&browser, "#live-state button").await;
        browser.until("return document.querySelector('.tiles dd').textContent === '3'").await;
        is_quiet(&browser, &host, "live").await;
        browser.scripts(false).await;
        open(&browser, &host, "/").await;
        browser.scripts(true).await;
        says(&browser, "#live-state a", "Load it again").await;
        assert_eq!(browser.script(received).await, "3");
        browser.close().await;
        assert_eq!(host.stop(), Some(0));
    });
}

#[test]
fn whatever_can_be_clicked_can_be_reached_by_keyboard_and_shows_where_one_is() {
    in_browser(|browser| async move {
        let folder = tempfile::tempdir().unwrap();
        let host = start(folder.path(), &[("WEIR_WHATIF__CPU_PERCENT_MAX", "100")]);
        estate::happened(&host, folder.path(), None);
        host.json(["whatif", "run", "--rule", "voltage", "--sweep", "below_dv=2570..2590:10", "--json"]);
        for path in ["/rules?until=2019-07-04", "/what-ifs/1", "/what-ifs?rule=voltage"] {
            open(&browser, &host, path).await;
            let wanted = "window.wanted = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]\
                          .filter(e => e.getClientRects().length); return window.wanted.length";
            let wanted = browser.script(wanted).await.as_u64().unwrap();
            let (mut reached, mut hidden) = (BTreeSet::new(), Vec::new());
            for _ in 0..wanted + 20 {
                browser.client.active_element().await.unwrap().send_keys(&Key::Tab.to_string()).await.unwrap();
                let at = browser
                    .script("const e = document.activeElement; return [window.wanted.indexOf(e), getComputedStyle(e).outlineStyle, e.outerHTML.slice(0, 80)]")
                    .await;
                if at[1] == "none" && at[0] != -1 {
                    hidden.push(at[2].clone());
                }
                reached.extend(at[0].as_i64().filter(|at| *at >= 0));
            }
            assert_eq!(reached.len() as u64, wanted, "{path}");
            assert!(hidden.is_empty(), "{path}: {hidden:?}");
        }
        // The first step leads past what is on every page.
        open(&browser, &host, "/rules").await;
        browser.client.active_element().await.unwrap().send_keys(&Key::Tab.to_string()).await.unwrap();
        assert_eq!(browser.script("return document.activeElement.textContent").await, "Skip to the content");
        browser.close().await;
        assert_eq!(host.stop(), Some(0));
    });
}

#[test]
fn whoever_signs_in_sees_who_they_are_and_what_is_theirs() {
    in_browser(|browser| async move {
        let folder = tempfile::tempdir().unwrap();
        let host = start(folder.path(), &[("WEIR_AUTHENTICATE", "true")]);
        let admin = fs::read_to_string(folder.path().join("data/first-admin-token")).unwrap().trim().to_owned();
        estate::happened(&host, folder.path(), Some(&admin));
        let token = |name: &str, role: &[&str]| {
            let made = host.json([&["token", "create", name, "--json", "--token", &admin, "--role"], role].concat());
            made[0]["secret"].as_str().unwrap().to_owned()
        };
        let sign_in = async |token: &str| {
            fill(&browser, "token", token).await;
            click(&browser, "main form button").await;
        };
        open(&browser, &host, "/rules?until=2019-07-04").await;
        says(&browser, "h1", "Sign in").await;
        is_sound(&browser, "sign-in").await;
        browser.picture(&pictures(), "sign-in-light", 1200).await;
        is_quiet(&browser, &host, "sign-in").await;
        sign_in(&format!("weir_{}", "0".repeat(64))).await;
        says(&browser, ".refused", "token").await;
        browser.complaints().await;
        sign_in(&admin).await;
        says(&browser, "h1", "Rules").await;
        says(&browser, ".who", "first-admin, admin").await;
        // A link on somebody else's page leads to where one is signed in.
        let elsewhere = format!("data:text/html,<a href='{}/rules/voltage'>look</a>", host.url);
        browser.client.goto(&elsewhere).await.unwrap();
        click(&browser, "a").await;
        says(&browser, "h1", "Rule voltage").await;
        let cookies = browser.client.get_all_cookies().await.unwrap();
        assert!(cookies.iter().any(|cookie| cookie.name() == "weir" && cookie.http_only() == Some(true)));
        assert_eq!(browser.script("return document.cookie").await, "", "no script sees it");

        for (name, role, who, devices) in [
            ("lond", &["operator", "--operator", "12"][..], "lond, operator 12 LOND", 40),
            ("east", &["operator", "--operator", "10"], "east, operator 10", 0),
            ("grid", &["reader"], "grid, reader", 40),
        ] {
            click(&browser, ".who button").await;
            says(&browser, "h1", "Sign in").await;
            sign_in(&token(name, role)).await;
            says(&browser, ".who", who).await;
            open(&browser, &host, "/devices?period=week&until=2019-07-04").await;
            let shown = browser.script("return document.querySelectorAll('tbody tr').length").await;
            assert!(shown.as_u64().unwrap().min(40) == devices, "{name}: {shown}");
            is_quiet(&browser, &host, name).await;
        }
        click(&browser, ".who button").await;
        sign_in(&token("head-end", &["ingest"])).await;
        says(&browser, ".refused", "\"head-end\" in the role ingest may not call").await;
        browser.picture(&pictures(), "refused-light", 1200).await;
        browser.close().await;
        assert_eq!(host.stop(), Some(0));
    });
}
