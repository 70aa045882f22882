//! Stdin as it comes: what was read of it is not kept waiting for what is not there yet.
//!
//! It must not know what a line means. Invariant: it says that all was handed out only where no whole line is left to hand
//! out, and nothing more has come.

use std::{
    io::{self, BufRead, Read},
    os::fd::AsFd,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::follow::Watch;

/// How long whoever writes may take between two lines that are sent together.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
const NO_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A pipe.
pub(super) struct Piped<F> {
    /// The pipe again, to ask whether anything is there.
    pipe: F,
    reader: Box<dyn BufRead + Send>,
    watch: Arc<Watch>,
    /// Bytes that were read and are not handed out yet; of them, those up to the end of a line.
    left: usize,
    whole: usize,
    /// Whether what was read last had lines at all.
    has_lines: bool,
}

impl<F: AsFd> Piped<F> {
    /// `reader` reads the pipe, and knows nothing else.
    pub(super) fn new(pipe: F, reader: Box<dyn BufRead + Send>, watch: Arc<Watch>) -> Self {
        Self { pipe, reader, watch, left: 0, whole: 0, has_lines: false }
    }

    /// Whether there is anything to read, the end included, or will be soon.
    fn has_more(&self, pause: &Timespec) -> bool {
        let mut asked = [PollFd::new(&self.pipe, PollFlags::IN)];
        // What cannot be asked is read.
        poll(&mut asked, Some(pause)).map_or(true, |ready| ready > 0)
    }
}

impl<F: AsFd> Read for Piped<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl<F: AsFd> BufRead for Piped<F> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let there = self.reader.fill_buf()?;
        if self.left == 0 {
            let line_feed = there.iter().rposition(|byte| *byte == b'\n');
            (self.left, self.whole, self.has_lines) =
                (there.len(), line_feed.map_or(0, |at| at + 1), line_feed.is_some());
        }
        Ok(there)
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        (self.left, self.whole) = (self.left - count, self.whole.saturating_sub(count));
        let all = match (self.left, self.whole) {
            (0, _) => !self.has_more(&PAUSE),
            (_, 0) if self.has_lines => !self.has_more(&NO_PAUSE),
            _ => false,
        };
        self.watch.drained.store(all, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, PipeReader, PipeWriter, Write, pipe};

    use super::*;

    fn piped() -> (PipeWriter, Piped<PipeReader>, Arc<Watch>) {
        let (reader, writer) = pipe().unwrap();
        let (again, watch) = (reader.try_clone().unwrap(), Arc::<Watch>::default());
        (writer, Piped::new(again, Box::new(BufReader::new(reader)), Arc::clone(&watch)), watch)
    }

    #[test]
    fn it_says_so_when_nothing_more_is_there() {
        let (mut writer, mut piped, watch) = piped();
        let mut next = |drained: bool| {
            let mut line = String::new();
            piped.read_line(&mut line).unwrap();
            assert_eq!(watch.drained.load(Relaxed), drained, "after {line:?}");
            line
        };
        writer.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(next(false), "one\n");
        assert_eq!(next(true), "two\n");
        writer.write_all(b"ee\n").unwrap();
        assert_eq!(next(true), "three\n");
        writer.write_all(b"four").unwrap();
        drop(writer);
        assert_eq!(next(false), "four");
        assert_eq!(next(false), "");
    }

    #[test]
    fn what_has_no_lines_is_handed_out_before_anybody_is_told() {
        let (mut writer, mut piped, watch) = piped();
        writer.write_all(b"<a/><b/>").unwrap();
        for drained in [false, true] {
            let mut document = [0; 4];
            piped.read_exact(&mut document).unwrap();
            assert_eq!(watch.drained.load(Relaxed), drained);
        }
    }
}
