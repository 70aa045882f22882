//! Subscriptions and cursors: what is asked, and what comes of it.
//!
//! It must not know how a stream goes on. Invariant: a message fits the size that clients are told of.

use prost::Message;
use weir_proto::v1;

use super::{
    filter,
    listing::{self, FRAME_BYTES, PAGE_BYTES},
};
use crate::{
    domain::Position,
    pipeline::{CursorView, Piece, Refusal, SubscribeRequest},
};

/// What to follow, and how many alerts go in one message at most.
pub fn request(
    request: v1::SubscribeForwardedRequest,
    alerts_max: usize,
) -> Result<(SubscribeRequest, usize), Refusal> {
    let v1::SubscribeForwardedRequest {
        cursor,
        start_position,
        message_alerts_max,
        device_id,
        codes,
        operators,
        generations,
        models,
    } = request;
    let query = listing::filters(device_id, codes, operators, (generations, models))?;
    let alerts_max = match message_alerts_max as usize {
        0 => alerts_max,
        size => size.min(alerts_max),
    };
    Ok((SubscribeRequest { cursor: filter(cursor), start: start_position.map(Position), query }, alerts_max))
}

/// A piece as messages of at most so many alerts and bytes; one alert always fits. There is one where there are none.
pub fn messages(piece: Piece, alerts_max: usize, bytes_max: usize) -> Vec<v1::SubscribeForwardedResponse> {
    let Piece { alerts, position, end } = piece;
    let message = |alerts, position: Position| v1::SubscribeForwardedResponse {
        alerts,
        position: position.0,
        behind: end.0.saturating_sub(position.0),
    };
    let mut messages = Vec::new();
    let (mut filled, mut bytes) = (Vec::new(), PAGE_BYTES);
    for logged in alerts {
        let at = logged.position;
        let alert = listing::logged_alert(logged);
        let length = FRAME_BYTES + alert.encoded_len();
        if !filled.is_empty() && (filled.len() == alerts_max || bytes + length > bytes_max) {
            // What lies between the last alert of this message and the first of the next was looked at.
            messages.push(message(std::mem::take(&mut filled), at));
            bytes = PAGE_BYTES;
        }
        bytes += length;
        filled.push(alert);
    }
    messages.push(message(filled, position));
    messages
}

/// A cursor.
pub fn cursor(view: CursorView) -> v1::Cursor {
    let CursorView { cursor, behind, lost, is_open } = view;
    v1::Cursor {
        name: cursor.key.name,
        position: cursor.position.0,
        behind,
        lost,
        is_open,
        made_at_ms: cursor.made_ms,
        advanced_at_ms: cursor.advanced_ms,
    }
}
