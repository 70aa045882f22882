//! HTTP/2 by hand: clients that do what no client of good will does.
//!
//! It must not know what the host makes of it. Invariant: what is sent is exactly what is asked for, and no more.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// How a connection begins: the preface, and settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Kinds of frames, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection on which nothing is sent unless it is asked for, signs of life included.
pub struct Raw(TcpStream);

impl Raw {
    /// Connects, and says nothing.
    pub fn connect(url: &str) -> Self {
        let address = url.split("//").nth(1).expect("a URL");
        let stream = TcpStream::connect(address).expect("the host listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        Self(stream)
    }

    /// Begins to speak HTTP/2.
    pub fn begin(&mut self) -> io::Result<()> {
        self.send(PREFACE)
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The preface, to be sent in pieces.
    pub fn preface() -> &'static [u8] {
        PREFACE
    }

    /// The frame that opens a call, in a stream with an odd number.
    pub fn open(stream: u32, path: &str, token: &str) -> Vec<u8> {
        let bearer = format!("Bearer {token}");
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "weir"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", &bearer),
        ];
        let mut block = Vec::new();
        for (name, value) in headers {
            // A literal that no table keeps, its texts as they are: both are shorter than 127 bytes.
            block.extend([0, name.len() as u8]);
            block.extend(name.bytes());
            block.push(value.len() as u8);
            block.extend(value.bytes());
        }
        frame(HEADERS, END_HEADERS, stream, &block)
    }

    /// The frame that resets a call.
    pub fn reset(stream: u32) -> Vec<u8> {
        const CANCEL: [u8; 4] = [0, 0, 0, 8];
        frame(RESET, 0, stream, &CANCEL)
    }

    /// A frame with a piece of a call.
    pub fn data(stream: u32, payload: &[u8]) -> Vec<u8> {
        frame(DATA, 0, stream, payload)
    }

    /// The frame that ends what the caller sends.
    pub fn end(stream: u32) -> Vec<u8> {
        frame(DATA, END_STREAM, stream, &[])
    }

    /// Takes the host's settings for its own, and says how many bytes of answers the host may send on each stream; on
    /// all of them together there is room for any number.
    pub fn settle(&mut self, answer_bytes: u32) -> io::Result<()> {
        while self.next_frame()?.0 != SETTINGS {}
        self.send(&[frame(SETTINGS, ACK, 0, &[]), frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())].concat())?;
        // Until the host has widened the window of the connection, it is that of the protocol, 65,535 bytes.
        while self.next_frame()?.0 != WINDOW_UPDATE {}
        self.allow(answer_bytes)
    }

    /// Says how many bytes of answers the host may send on each stream.
    pub fn allow(&mut self, answer_bytes: u32) -> io::Result<()> {
        const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
        self.send(&frame(SETTINGS, 0, 0, &[&INITIAL_WINDOW_SIZE[..], &answer_bytes.to_be_bytes()].concat()))
    }

    /// Returns once the host has taken up every frame that was sent before. The error is the host's reason to end the
    /// connection instead.
    pub fn ping(&mut self) -> io::Result<()> {
        self.send(&frame(PING, 0, 0, &[0; 8]))?;
        while self.next_frame()?.0 != PING {}
        Ok(())
    }

    /// Reads what comes next of an answer: the stream, its bytes, and whether they are the last.
    pub fn answer(&mut self) -> io::Result<(u32, Vec<u8>, bool)> {
        loop {
            let (kind, flags, stream, payload) = self.next_frame()?;
            let last = flags & END_STREAM != 0;
            match kind {
                DATA => return Ok((stream, payload, last)),
                HEADERS if last => return Ok((stream, Vec::new(), last)),
                RESET => return Err(io::Error::other(format!("stream {stream} was reset"))),
                _ => {}
            }
        }
    }

    /// Kind, flags, stream and payload of the next frame. The end of the connection is an error.
    fn next_frame(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
        self.0.read_exact(&mut payload)?;
        if kind == GOAWAY {
            let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
            let why = String::from_utf8_lossy(&payload[8..]).into_owned();
            return Err(io::Error::other(format!("GOAWAY {code}: {why}")));
        }
        Ok((kind, flags, u32::from_be_bytes(stream), payload))
    }

    /// The same connection, to read from while it is written to.
    pub fn split(&self) -> Self {
        Self(self.0.try_clone().expect("a second handle"))
    }

    /// Reads until the host closes, and gives how many bytes it sent before. It panics when that takes too long.
    pub fn until_closed(&mut self) -> usize {
        let (mut bytes, mut sent) = ([0; 4096], 0);
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return sent,
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("the host did not close it"),
                Err(_) => return sent,
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
