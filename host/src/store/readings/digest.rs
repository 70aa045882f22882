//! Digests of what is stored: equal contents have equal digests, in whatever order and parts they came.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::ReadingReader;
use crate::{
    domain::{Digest, MappedCode, Millis, Reading, ReadingModel, Threshold},
    store::error::Error,
};

impl ReadingReader {
    /// SHA-256 of the readings whose periods end in a range, of the thresholds, and of what is said of models; as far as the
    /// caller may know of them. Where readings came from makes no difference, where thresholds did does.
    pub fn digests(&self, ends: Range<Millis>) -> Result<[Digest; 3], Error> {
        let mut readings = Sha256::new();
        self.each_device(ends, &mut |device, phase, of_device| {
            readings.update(device.0.to_le_bytes());
            readings.update([phase as u8]);
            readings.update((of_device.len() as u64).to_le_bytes());
            for Reading { device: _, phase: _, end_ms, length_s, volts } in of_device {
                let mut row = [0; 17];
                row[..8].copy_from_slice(&end_ms.to_le_bytes());
                row[8..12].copy_from_slice(&length_s.to_le_bytes());
                row[12..14].copy_from_slice(&volts.low_dv().to_le_bytes());
                row[14..16].copy_from_slice(&volts.high_dv().to_le_bytes());
                row[16] = u8::from(volts.whole_volts().is_some());
                readings.update(row);
            }
            true
        })?;
        let mut thresholds = Sha256::new();
        self.each_threshold(&mut |Threshold { device, limit, value_dv, from_ms, source }| {
            thresholds.update(device.0.to_le_bytes());
            thresholds.update([limit as u8]);
            thresholds.update(value_dv.to_le_bytes());
            thresholds.update(from_ms.to_le_bytes());
            text(&mut thresholds, &source);
            true
        })?;
        let mut models = Sha256::new();
        for (operator, ReadingModel { model, rounding, codes }) in self.models()? {
            models.update([operator.get(), rounding as u8]);
            text(&mut models, &model);
            models.update((codes.len() as u64).to_le_bytes());
            for MappedCode { code, limit, phase } in codes {
                models.update(code.0.to_le_bytes());
                models.update([limit as u8, phase as u8]);
            }
        }
        Ok([readings, thresholds, models].map(|hash| Digest(hash.finalize().into())))
    }
}

/// A text with its length before it, so that none runs into what follows.
fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}
