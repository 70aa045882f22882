//! Labels of devices as a caller may see them.
//!
//! Invariant: a key that no device has which the caller may see is as if it were not there.

use super::{Handle, Refusal};
use crate::{
    admit::{LabelColumn, LabelTable},
    books::{LabelFilter, LabelGroups},
    domain::LabelKey,
    near::no_such_label,
};

impl Handle {
    /// Returns the keys of labels that devices have which the caller may see, each with how many do.
    pub fn label_uses(&self) -> Vec<(LabelKey, u64)> {
        self.shared.labels.read().uses(self.who.operator())
    }

    /// Labels that are grouped by and filtered by, as the inventory has them now.
    pub(super) fn label_groups(&self, keys: &[LabelKey], filters: &[LabelFilter]) -> Result<LabelGroups, Refusal> {
        let mut groups = LabelGroups::default();
        if keys.is_empty() && filters.is_empty() {
            return Ok(groups);
        }
        let table = self.shared.labels.read().clone();
        for (index, key) in keys.iter().enumerate() {
            groups.group_by(self.label_column(&table, key, || format!("label_keys[{index}]"))?);
        }
        for (index, LabelFilter { key, values }) in filters.iter().enumerate() {
            groups.filter(self.label_column(&table, key, || format!("labels[{index}].key"))?, values);
        }
        Ok(groups)
    }

    fn label_column(
        &self,
        table: &LabelTable,
        key: &LabelKey,
        field: impl Fn() -> String,
    ) -> Result<LabelColumn, Refusal> {
        let own = self.who.operator();
        table.column(key, own).ok_or_else(|| {
            let keys = table.keys_of(own).into_iter().map(LabelKey::as_str);
            Refusal::invalid(field(), no_such_label(key.as_str(), keys))
        })
    }
}
