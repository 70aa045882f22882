//! HTTP/1.1 by hand: requests of a browser, of a program that says it is one, and of pages of elsewhere.
//!
//! It must not know what is served. Invariant: what is sent is exactly what is asked for, on a connection of its own.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    head: String,
    /// What follows the head.
    pub body: String,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or_default()
    }
}

/// Asks for something like `GET /` with these headers; a name of the host is among them unless there is one.
pub fn ask(url: &str, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let address = url.split("//").nth(1).expect("a URL");
    let mut stream = TcpStream::connect(address).expect("the host listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    write!(stream, "{text}\r\n{body}").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Looks at a page.
pub fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(url, &format!("GET {path}"), headers, "")
}

/// Sends a form from the page itself.
pub fn post(url: &str, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let own = [&[("Origin", url), ("Sec-Fetch-Site", "same-origin")], headers].concat();
    ask(url, &format!("POST {path}"), &own, form)
}
