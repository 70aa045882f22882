//! Producers: which page of them is asked for, and what is kept of each.
//!
//! It must not know how producers are kept. Invariant: a page that is not the last has a token of its last producer.

use weir_proto::v1;

use super::shown;
use crate::{
    domain::ProducerKey,
    pipeline::{ProducerView, Refusal},
};

/// Producers of one page at most: each takes some 300 bytes.
const PAGE_MAX: usize = 1_000;

/// What parts identity and id in a token; neither can have it.
const SEPARATOR: char = '/';

/// Producers of a page.
pub fn page_size(asked: u32) -> usize {
    match asked as usize {
        0 => PAGE_MAX,
        asked => asked.min(PAGE_MAX),
    }
}

/// The producer that a page goes on after; `None` for the first page.
pub fn after(token: &str) -> Result<Option<ProducerKey>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let Some((holder, id)) = token.split_once(SEPARATOR) else {
        let why = format!("{} is none; give next_page_token as it was", shown(token));
        return Err(Refusal::invalid("page_token", why));
    };
    Ok(Some(ProducerKey { holder: holder.to_owned(), id: id.to_owned() }))
}

/// A page of at most so many.
pub fn page(views: Vec<ProducerView>, count: usize) -> v1::ListProducersResponse {
    let last = views.last().filter(|_| views.len() == count).map(|view| &view.key);
    let next_page_token = last.map_or_else(String::new, |key| format!("{}{SEPARATOR}{}", key.holder, key.id));
    v1::ListProducersResponse { producers: views.into_iter().map(producer).collect(), next_page_token }
}

fn producer(view: ProducerView) -> v1::Producer {
    let ProducerView { key, last, is_ephemeral, taken_ms, is_sending, idle_left_ms, texts_bytes } = view;
    v1::Producer {
        identity: key.holder,
        producer_id: key.id,
        last_sequence: last,
        ephemeral: is_ephemeral,
        last_taken_at_ms: taken_ms,
        is_sending,
        idle_left_ms,
        texts_bytes,
    }
}
