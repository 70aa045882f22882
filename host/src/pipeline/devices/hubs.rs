//! Hubs that stay with an operator whose meter a load moved to another one. Nothing moves them by itself.

use super::{
    CHANGES_LISTED_MAX, DevicesPut,
    carried::View,
    points::{ByDevice, Loaded},
};
use crate::domain::{Eui64, OperatorId, OperatorSet};

/// A device that went to another operator without its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftHub {
    /// The device.
    pub device: Eui64,
    /// Its operator now.
    pub operator: OperatorId,
    /// Its hub.
    pub hub: Eui64,
    /// The operator of the hub: that of the device before.
    pub hub_operator: OperatorId,
}

impl DevicesPut {
    /// Notes hubs that rows leave behind, as far as the loader may know of their operators.
    pub(super) fn note_hubs(&mut self, rows: &[Loaded], of_message: &ByDevice<'_>, view: View<'_>, told: OperatorSet) {
        for row in rows {
            let (Some((before, _)), (device, placement)) = (row.before, row.after) else { continue };
            let has_moved = before.listed
                && before.operator != device.operator
                && before.operator != OperatorId::UNKNOWN
                && told.contains(before.operator);
            if !has_moved || placement.hub == Eui64::NONE {
                continue;
            }
            let of_message = of_message.get(&placement.hub).map(|row| row.after);
            let stays = of_message.or_else(|| view.placed(placement.hub));
            if stays.is_some_and(|(hub, _)| hub.operator == before.operator) {
                self.left_hub_count += 1;
                if self.left_hubs.len() < CHANGES_LISTED_MAX {
                    let (operator, hub_operator) = (device.operator, before.operator);
                    self.left_hubs.push(LeftHub { device: device.eui, operator, hub: placement.hub, hub_operator });
                }
            }
        }
    }
}
