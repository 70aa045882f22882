//! How a command fails: an exit code, a message, and a way out where there is one.
//!
//! It must not know any command. Invariant: what is shown is bounded and has no control characters.

use std::{error::Error, fmt, io, path::Path};

use tonic::{Code, Status};

use super::view::clean;

/// Characters of a message from elsewhere that are shown.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// The header by which a server says when to try again.
const AGAIN: &str = "grpc-retry-pushback-ms";

/// Why a command did not do all that it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Exit code of the process.
    pub exit: u8,
    /// What is wrong, field first. Empty: there is nothing to say.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// The caller's mistake: bad usage or bad input.
    pub const USAGE: u8 = 64;
    /// The server cannot be reached, or does not serve now.
    pub const UNAVAILABLE: u8 = 69;
    /// Our fault.
    pub const INTERNAL: u8 = 70;

    /// The caller's mistake.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Self::new(Self::USAGE, message.as_ref())
    }

    /// The server does not answer.
    pub fn unavailable(message: impl AsRef<str>) -> Self {
        Self::new(Self::UNAVAILABLE, message.as_ref())
    }

    /// Our fault.
    pub fn internal(message: impl AsRef<str>) -> Self {
        Self::new(Self::INTERNAL, message.as_ref())
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, with the option that it is about before it.
    #[must_use]
    pub(super) fn under(self, option: &str) -> Self {
        Self { message: format!("{option}: {}", self.message), ..self }
    }

    /// The same with the option that a field of the protocol was given by, where that field is at fault.
    #[must_use]
    pub(super) fn of_option(self, field: &str, option: &str) -> Self {
        match self.message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")) {
            Some(why) => Self { message: format!("{option}: {why}"), ..self },
            None => self,
        }
    }

    /// A folder that cannot be made, with what stands in its way.
    pub(super) fn of_folder(path: &Path, error: &io::Error) -> Self {
        let taken = path.ancestors().find(|part| part.is_file());
        let why = match taken {
            Some(file) if file == path => "is a file, not a folder".to_owned(),
            Some(file) => format!("{} is a file, not a folder", file.display()),
            None => error.to_string(),
        };
        Self::usage(format!("{}: {why}", path.display()))
    }

    fn new(exit: u8, message: &str) -> Self {
        Self { exit, message: clean(message, MESSAGE_CHARS_MAX), hint: None }
    }

    /// From what a call to the server at `server` came back with.
    pub(super) fn of_call(status: &Status, server: &str) -> Self {
        if is_broken(status) {
            return Self::unreachable(server, status.message());
        }
        let message = status.message();
        match status.code() {
            // The same call may pass then: a rate, or others who are at it.
            Code::ResourceExhausted if status.metadata().contains_key(AGAIN) => Self::unavailable(message),
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::PermissionDenied => Self::usage(message),
            Code::Unauthenticated => Self::usage(message)
                .with_hint("an administrator makes a token with `weir token create`; --token or WEIR_TOKEN says it"),
            Code::Unavailable | Code::DeadlineExceeded => Self::unavailable(message),
            Code::Unimplemented => Self::internal(format!("the server does not know this call: {message}"))
                .with_hint("are client and server of the same version?"),
            code => Self::internal(format!("{code:?}: {message}")),
        }
    }

    /// There is no connection to the server.
    pub(super) fn unreachable(server: &str, reason: &str) -> Self {
        Self::unavailable(format!("server {server}: {reason}"))
            .with_hint(format!("is `weir serve` running at {server}? --server or WEIR_SERVER says where it is"))
    }

    /// Stdout is closed or full. A reader that has seen enough (`| head`) is no failure.
    pub(super) fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: 0, message: String::new(), hint: None };
        }
        Self::internal(format!("stdout: {error}"))
    }
}

impl fmt::Display for Failure {
    /// Whole lines, as they go to stderr.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            return Ok(());
        }
        writeln!(f, "{} {}", console::style("error:").for_stderr().red().bold(), self.message)?;
        let word = console::style("hint:").for_stderr().cyan();
        self.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "{word} {hint}"))
    }
}

/// Whether it was the connection that failed: then the status was made on this side, out of another error.
pub(super) fn is_broken(status: &Status) -> bool {
    let transport = matches!(status.code(), Code::Unknown | Code::Internal | Code::Cancelled | Code::Unavailable);
    transport && status.source().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_where_a_folder_is_to_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rich.csv");
        std::fs::write(&file, "x").unwrap();
        let said = |path: &Path| Failure::of_folder(path, &std::fs::create_dir_all(path).unwrap_err()).message;
        assert_eq!(said(&file), format!("{}: is a file, not a folder", file.display()));
        let under = file.join("a/b");
        assert_eq!(said(&under), format!("{}: {} is a file, not a folder", under.display(), file.display()));
    }

    #[test]
    fn a_field_is_named_by_the_option_that_it_was_given_by() {
        let failure = |message: &str| Failure::usage(message).of_option("position", "--at").message;
        assert_eq!(failure("position: 9 lies after"), "--at: 9 lies after");
        assert_eq!(failure("positions: 9 lies after"), "positions: 9 lies after");
    }

    #[test]
    fn codes_become_exit_codes() {
        for (code, exit) in [
            (Code::InvalidArgument, 64),
            (Code::NotFound, 64),
            (Code::FailedPrecondition, 64),
            (Code::OutOfRange, 64),
            (Code::AlreadyExists, 64),
            (Code::ResourceExhausted, 64),
            (Code::PermissionDenied, 64),
            (Code::Unauthenticated, 64),
            (Code::Unavailable, 69),
            (Code::DeadlineExceeded, 69),
            (Code::Internal, 70),
            (Code::Unknown, 70),
            (Code::Unimplemented, 70),
        ] {
            assert_eq!(Failure::of_call(&Status::new(code, "x"), "http://a").exit, exit, "{code:?}");
        }
        let mut busy = Status::resource_exhausted("x");
        busy.metadata_mut().insert(AGAIN, 1_000.into());
        assert_eq!(Failure::of_call(&busy, "http://a").exit, 69, "it may pass later");
        let cut = Status::from_error(Box::new(io::Error::other("cut")));
        let failure = Failure::of_call(&cut, "http://a");
        assert_eq!((failure.exit, failure.hint.is_some()), (69, true));
    }

    #[test]
    fn a_failure_is_shown_as_lines_without_control_characters() {
        let failure = Failure::usage("rule: \u{1b}[31mno\nsuch").with_hint("see `weir rule list`");
        assert_eq!(failure.to_string(), "error: rule: \u{FFFD}[31mno\u{FFFD}such\nhint: see `weir rule list`\n");
        assert_eq!(Failure::of_output(&io::ErrorKind::BrokenPipe.into()).to_string(), "");
    }
}
