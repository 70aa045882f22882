//! The chain of rules as the fold walks it: judges ready to be called, scopes compiled to tests on numbers.
//!
//! It must not know names, parameters or plugins. Invariant: rules stand in the order they judge.

use std::sync::Arc;

use crate::{
    domain::{
        AlertCode, Cell, Column, ColumnSet, Flags, Generation, Judge, ModelId, OperatorId, Revision, Rows, Scope,
        StateKey,
    },
    evaluate::ChainSettings,
};

/// A set of alert codes, tested with one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSet {
    bits: Box<[u64]>,
}

impl CodeSet {
    /// Whether a code belongs.
    pub fn contains(&self, code: u16) -> bool {
        self.bits[usize::from(code >> 6)] >> (code & 63) & 1 != 0
    }
}

impl FromIterator<AlertCode> for CodeSet {
    fn from_iter<I: IntoIterator<Item = AlertCode>>(codes: I) -> Self {
        let mut bits = vec![0_u64; 1024].into_boxed_slice();
        for code in codes {
            bits[usize::from(code.0 >> 6)] |= 1 << (code.0 & 63);
        }
        Self { bits }
    }
}

/// A scope compiled: each part is `None` where it lets everything through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    codes: Option<CodeSet>,
    operators: Option<u128>,
    generations: Option<u8>,
    models: Option<Vec<ModelId>>,
}

impl Filter {
    /// Compiles a scope.
    pub fn new(scope: &Scope) -> Self {
        Self::of(&scope.codes, &scope.operators, &scope.generations, scope.model_ids())
    }

    /// Compiles lists, of which an empty one lets everything through. However long they are, a test takes no longer.
    pub fn of(
        codes: &[AlertCode],
        operators: &[OperatorId],
        generations: &[Generation],
        mut models: Vec<ModelId>,
    ) -> Self {
        models.sort_unstable();
        Self {
            codes: (!codes.is_empty()).then(|| codes.iter().copied().collect()),
            operators: (!operators.is_empty())
                .then(|| operators.iter().fold(0, |set, operator| set | 1_u128 << (operator.get() & 127))),
            generations: (!generations.is_empty())
                .then(|| generations.iter().fold(0, |set, generation| set | 1_u8 << *generation as u8)),
            models: (!models.is_empty()).then_some(models),
        }
    }

    /// Whether it lets everything through.
    pub fn is_open(&self) -> bool {
        self.codes.is_none() && self.operators.is_none() && self.generations.is_none() && self.models.is_none()
    }

    /// The columns it looks at, beside code and flags.
    pub fn columns(&self) -> ColumnSet {
        let looked_at = [(self.operators.is_some(), Column::Operator), (self.models.is_some(), Column::Model)];
        looked_at.into_iter().filter_map(|(is, column)| is.then_some(column)).collect()
    }

    /// Whether it lets one alert through.
    pub fn admits(&self, rows: &Rows, row: usize) -> bool {
        self.codes.as_ref().is_none_or(|codes| codes.contains(rows.code[row]))
            && self.operators.is_none_or(|set| set >> (rows.operator[row] & 127) & 1 != 0)
            && self.generations.is_none_or(|set| set >> Flags(rows.flags[row]).generation() as u8 & 1 != 0)
            && self.models.as_ref().is_none_or(|models| models.binary_search(&ModelId(rows.model[row])).is_ok())
    }

    /// Whether it lets through what a cell of the books counts.
    pub fn admits_cell(&self, cell: &Cell) -> bool {
        self.codes.as_ref().is_none_or(|codes| cell.code.is_some_and(|code| codes.contains(code)))
            && self.operators.is_none_or(|set| set >> (cell.operator & 127) & 1 != 0)
            && self.generations.is_none_or(|set| set >> (cell.generation & 7) & 1 != 0)
            && self.models.as_ref().is_none_or(|models| models.binary_search(&ModelId(cell.model)).is_ok())
    }
}

/// One rule, ready to be called.
#[derive(Clone)]
pub struct ChainRule {
    /// Its revision.
    pub revision: Revision,
    /// What to call.
    pub judge: Judge,
    /// How many reasons it may name.
    pub reasons: u8,
    /// Which alerts it sees.
    pub filter: Filter,
    /// What it sees of them.
    pub reads: ColumnSet,
    /// Whether what it says is only written down.
    pub shadow: bool,
    /// The operator whose rule it is; the unknown one for the host's own.
    pub owner: OperatorId,
    /// Whose state it goes on with, what an entry belongs to and its words; `None` for a rule without state.
    pub namespace: Option<(Revision, StateKey, u32)>,
}

/// The rules in the order they judge, and the settings they judge under.
#[derive(Clone)]
pub struct Chain {
    /// The rules that are called: active ones and shadows.
    pub rules: Vec<ChainRule>,
    /// What they may hold back, keep and be shown at once.
    pub settings: Arc<ChainSettings>,
}
