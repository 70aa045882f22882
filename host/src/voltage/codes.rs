//! Which alert codes a meter raises at the end of a period, of which threshold and of which phase.
//!
//! The codes of average voltage are GBCS's own. No other code is joined unless an operator says so of a model: what
//! triggers 8F40 is not public, and extreme voltages, swells and sags are not compared with averages at all.

use std::collections::HashMap;

use crate::domain::{AlertCode, Limit, ModelId, OperatorId, Phase, ReadingModel, Rounding, Rows};

/// Which way a threshold is crossed, seen from where voltage ought to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// The average is beyond the threshold, and the one before was not.
    Raise,
    /// The average is not beyond the threshold any more.
    Clear,
}

/// What raises an alert of average voltage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trigger {
    /// The threshold.
    pub limit: Limit,
    /// The phase whose average is compared with it.
    pub phase: Phase,
    /// Which way it is crossed.
    pub edge: Edge,
}

/// First code of each family of four: of the meter as a whole, and of phases 1 to 3.
const FAMILIES: [(u16, Limit, Edge); 4] = [
    (0x8002, Limit::Over, Edge::Raise),
    (0x8006, Limit::Under, Edge::Raise),
    (0x8085, Limit::Over, Edge::Clear),
    (0x8089, Limit::Under, Edge::Clear),
];

/// Returns what raises alerts of a code, where the code is one of average voltage.
pub fn trigger(code: AlertCode) -> Option<Trigger> {
    FAMILIES.into_iter().find_map(|(first, limit, edge)| {
        let phase = Phase::from_number(u8::try_from(code.0.checked_sub(first)?).ok()?)?;
        Some(Trigger { limit, phase, edge })
    })
}

/// What operators say of models, found by number.
///
/// What an operator says counts for its own devices, before what the host's administrator says for all.
#[derive(Debug, Clone, Default)]
pub struct Models {
    by: HashMap<(OperatorId, ModelId), ReadingModel>,
}

impl Models {
    /// Takes what is said, and the numbers of models by their names. What is said of a model that no device has is left out.
    pub fn new(said: Vec<(OperatorId, ReadingModel)>, number: impl Fn(&str) -> Option<ModelId>) -> Self {
        let numbered = said.into_iter().filter_map(|(of, model)| Some(((of, number(&model.model)?), model)));
        Self { by: numbered.collect() }
    }

    fn of(&self, operator: OperatorId, model: ModelId) -> Option<&ReadingModel> {
        self.by.get(&(operator, model)).or_else(|| self.by.get(&(OperatorId::UNKNOWN, model)))
    }

    /// Returns how a model makes whole volts.
    pub fn rounding(&self, operator: OperatorId, model: ModelId) -> Rounding {
        self.of(operator, model).map(|said| said.rounding).unwrap_or_default()
    }

    /// Returns what raises alerts of a code on devices of a model.
    pub fn trigger(&self, code: AlertCode, operator: OperatorId, model: ModelId) -> Option<Trigger> {
        trigger(code).or_else(|| {
            let mapped = self.of(operator, model)?.codes.iter().find(|mapped| mapped.code == code)?;
            Some(Trigger { limit: mapped.limit, phase: mapped.phase, edge: Edge::Raise })
        })
    }

    /// Returns what raised the alert of a row.
    pub fn trigger_of(&self, rows: &Rows, row: usize) -> Option<Trigger> {
        self.trigger(AlertCode(rows.code[row]), rows.operator_of(row), ModelId(rows.model[row]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MappedCode;

    #[test]
    fn average_voltage_is_sixteen_codes_and_no_others() {
        let known: Vec<u16> = (0..=u16::MAX).filter(|code| trigger(AlertCode(*code)).is_some()).collect();
        let expected: Vec<u16> = (0x8002..=0x8009).chain(0x8085..=0x808C).collect();
        assert_eq!(known, expected);
        let of = |code| trigger(AlertCode(code)).map(|trigger| (trigger.limit, trigger.phase, trigger.edge));
        assert_eq!(of(0x8002), Some((Limit::Over, Phase::Whole, Edge::Raise)));
        assert_eq!(of(0x8009), Some((Limit::Under, Phase::L3, Edge::Raise)));
        assert_eq!(of(0x8086), Some((Limit::Over, Phase::L1, Edge::Clear)));
        assert_eq!(of(0x808C), Some((Limit::Under, Phase::L3, Edge::Clear)));
        for never in [0x8F40, 0x8020, 0x8024, 0x8028, 0x802C, 0x808D, 0x8091] {
            assert_eq!(of(never), None, "{never:X}");
        }
    }

    #[test]
    fn what_an_operator_says_counts_for_its_own_devices() {
        let codes = vec![MappedCode { code: AlertCode(0x8F40), limit: Limit::Over, phase: Phase::Whole }];
        let said = |rounding, codes| ReadingModel { model: "A".to_owned(), rounding, codes };
        let (own, other) = (OperatorId::new(12).unwrap(), OperatorId::new(13).unwrap());
        let all = vec![(OperatorId::UNKNOWN, said(Rounding::Down, Vec::new())), (own, said(Rounding::Nearest, codes))];
        let models = Models::new(all, |name| (name == "A").then_some(ModelId(3)));
        assert_eq!(models.rounding(own, ModelId(3)), Rounding::Nearest);
        assert_eq!(models.rounding(other, ModelId(3)), Rounding::Down);
        assert_eq!(models.rounding(own, ModelId(4)), Rounding::Unknown);
        let mapped = |operator| models.trigger(AlertCode(0x8F40), operator, ModelId(3));
        assert_eq!(mapped(own).map(|trigger| trigger.edge), Some(Edge::Raise));
        assert_eq!(mapped(other), None);
    }
}
