//! Lines out of bytes: what `LinesCodec` is for text.
//!
//! `LinesCodec` takes UTF-8 alone, and an id may be any bytes. `AnyDelimiterCodec` takes bytes, but
//! only text goes out by it, and it forgets the line that was too long.

use std::io;

use bytes::BytesMut;
use herd::net::LINE_MAX;
use tokio_util::codec::{Decoder, Encoder};

/// What came in.
pub enum Input {
    /// A line, without its LF.
    Line(BytesMut),
    /// The end of the stream came before the LF.
    Unfinished(BytesMut),
    /// A line longer than a line may be, as far as it has come.
    TooLong(BytesMut),
}

/// Takes lines; gives answers, which bring their LF themselves.
#[derive(Default)]
pub struct LineCodec {
    /// Bytes at the front of the buffer that were looked at and hold no LF.
    searched: usize,
}

impl Decoder for LineCodec {
    type Item = Input;
    type Error = io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Input>> {
        let window = buffer.len().min(LINE_MAX + 1);
        let unseen = &buffer[self.searched..window];
        if let Some(offset) = unseen.iter().position(|&byte| byte == b'\n') {
            let mut line = buffer.split_to(self.searched + offset + 1);
            line.truncate(line.len() - 1);
            self.searched = 0;
            return Ok(Some(Input::Line(line)));
        }
        self.searched = window;
        if window > LINE_MAX {
            self.searched = 0;
            return Ok(Some(Input::TooLong(buffer.split())));
        }
        Ok(None)
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> io::Result<Option<Input>> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => {
                self.searched = 0;
                Ok(Some(Input::Unfinished(buffer.split())))
            }
            input => Ok(input),
        }
    }
}

impl Encoder<Vec<u8>> for LineCodec {
    type Error = io::Error;

    fn encode(&mut self, answer: Vec<u8>, buffer: &mut BytesMut) -> io::Result<()> {
        buffer.extend_from_slice(&answer);
        Ok(())
    }
}
