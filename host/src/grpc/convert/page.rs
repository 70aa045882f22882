//! Pages of lists: as many rows as are asked for and fit a message, and where the next page goes on.
//!
//! It must not know what is listed. Invariant: a page holds at least one row of a list that has any, so that whoever
//! follows its tokens comes to the end; a token names the last row of its page, so it stays good whatever is added.

use prost::Message;

use super::{
    listing::{FRAME_BYTES, PAGE_BYTES},
    shown,
};
use crate::{
    domain::{Digest, Millis},
    pipeline::Refusal,
};

/// How much goes in a page.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Rows; `usize::MAX` for as many as fit.
    pub rows_max: usize,
    /// Bytes.
    pub bytes_max: usize,
}

impl Room {
    /// As many rows as are asked for, 0 for as many as fit a message.
    pub fn new(page_size: u32, bytes_max: usize) -> Self {
        let rows_max = if page_size == 0 { usize::MAX } else { page_size as usize };
        Self { rows_max, bytes_max }
    }
}

/// Fills a page with rows; the token of the next page is made of the last row, and empty where there are no more.
pub fn fill<R, M: Message>(
    rows: impl IntoIterator<Item = R>,
    room: Room,
    convert: impl Fn(R) -> M,
    token: impl Fn(&M) -> String,
) -> (Vec<M>, String) {
    let mut page: Vec<M> = Vec::new();
    let mut bytes = PAGE_BYTES;
    for row in rows {
        let is_full = page.len() >= room.rows_max;
        let row = (!is_full).then(|| convert(row));
        bytes += row.as_ref().map_or(0, |row| FRAME_BYTES + row.encoded_len());
        if let (Some(last), true) = (page.last(), is_full || bytes > room.bytes_max) {
            let token = token(last);
            return (page, token);
        }
        page.extend(row);
    }
    (page, String::new())
}

/// The row that a token names, by a number and a text with a dot between; `None` for the first page.
fn row<N: std::str::FromStr>(token: &str) -> Result<Option<(N, String)>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let parts = token.split_once('.').and_then(|(number, text)| Some((number.parse().ok()?, text.to_owned())));
    let why = || format!("{} did not come from this host; take next_page_token as it was", shown(token));
    parts.map(Some).ok_or_else(|| Refusal::invalid("page_token", why()))
}

/// The rule after which a page begins: its place and name.
pub fn rule(token: &str) -> Result<Option<(u32, String)>, Refusal> {
    row(token)
}

/// The plugin after which a page begins: when it was uploaded, and its digest.
pub fn plugin(token: &str) -> Result<Option<(Millis, Digest)>, Refusal> {
    let Some((uploaded_ms, digest)) = row(token)? else { return Ok(None) };
    let wrong = || Refusal::invalid("page_token", format!("{} names no plugin", shown(token)));
    Digest::from_hex(&digest).map(|digest| Some((uploaded_ms, digest))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use weir_proto::v1;

    use super::*;

    fn pages(rows: &[usize], room: Room) -> Vec<Vec<usize>> {
        let convert = |(at, bytes): (usize, &usize)| v1::Token {
            name: "x".repeat(*bytes),
            made_at_ms: at as i64,
            ..v1::Token::default()
        };
        let mut pages = Vec::new();
        let mut from = 0;
        loop {
            let rest = rows.iter().enumerate().skip(from);
            let (page, token) = fill(rest, room, convert, |last| last.made_at_ms.to_string());
            let bytes: usize = page.iter().map(|row| FRAME_BYTES + row.encoded_len()).sum();
            assert!(page.len() == 1 || bytes <= room.bytes_max, "{bytes}");
            pages.push(page.iter().map(|row| row.name.len()).collect());
            if token.is_empty() {
                return pages;
            }
            from = token.parse::<usize>().unwrap() + 1;
        }
    }

    #[test]
    fn pages_hold_every_row_once_and_are_cut_by_rows_and_bytes() {
        let rows = [100, 100, 5_000, 1, 100, 100, 100];
        assert_eq!(pages(&rows, Room::new(3, 1 << 20)), [vec![100, 100, 5_000], vec![1, 100, 100], vec![100]]);
        assert_eq!(pages(&rows, Room::new(0, 1 << 20)), [rows.to_vec()]);
        let cut = pages(&rows, Room::new(0, 400));
        assert_eq!(cut, [vec![100, 100], vec![5_000], vec![1, 100, 100], vec![100]], "one row always fits");
        assert_eq!(pages(&[], Room::new(0, 400)), [Vec::<usize>::new()]);
    }

    #[test]
    fn a_token_of_elsewhere_is_refused() {
        assert_eq!(rule("10.12-volts").unwrap(), Some((10, "12-volts".to_owned())));
        assert_eq!(rule("").unwrap(), None);
        for token in ["volts", "x.volts", "."] {
            assert!(rule(token).unwrap_err().to_string().starts_with("page_token: "), "{token}");
        }
        assert!(plugin("5.abc").is_err());
        assert_eq!(plugin(&format!("-5.{}", "0a".repeat(32))).unwrap(), Some((-5, Digest([10; 32]))));
    }
}
