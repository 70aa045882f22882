//! The rule `match`: holds back alerts by what they are, whatever they report.
//!
//! Lists of codes, generations, models and operators may be given, at least one of them. An alert is held back if
//! every list that is given has an entry that fits it; a list that is left out fits every alert.
//! `{"codes": ["8014"], "generations": ["smets1"]}` holds back the power-factor alerts that SMETS1 meters raise in
//! error, and leaves those of SMETS2 meters alone. An alert whose generation, model or operator is not known fits no
//! list that asks for one, save `"unknown"` among the generations.
//!
//! It must not know what happened before. Invariant: the verdict follows from the one alert alone.

use serde::Deserialize;
use weir::{Alert, CodeSet, Columns, Description, Generation, ModelId, Rule, StateKey, Verdict};

/// The rule with its lists ready to be asked. `None` for a list that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    codes: Option<CodeSet>,
    generations: Option<Vec<Generation>>,
    /// In order.
    models: Option<Vec<ModelId>>,
    /// By distributor id; the unknown operator's 0 is never set.
    operators: Option<[bool; 256]>,
}

weir::reasons! {
    /// Why an alert is held back.
    pub enum Reason {
        Matched = "matched",
    }
}

/// As `parameters.schema.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    codes: Option<CodeSet>,
    generations: Option<Vec<Generation>>,
    models: Option<Vec<String>>,
    operators: Option<Vec<u8>>,
}

impl Rule for Match {
    type State = ();
    type Reason = Reason;
    const DESCRIPTION: Description = Description {
        name: "match",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Holds back alerts by code, generation, model and operator",
        parameters_schema: include_str!("../parameters.schema.json"),
        state_key: StateKey::Device,
        state_version: 0,
        reads: Columns { operator: true, model: true, ..Columns::NONE },
    };

    fn new(parameters: &str) -> Result<Self, String> {
        let Parameters { codes, generations, models, operators } = weir::parameters(parameters)?;
        refuse_empty("codes", codes.as_ref().map(CodeSet::is_empty))?;
        refuse_empty("generations", generations.as_ref().map(Vec::is_empty))?;
        refuse_empty("models", models.as_ref().map(Vec::is_empty))?;
        refuse_empty("operators", operators.as_ref().map(Vec::is_empty))?;
        if codes.is_none() && generations.is_none() && models.is_none() && operators.is_none() {
            return Err("give at least one of codes, generations, models and operators: \
                        without any, every alert would be held back"
                .to_owned());
        }
        Ok(Self {
            codes,
            generations,
            models: models.map(|names| model_ids(&names)).transpose()?,
            operators: operators.map(|ids| operator_table(&ids)).transpose()?,
        })
    }

    #[inline]
    fn evaluate(&self, alert: &Alert, _state: &mut ()) -> Verdict<Reason> {
        let fits = self.codes.as_ref().is_none_or(|codes| codes.contains(alert.code))
            && self.generations.as_ref().is_none_or(|generations| generations.contains(&alert.generation))
            && self.operators.as_ref().is_none_or(|operators| operators[usize::from(alert.operator.unwrap_or(0))])
            && self.models.as_ref().is_none_or(|models| models.binary_search(&alert.model).is_ok());
        if fits { Verdict::Suppress(Reason::Matched) } else { Verdict::Forward }
    }
}

fn refuse_empty(list: &str, is_empty: Option<bool>) -> Result<(), String> {
    match is_empty {
        Some(true) => Err(format!("{list}: an empty list fits no alert; leave it out to fit them all")),
        _ => Ok(()),
    }
}

fn model_ids(names: &[String]) -> Result<Vec<ModelId>, String> {
    if let Some(i) = names.iter().position(String::is_empty) {
        return Err(format!("models[{i}]: expected the name of a model, found an empty text"));
    }
    let mut ids: Vec<_> = names.iter().map(|name| ModelId::of(name)).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn operator_table(ids: &[u8]) -> Result<[bool; 256], String> {
    let mut table = [false; 256];
    for (i, id) in ids.iter().enumerate() {
        if !(10..=99).contains(id) {
            return Err(format!("operators[{i}]: expected a distributor id from 10 to 99, found {id}"));
        }
        table[usize::from(*id)] = true;
    }
    Ok(table)
}

weir::export!(Match);

#[cfg(test)]
mod tests;
