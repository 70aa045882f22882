//! How messages are read from the wire: from one slice of memory.
//!
//! It must not know any message. Invariant: what it reads and writes is what `tonic_prost::ProstCodec` reads and
//! writes; only the time differs. Prost takes the varints of a message one at a time, and asks the buffer to advance
//! after each; tonic's buffer counts references and limits, a slice just moves its start.

use std::marker::PhantomData;

use prost::{Message, bytes::Buf};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstEncoder};

/// The codec of every method.
#[derive(Debug)]
pub struct SliceCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SliceCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SliceCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = SliceDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        SliceDecoder(PhantomData)
    }
}

/// Reads messages of one kind.
#[derive(Debug)]
pub struct SliceDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for SliceDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The message lies in one piece: this takes a reference, it does not copy.
        let message = from.copy_to_bytes(from.remaining());
        U::decode(&message[..])
            .map(Some)
            .map_err(|error| Status::internal(format!("the message cannot be read: {error}")))
    }
}
