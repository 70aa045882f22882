//! The settings that groups were judged under, ready to be used by a chain.
//!
//! It must not know how they are kept. Invariant: a number stands for the same settings as long as the store is there; a
//! group without one is judged under today's.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    domain::{JudgingSettings, SettingsNo},
    evaluate::CodeSet,
};

/// Settings as a chain goes by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSettings {
    /// As they are kept.
    pub kept: JudgingSettings,
    /// Alerts with these codes pass whatever a rule says.
    pub protected: CodeSet,
}

impl From<JudgingSettings> for ChainSettings {
    fn from(kept: JudgingSettings) -> Self {
        let protected = kept.protected.iter().copied().collect();
        Self { kept, protected }
    }
}

/// Every settings that the log may name.
#[derive(Debug, Clone)]
pub struct SettingsByNo {
    known: BTreeMap<SettingsNo, Arc<ChainSettings>>,
    today: (SettingsNo, Arc<ChainSettings>),
}

impl SettingsByNo {
    /// From those that are kept and those of today, which get the next number unless they have one.
    pub fn new(kept: impl IntoIterator<Item = (SettingsNo, JudgingSettings)>, today: JudgingSettings) -> Self {
        let known = kept.into_iter().map(|(no, settings)| (no, Arc::new(ChainSettings::from(settings))));
        let mut known: BTreeMap<_, _> = known.collect();
        let same = known.iter().find(|(_, settings)| settings.kept == today);
        let today = match same {
            Some((no, settings)) => (*no, Arc::clone(settings)),
            None => {
                let no = SettingsNo(known.keys().last().map_or(SettingsNo::UNKNOWN.0, |last| last.0) + 1);
                (no, Arc::new(ChainSettings::from(today)))
            }
        };
        known.insert(today.0, Arc::clone(&today.1));
        Self { known, today }
    }

    /// Those that are judged under now.
    pub fn today(&self) -> &Arc<ChainSettings> {
        &self.today.1
    }

    /// Their number.
    pub fn today_no(&self) -> SettingsNo {
        self.today.0
    }

    /// Those of a number; today's where the log does not tell.
    pub fn of(&self, no: SettingsNo) -> &Arc<ChainSettings> {
        self.known.get(&no).unwrap_or(&self.today.1)
    }

    /// In what today's differ from those of a number, as the end of a sentence; empty where in nothing, or where the log does
    /// not tell.
    pub fn remark(&self, no: SettingsNo) -> String {
        let differences = self.known.get(&no).map(|then| then.kept.differences(&self.today.1.kept));
        let differences = differences.filter(|differences| !differences.is_empty());
        differences.map_or_else(String::new, |differences| format!("; settings since then: {differences}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_same_settings_have_the_same_number_and_others_the_next() {
        let settings =
            |codes| JudgingSettings { state_codes_per_device_max: codes, ..Config::default().judging().unwrap() };
        let first = SettingsByNo::new([], settings(64));
        assert_eq!(first.today_no(), SettingsNo(1));
        let kept = [(SettingsNo(1), settings(64)), (SettingsNo(2), settings(3))];
        let again = SettingsByNo::new(kept.clone(), settings(64));
        assert_eq!((again.today_no(), again.of(SettingsNo(2)).kept.state_codes_per_device_max), (SettingsNo(1), 3));
        let other = SettingsByNo::new(kept, settings(5));
        assert_eq!(other.today_no(), SettingsNo(3));
        assert_eq!(other.of(SettingsNo::UNKNOWN), other.today());
        assert_eq!(other.remark(SettingsNo(2)), "; settings since then: state_codes_per_device_max was 3 and is 5");
        assert_eq!((other.remark(SettingsNo::UNKNOWN), other.remark(SettingsNo(3))), (String::new(), String::new()));
    }
}
