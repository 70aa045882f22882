//! A file that grows, read as it does, and whatever takes its place.
//!
//! It must not know what a line means. Invariants: a line is given when its end is there, and not before; what is handed out
//! ends where the file was renamed, removed or truncated, and the one that took its place is another file; nobody waits for
//! more than `POLL` once they are told to stop.
//!
//! After `copytruncate`, reading continues in the copy, which has the lines written since the last poll. Truncation shows in
//! the bytes before the read position, so it is found even if the file has grown past that position again.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufRead, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use super::rotated::renamed;
use crate::intake::LINE_BYTES_MAX;

/// How often a file that has nothing new is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes before the read position that identify a file.
const TRAIL_BYTES: usize = 1 << 10;

/// What whoever reads a file and the file tell each other.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Nobody wants more.
    pub(super) stop: AtomicBool,
    /// All whole lines that are there were handed out.
    pub(super) drained: AtomicBool,
    /// What was read before must all be there: there is nothing to wait for.
    pub(super) past: AtomicBool,
    /// It was truncated within a line.
    pub(super) cut: AtomicBool,
}

/// The files that have had a path.
pub(super) struct Follow {
    path: PathBuf,
    /// Where those are now that had the path before.
    renamed: VecDeque<PathBuf>,
    watch: Arc<Watch>,
}

