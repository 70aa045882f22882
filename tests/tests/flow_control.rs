//! A client that sends small messages faster than they are read waits, on any number of streams; it is not cut off.

use std::collections::HashMap;

use prost::Message;
use weir_proto::{
    Windows,
    v1::{Alert, StreamAlertsRequest, StreamAlertsResponse, UploadPluginRequest},
};
use weir_tests::{attack::Raw, host::Host};

const BINARY: &str = env!("CARGO_BIN_EXE_weir-under-test");
/// Streams of one connection, as a host allows.
const STREAMS: u32 = 16;
/// Larger than all answers of a stream.
const ANSWER_BYTES: u32 = 16 << 20;

/// A message as it is framed.
fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// Begins calls, and sends the same message on each, in a frame of its own, until the window of the stream is used up.
/// Returns the numbers of the streams, and how often it was sent on each.
fn fill(wire: &mut Raw, path: &str, streams: u32, message: &[u8]) -> (Vec<u32>, usize) {
    let window = Windows::for_streams(STREAMS).stream as usize;
    let (streams, count): (Vec<u32>, usize) = ((0..streams).map(|at| 2 * at + 1).collect(), window / message.len());
    for stream in &streams {
        wire.send(&Raw::open(*stream, path, "")).unwrap();
        wire.send(&Raw::data(*stream, message).repeat(count)).unwrap();
    }
    (streams, count)
}

fn connect(host: &Host, answer_bytes: u32) -> Raw {
    let mut wire = Raw::connect(&host.url);
    wire.begin().unwrap();
    wire.settle(answer_bytes).unwrap();
    wire
}

#[test]
fn batches_of_one_alert_wait_on_all_streams_of_a_connection_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &[("WEIR_INTAKE__UNREAD_ANSWERS_MS_MAX", "600000")]);
    // No answer can be sent for now, so after the first batches nothing is read: no host is slower.
    let mut wire = connect(&host, 0);
    let alert = Alert { device_id: 0x00DB_1234_5678_90A0, code: 0x8F40, ..Alert::default() };
    let batch = framed(&StreamAlertsRequest { alerts: vec![alert], ..StreamAlertsRequest::default() });
    let (streams, count) = fill(&mut wire, "/weir.v1.AlertService/StreamAlerts", STREAMS, &batch);
    wire.ping().expect("the connection holds");

    wire.allow(ANSWER_BYTES).unwrap();
    streams.iter().for_each(|stream| wire.send(&Raw::end(*stream)).unwrap());
    let mut answers: HashMap<u32, Vec<u8>> = HashMap::new();
    let mut open = streams.len();
    while open > 0 {
        let (stream, bytes, last) = wire.answer().expect("the connection holds");
        answers.entry(stream).or_default().extend(bytes);
        open -= usize::from(last);
    }
    for stream in streams {
        let mut rest = &answers[&stream][..];
        let mut acknowledged = 0;
        while let Some(([0, length @ ..], more)) = rest.split_first_chunk::<5>() {
            let (message, more) = more.split_at(u32::from_be_bytes(*length) as usize);
            let ack = StreamAlertsResponse::decode(message).unwrap().ack.unwrap();
            assert_eq!(ack.balance.unwrap().forwarded, 1);
            acknowledged += 1;
            rest = more;
        }
        assert_eq!(acknowledged, count, "stream {stream}");
    }
    drop(wire);
    assert_eq!(host.stop(), Some(0));
}

#[test]
fn pieces_of_uploads_that_wait_for_room_wait_with_them() {
    // Room for one upload of the largest size, and none for any when batches have it.
    let settings = [
        ("WEIR_INTAKE__BATCH_ALERTS_MAX", "200"),
        ("WEIR_PLUGINS__UPLOAD_BYTES_MAX", "15000"),
        ("WEIR_ACCESS__IDENTITY_BYTES_IN_FLIGHT_MAX", "45200"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let host = Host::start_with(BINARY, folder.path(), &settings);
    let mut wire = connect(&host, ANSWER_BYTES);
    // The first one has the room and never ends; the pieces of the others are nothing but their frames.
    let piece = framed(&UploadPluginRequest::default());
    fill(&mut wire, "/weir.v1.PluginService/UploadPlugin", 3, &piece);
    wire.ping().expect("the connection holds");
    drop(wire);
    assert_eq!(host.stop(), Some(0));
}
