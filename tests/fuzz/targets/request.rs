//! Bytes as every request of the protocol: fields of any number and kind, or anything at all.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use weir_host::fuzzing::{REQUESTS, request};

#[derive(Debug, Arbitrary)]
enum Message {
    /// Fields in order of the wire.
    Fields(Vec<(u8, Field)>),
    /// No message at all, most likely.
    Bytes(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
enum Field {
    Small(u8),
    Number(u64),
    Double(u64),
    Single(u32),
    Text(String),
    Within(Vec<(u8, u64)>),
    Packed(Vec<u16>),
    Bytes(Vec<u8>),
}

fuzz_target!(|sent: (u8, Message)| {
    let (kind, message) = sent;
    let bytes = match message {
        Message::Bytes(bytes) => bytes,
        Message::Fields(fields) => {
            let mut bytes = Vec::new();
            fields.into_iter().for_each(|(number, field)| write(number, field, &mut bytes));
            bytes
        }
    };
    request(kind % REQUESTS, &bytes);
});

fn write(number: u8, field: Field, out: &mut Vec<u8>) {
    let number = u64::from(number % 16);
    let tag = |kind: u64, out: &mut Vec<u8>| varint(number << 3 | kind, out);
    match field {
        Field::Small(value) => {
            tag(0, out);
            varint(value.into(), out);
        }
        Field::Number(value) => {
            tag(0, out);
            varint(value, out);
        }
        Field::Double(value) => {
            tag(1, out);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Field::Single(value) => {
            tag(5, out);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Field::Text(text) => {
            tag(2, out);
            sized(text.as_bytes(), out);
        }
        Field::Bytes(bytes) => {
            tag(2, out);
            sized(&bytes, out);
        }
        Field::Within(fields) => {
            let mut within = Vec::new();
            for (number, value) in fields {
                varint(u64::from(number % 16) << 3, &mut within);
                varint(value, &mut within);
            }
            tag(2, out);
            sized(&within, out);
        }
        Field::Packed(values) => {
            let mut within = Vec::new();
            values.into_iter().for_each(|value| varint(value.into(), &mut within));
            tag(2, out);
            sized(&within, out);
        }
    }
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