impl Follow {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), renamed: VecDeque::new(), watch: Arc::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins with files that had the path once, the oldest first.
    pub(super) fn begin_with(&mut self, renamed: Vec<PathBuf>) {
        self.renamed = renamed.into();
    }

    pub(super) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// The next one that had the path, at last the one that is there now; waits for one. `None` once nobody wants more.
    pub(super) fn next(&mut self) -> Option<io::Result<Tail>> {
        loop {
            if self.watch.stop.load(Relaxed) {
                return None;
            }
            if let Some(renamed) = self.renamed.pop_front() {
                return Some(File::open(renamed).and_then(|file| Tail::new(file, &self.path, self.watch())));
            }
            match File::open(&self.path) {
                Ok(file) => return Some(Tail::new(file, &self.path, self.watch())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => thread::sleep(POLL),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// One file, up to where another one took its place.
pub(super) struct Tail {
    file: File,
    path: PathBuf,
    place: (u64, u64),
    watch: Arc<Watch>,
    /// Bytes that were read: handed out up to `given`, whole lines up to `whole`.
    buffer: Vec<u8>,
    given: usize,
    whole: usize,
    /// Bytes read so far, and the last of them.
    read: u64,
    trail: Vec<u8>,
    /// Another file has its place: what is written to it yet is read once more.
    replaced: bool,
    ended: bool,
}

impl Tail {
    fn new(file: File, path: &Path, watch: Arc<Watch>) -> io::Result<Self> {
        let place = place(&file.metadata()?);
        watch.drained.store(true, Relaxed);
        Ok(Self {
            file,
            path: path.to_owned(),
            place,
            watch,
            buffer: Vec::new(),
            given: 0,
            whole: 0,
            read: 0,
            trail: Vec::new(),
            replaced: false,
            ended: false,
        })
    }

    /// Reads what is there, or waits for a while.
    fn more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.given);
        (self.given, self.whole) = (0, 0);
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK_BYTES, 0);
        let read = self.file.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.nothing_new(),
            Ok(_) if !ends_so(&self.file, self.read, &self.trail) => {
                self.buffer.truncate(before);
                self.truncated()
            }
            Ok(read) => {
                self.read += read as u64;
                let kept = read.min(TRAIL_BYTES);
                self.trail.extend_from_slice(&self.buffer[before + read - kept..]);
                self.trail.drain(..self.trail.len().saturating_sub(TRAIL_BYTES));
                let line_feed = self.buffer[before..].iter().rposition(|byte| *byte == b'\n');
                self.whole = match line_feed {
                    Some(at) => before + at + 1,
                    // Too long to be a line: whoever reads lines says so, and need not wait for its end.
                    None if self.buffer.len() > LINE_BYTES_MAX + 2 => self.buffer.len(),
                    None => 0,
                };
                self.watch.drained.store(self.whole == 0, Relaxed);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn nothing_new(&mut self) -> io::Result<()> {
        if self.replaced {
            // Its last line has no end, and will not get one.
            (self.whole, self.ended) = (self.buffer.len(), true);
            return Ok(());
        }
        if self.watch.stop.load(Relaxed) || self.watch.past.load(Relaxed) {
            self.ended = true;
            return Ok(());
        }
        match fs::metadata(&self.path) {
            Ok(there) if place(&there) != self.place => self.replaced = true,
            Ok(_) if self.file.metadata()?.len() < self.read => return self.truncated(),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.replaced = self.file.metadata()?.nlink() == 0,
            Err(error) => return Err(error),
        }
        thread::sleep(POLL);
        Ok(())
    }
}

impl Tail {
    /// Continues in the copy that was made before the truncation, or ends if there is none.
    fn truncated(&mut self) -> io::Result<()> {
        // Newest first: an older file may match by chance.
        for path in renamed(&self.path).into_iter().rev() {
            let Ok(mut copy) = File::open(path) else { continue };
            let is_it = self.read > 0 && !self.replaced && ends_so(&copy, self.read, &self.trail);
            if is_it && copy.seek(SeekFrom::Start(self.read)).is_ok() {
                (self.file, self.replaced) = (copy, true);
                return Ok(());
            }
        }
        self.watch.cut.store(!self.buffer.is_empty(), Relaxed);
        self.ended = true;
        Ok(())
    }
}

impl Read for Tail {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Tail {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.given == self.whole && !self.ended {
            self.more()?;
        }
        Ok(&self.buffer[self.given..self.whole])
    }

    fn consume(&mut self, count: usize) {
        self.given += count;
        self.watch.drained.store(self.given == self.whole, Relaxed);
    }
}

/// True if `trail` ends the first `bytes` bytes of the file.
fn ends_so(file: &File, bytes: u64, trail: &[u8]) -> bool {
    let mut there = vec![0; trail.len()];
    file.read_exact_at(&mut there, bytes.saturating_sub(trail.len() as u64)).is_ok() && there == trail
}

/// What a file is, whatever it is called.
fn place(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write, sync::mpsc, time::Instant};

    use super::*;

    /// Follows a file on a thread of its own; lines come out as they are given, and `---` between files.
    fn follow(path: &Path) -> (Arc<Watch>, mpsc::Receiver<String>) {
        let mut follow = Follow::new(path);
        let (watch, (sender, lines)) = (follow.watch(), mpsc::channel());
        thread::spawn(move || {
            while let Some(tail) = follow.next() {
                for line in tail.unwrap().lines() {
                    sender.send(line.unwrap()).unwrap();
                }
                sender.send("---".to_owned()).unwrap();
            }
        });
        (watch, lines)
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn next(lines: &mpsc::Receiver<String>) -> String {
        lines.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    #[test]
    fn lines_are_given_once_whole_over_rotation_and_truncation() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a.csv"), folder.path().join("a.csv.1"));
        let (watch, lines) = follow(&path);
        append(&path, "one\ntw");
        assert_eq!(next(&lines), "one");
        assert!(lines.recv_timeout(POLL * 2).is_err(), "the second line has no end yet");
        append(&path, "o\nthree");
        assert_eq!(next(&lines), "two");

        // Renamed: what is written to the old one after that, and its last line, are of the old one.
        fs::rename(&path, &old).unwrap();
        append(&old, ", and more");
        append(&path, "four\n");
        assert_eq!([next(&lines), next(&lines), next(&lines)], ["three, and more", "---", "four"]);

        // Truncated within a line: that is said, and the line is not made up.
        append(&path, "fi");
        thread::sleep(POLL * 2);
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        assert_eq!(next(&lines), "---");
        assert!(watch.cut.load(Relaxed));
        append(&path, "six\nsev");
        assert_eq!(next(&lines), "six");

        let told = Instant::now();
        watch.stop.store(true, Relaxed);
        assert_eq!(next(&lines), "---");
        assert!(lines.recv().is_err() && told.elapsed() < POLL * 10);
    }

    #[test]
    fn a_file_that_is_copied_and_truncated_goes_on_in_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("a.csv"), folder.path().join("a.csv.1"));
        append(&folder.path().join("a.csv.2"), "another\nfile\n");
        let (watch, lines) = follow(&path);
        append(&path, "one\ntw");
        assert_eq!(next(&lines), "one");
        // What nobody has read when it is truncated is in the copy.
        append(&path, "o\nthree\n");
        fs::copy(&path, &copy).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        append(&path, "four\n");
        assert_eq!([next(&lines), next(&lines), next(&lines), next(&lines)], ["two", "three", "---", "four"]);

        // Truncated without a copy, and longer than it was before anybody looks again.
        fs::write(&path, "five, which is longer than all that was there before it\nsix\n").unwrap();
        assert_eq!(next(&lines), "---");
        assert_eq!([next(&lines), next(&lines)], ["five, which is longer than all that was there before it", "six"]);
        watch.stop.store(true, Relaxed);
    }

    #[test]
    fn what_is_too_long_for_a_line_is_given_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        append(&path, &"x".repeat(LINE_BYTES_MAX * 2));
        let mut follow = Follow::new(&path);
        let mut tail = follow.next().unwrap().unwrap();
        assert!(tail.fill_buf().unwrap().len() > LINE_BYTES_MAX);
    }
}
