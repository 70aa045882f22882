//! `weir reading model`: what an operator says of models, for lack of a public source.

use std::str::FromStr;

use clap::ValueEnum;
use weir_proto::v1;

use crate::{
    cli::{
        Failure, Session, arguments,
        view::reading::{self as view, Model},
    },
    domain::{self, AlertCode, Limit, MappedCode, OperatorId, Phase, ReadingModel},
    grpc::wire_model,
    intake::readings,
};

#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Say of a model how it rounds, and which of its alerts are raised at the end of a period.
    ///
    /// No public source says how a model makes whole volts of an average, nor what has a meter raise 8F40: the trigger of
    /// 8F40 is not public. What is set here is the operator's word, and reports say so. It replaces the model's earlier
    /// setting; without --rounding and --code it removes it.
    #[command(after_help = HELP)]
    Set(Set),
    /// List what is said of models, and by whom.
    #[command(after_help = "Examples:\n  weir reading model list\n  weir reading model list --json")]
    List,
}

const HELP: &str = "Examples:
  weir reading model set 'Maker A 100' --rounding nearest
  weir reading model set 'Maker A 100' --rounding down --code 8F40=over
  weir reading model set 'Maker B 3P' --code 8F40=over:1 --code 8F41=over:2
  weir reading model set 'Maker A 100'

The codes of average voltage (8002 to 8009 and 8085 to 808C) need no --code: their triggers are public.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// Device model combination, as the inventory has it.
    model: String,
    /// How it makes whole volts of an average: to the nearest, or down, which cuts off what is behind the point.
    #[arg(long, value_enum, default_value_t = Rounding::Unknown)]
    rounding: Rounding,
    /// A code that it raises at the end of a period, with the threshold that it stands for (over or under), and the phase whose
    /// readings it is of (1 to 3; without it, the whole meter).
    #[arg(long, value_name = "CODE=LIMIT[:PHASE]")]
    code: Vec<Mapped>,
}

/// How whole volts are made of an average.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rounding {
    /// To the nearest.
    Nearest,
    /// Down.
    Down,
    /// Not known.
    Unknown,
}

/// A code with the threshold that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapped {
    code: AlertCode,
    limit: Limit,
    phase: Phase,
}

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected CODE=over or CODE=under, perhaps with a phase like 8F40=over:1, found {text:?}");
        let (code, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (limit, phase) = rest.split_once(':').map_or((rest, None), |(limit, phase)| (limit, Some(phase)));
        let limit =
            Limit::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(limit.trim())).ok_or_else(wrong)?;
        let phase = phase.map(|phase| readings::phase(phase.trim())).transpose()?.unwrap_or_default();
        Ok(Self { code: arguments::code(code.trim())?, limit, phase })
    }
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Set(set) => self::set(session, set).await,
        Command::List => list(session).await,
    }
}

async fn set(session: &Session, set: Set) -> Result<(), Failure> {
    let Set { model, rounding, code } = set;
    if let Some((at, twice)) =
        code.iter().enumerate().find(|(at, mapped)| code[..*at].iter().any(|one| one.code == mapped.code))
    {
        let message = format!("--code: {} is given twice, as {} and again", twice.code, code[at].limit.name());
        return Err(Failure::usage(message).with_hint("a code stands for one threshold of one phase"));
    }
    let rounding = match rounding {
        Rounding::Nearest => domain::Rounding::Nearest,
        Rounding::Down => domain::Rounding::Down,
        Rounding::Unknown => domain::Rounding::Unknown,
    };
    let is_nothing = code.is_empty() && rounding == domain::Rounding::Unknown;
    let codes = code.into_iter().map(|Mapped { code, limit, phase }| MappedCode { code, limit, phase }).collect();
    let model = wire_model((OperatorId::UNKNOWN, ReadingModel { model, rounding, codes }));
    let request = v1::SetReadingModelRequest { model: Some(model) };
    let answer = super::client(session).await?.set_reading_model(request).await;
    let v1::SetReadingModelResponse { model } = answer.map_err(|status| session.failed(&status))?.into_inner();
    let model = model.map(Model::from).ok_or_else(|| Failure::internal("model: missing in the server's answer"))?;
    if is_nothing && !session.json {
        eprintln!("nothing is said of {} any more", model.model);
        return Ok(());
    }
    session.show(&model, |model| view::models(std::slice::from_ref(model)))
}

async fn list(session: &Session) -> Result<(), Failure> {
    let answer = super::client(session).await?.list_reading_models(v1::ListReadingModelsRequest {}).await;
    let v1::ListReadingModelsResponse { models } = answer.map_err(|status| session.failed(&status))?.into_inner();
    let models: Vec<Model> = models.into_iter().map(Model::from).collect();
    session.list(&models, view::models)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_given_with_its_threshold_and_perhaps_a_phase() {
        let of = |text: &str| text.parse::<Mapped>();
        let mapped = |limit, phase| Ok(Mapped { code: AlertCode(0x8F40), limit, phase });
        assert_eq!(of("8F40=over"), mapped(Limit::Over, Phase::Whole));
        assert_eq!(of("8f40=Under:L2"), mapped(Limit::Under, Phase::L2));
        assert_eq!(of("8F40=over:1"), mapped(Limit::Over, Phase::L1));
        for (wrong, words) in [
            ("8F40", "expected CODE=over or CODE=under"),
            ("8F40=high", "expected CODE=over or CODE=under"),
            ("8F4O=over", "did you mean \"8F40\"?"),
            ("8F40=over:4", "expected whole, 1 to 3 or L1 to L3"),
        ] {
            assert!(of(wrong).unwrap_err().contains(words), "{wrong}: {:?}", of(wrong));
        }
    }
}
