//! What alerts are read and checked by: the host's table of codes and its limits, or what comes with the program.
//!
//! Invariant: where a host cannot be reached, or does not answer, that is said once, with what takes the place of its
//! answer.

use tonic::{Code, Status};
use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session,
        alert::client,
        arguments::{NameFiles, Names},
        failure::is_broken,
        view::clean,
    },
    config::IntakeLimits,
    domain::{Millis, WEIGHT_MAX},
    intake::tables::CodeTable,
};

/// Characters of the reason why a host was not asked.
const REASON_CHARS_MAX: usize = 200;

/// The limits of a host, and the time by which it goes.
#[derive(Debug, Clone)]
pub(super) struct HostLimits {
    pub(super) intake: IntakeLimits,
    pub(super) retention_days_max: u32,
    pub(super) time_ms: Millis,
}

impl From<v1::GetIntakeLimitsResponse> for HostLimits {
    fn from(message: v1::GetIntakeLimitsResponse) -> Self {
        let v1::GetIntakeLimitsResponse { weight_max, future_s_max, retention_days_max, time_ms, .. } = message;
        let intake = IntakeLimits { weight_max, future_s_max, ..IntakeLimits::default() };
        Self { intake, retention_days_max, time_ms }
    }
}

/// What a dry run reads and checks by.
pub(super) struct Terms {
    pub(super) names: Names,
    /// `None` where no host has said them.
    pub(super) limits: Option<HostLimits>,
}

impl Terms {
    /// Returns those of this program, with files over them.
    pub(super) fn local(files: &NameFiles) -> Result<Self, Failure> {
        Ok(Self { names: files.read()?, limits: None })
    }

    /// Returns the host's where it tells them, and else those of this program, which is said. Says where the host would refuse
    /// what is to be sent. Fails where a file cannot be read, the address of the host is wrong, or the host does not know the
    /// token.
    pub(super) async fn of_dry_run(session: &Session, files: &NameFiles) -> Result<Self, Failure> {
        let local = Self::local(files)?;
        let answer = match ask(session, files).await {
            Ok(answer) => answer,
            Err(failure) if failure.exit == Failure::UNAVAILABLE => {
                return Ok(local.said(&format!("the host could not be reached: {}", failure.message)));
            }
            Err(failure) => return Err(failure),
        };
        match answer {
            Ok((terms, can_send)) => {
                if !can_send {
                    eprintln!("note: the send would be refused: the role of this token may not send alerts");
                }
                Ok(terms)
            }
            Err(status) if is_broken(&status) => {
                let failure = session.failed(&status);
                Ok(local.said(&format!("the host could not be reached: {}", failure.message)))
            }
            Err(status) if status.code() == Code::Unauthenticated => Err(session.failed(&status)),
            Err(status) if status.code() == Code::PermissionDenied => {
                let why = clean(status.message(), REASON_CHARS_MAX);
                eprintln!("note: the send would be refused: {why}");
                Ok(local.said("the host does not tell this token its own"))
            }
            Err(status) => Ok(local.said(&format!("the host does not tell its own: {}", status.message()))),
        }
    }

    /// Says that these are this program's, and why.
    fn said(self, why: &str) -> Self {
        let version = CodeTable::builtin_version();
        eprintln!(
            "note: read by the code table of this program (version {version}) and the limits that a host has by default: {}; \
             --local asks no host",
            clean(why, REASON_CHARS_MAX)
        );
        self
    }
}

/// Asks for table and limits, and whether the caller may send; an inner error is the host's.
async fn ask(session: &Session, files: &NameFiles) -> Result<Result<(Terms, bool), Status>, Failure> {
    let names = match files.in_force(session).await? {
        Ok(names) => names,
        Err(status) => return Ok(Err(status)),
    };
    let answer = client(session).await?.get_intake_limits(v1::GetIntakeLimitsRequest {}).await;
    Ok(answer.map(|answer| {
        let answer = answer.into_inner();
        // A host of an older release does not say: the send will tell.
        let can_send = answer.can_send.unwrap_or(true);
        (Terms { names, limits: Some(answer.into()) }, can_send)
    }))
}

/// Returns the table of codes that alerts to be sent are read by: the host's, or, where a host of an older release has none
/// to show or the token may not see it, that of this program, which is said.
pub(super) async fn names_to_send_by(session: &Session, files: &NameFiles) -> Result<Names, Failure> {
    match files.in_force(session).await? {
        Ok(names) => Ok(names),
        Err(status) if matches!(status.code(), tonic::Code::Unimplemented | tonic::Code::PermissionDenied) => {
            eprintln!(
                "note: the host does not show its code table ({}): descriptions and plausible bounds are those of this \
                 program's table, version {}; --code-table corrects it",
                clean(status.message(), REASON_CHARS_MAX),
                CodeTable::builtin_version()
            );
            files.read()
        }
        Err(status) => Err(session.failed(&status)),
    }
}

/// Returns the largest weight that the host takes. One of an older release does not say it: the default counts, and that is
/// said.
pub(super) async fn weight_max(session: &Session) -> Result<u32, Failure> {
    match client(session).await?.get_intake_limits(v1::GetIntakeLimitsRequest {}).await {
        Ok(answer) => Ok(answer.into_inner().weight_max),
        Err(status) if matches!(status.code(), tonic::Code::Unimplemented | tonic::Code::PermissionDenied) => {
            eprintln!(
                "note: the host does not show its limits ({}): counts of throttled alerts are cut at {WEIGHT_MAX}",
                clean(status.message(), REASON_CHARS_MAX)
            );
            Ok(WEIGHT_MAX)
        }
        Err(status) => Err(session.failed(&status)),
    }
}
