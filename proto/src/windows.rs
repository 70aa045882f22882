//! Windows of HTTP/2 flow control that push back a peer which sends small messages faster than they are read.
//!
//! HTTP/2 counts the bytes of DATA frames, not what each costs its receiver. So the h2 library counts unread frames of
//! fewer than 256 bytes as 256, and ends the connection with ENHANCE_YOUR_CALM once they come to half the connection's
//! window. A stream's window must close before that: else a client that streams batches of one alert is cut off, where it
//! should wait.
//!
//! Invariant: as many streams as were asked for, each full of unread messages of the smallest size, stay below the bound.

/// What the h2 library counts an unread DATA frame as, however little is in it.
const FRAME_BYTES: u64 = 256;

/// The smallest batch of one alert, a device and a code of 16 bits, with the prefix that gRPC puts before a message.
/// Smaller messages (an empty piece of an upload) are pushed back on three streams in sixteen.
const SMALLEST_MESSAGE_BYTES: u64 = 20;

/// Unread bytes on all streams of a connection together. The bookkeeping for messages of the smallest size is twelve
/// times that, so this bounds what a connection can hold unread: 27 MB, and more only beyond 128 streams.
const UNREAD_BYTES_MAX: u64 = 2 << 20;

/// Below this, one stream would be slow on any link; above, nothing is gained on a link of 1 Gbit/s and 8 ms.
const STREAM_BYTES: (u64, u64) = (16 << 10, 1 << 20);

/// The largest window of HTTP/2.
const WINDOW_BYTES_MAX: u64 = (1 << 31) - 1;

/// What a peer may send ahead of being read, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// On one stream.
    pub stream: u32,
    /// On a connection. More than its streams have together: the bound on small frames is half of it.
    pub connection: u32,
}

impl Windows {
    /// Returns the windows for a connection of at most `streams` streams at once.
    pub fn for_streams(streams: u32) -> Self {
        let streams = u64::from(streams.max(1));
        let stream = (UNREAD_BYTES_MAX / streams).clamp(STREAM_BYTES.0, STREAM_BYTES.1);
        let counted = streams * stream * (FRAME_BYTES - SMALLEST_MESSAGE_BYTES) / SMALLEST_MESSAGE_BYTES;
        let connection = (2 * counted).min(WINDOW_BYTES_MAX);
        // Both are at most 2^31 - 1.
        Self { stream: stream as u32, connection: connection as u32 }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1::{Alert, StreamAlertsRequest};

    #[test]
    fn no_batch_of_one_alert_is_smaller_than_the_smallest() {
        const PREFIX_BYTES: usize = 5;
        let alert = Alert { device_id: 1, code: 0x8000, ..Alert::default() };
        let batch = StreamAlertsRequest { alerts: vec![alert], ..StreamAlertsRequest::default() };
        assert_eq!((PREFIX_BYTES + batch.encoded_len()) as u64, SMALLEST_MESSAGE_BYTES);
    }

    #[test]
    fn windows_hold_for_any_number_of_streams_that_can_be_set() {
        for streams in [1, 2, 4, 16, 100, 128, 500] {
            let Windows { stream, connection } = Windows::for_streams(streams);
            let (stream, connection) = (u64::from(stream), u64::from(connection));
            let frames = u64::from(streams) * stream / SMALLEST_MESSAGE_BYTES;
            assert!(frames * (FRAME_BYTES - SMALLEST_MESSAGE_BYTES) <= connection / 2, "{streams} streams");
            assert!(connection >= u64::from(streams) * stream, "{streams} streams: their windows alone push back");
        }
        assert_eq!(Windows::for_streams(16).stream, 128 << 10);
        assert_eq!(Windows::for_streams(1).stream, 1 << 20);
        assert_eq!(Windows::for_streams(1_024), Windows { stream: 16 << 10, connection: 395_942_296 });
    }
}
