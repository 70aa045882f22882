//! Which alert codes a day is made of, what they are called, and how often each kind of meter sends them.
//!
//! It must not know devices or rules. Invariant: each mix adds up to [`MIX_PARTS`], checked at compile time.

/// Parts that a mix is divided into: a power of two, so that a few random bits choose a code.
pub const MIX_PARTS: usize = 1024;

/// SMETS1 voltage alert: the flood.
pub const VOLTAGE_SMETS1: u16 = 0x8F40;
/// Power factor below its threshold: sent in error by SMETS1 meters, in earnest by SMETS2 meters.
pub const POWER_FACTOR: u16 = 0x8014;
/// Average over-voltage.
pub const OVER_VOLTAGE: u16 = 0x8002;
/// Supply restored after an outage of three minutes or more.
pub const OUTAGE_RESTORED: u16 = 0x8F36;
/// Meter integrity warning.
pub const INTEGRITY: u16 = 0x81A0;
/// A strong magnetic field near the meter: tamper.
pub const MAGNETIC_FIELD: u16 = 0x8F75;
/// A trusted source could not be authenticated.
pub const AUTHENTICATION: u16 = 0x8F3D;
/// Prepayment credit is low.
pub const LOW_CREDIT: u16 = 0x810D;

/// Codes that no rule may hold back, of those that occur: supply restored, and tamper.
pub const PROTECTED: [u16; 5] = [0x8F35, OUTAGE_RESTORED, 0x8F3F, 0x8F74, MAGNETIC_FIELD];

/// Short names of the codes that occur. 8FE1 and 9A10 are in no table anywhere, and so have none.
const NAMES: [(u16, &str); 22] = [
    (OVER_VOLTAGE, "over-voltage"),
    (0x8006, "under-voltage"),
    (POWER_FACTOR, "power factor low"),
    (0x8015, "power factor ok"),
    (0x8020, "extreme over-voltage"),
    (0x8028, "extreme under-voltage"),
    (0x8085, "over-voltage ended"),
    (0x8089, "under-voltage ended"),
    (LOW_CREDIT, "low credit"),
    (0x810E, "credit added"),
    (0x8154, "command done"),
    (INTEGRITY, "meter integrity"),
    (0x81C0, "disconnect failed"),
    (0x8F35, "outage over"),
    (OUTAGE_RESTORED, "outage over, >= 3 min"),
    (AUTHENTICATION, "authentication failed"),
    (0x8F3E, "unauthorised access"),
    (0x8F3F, "tamper"),
    (VOLTAGE_SMETS1, "voltage (SMETS1)"),
    (0x8F74, "meter cover removed"),
    (MAGNETIC_FIELD, "magnetic field"),
    (0x8F1C, "firmware not verified"),
];

/// What a SMETS1 meter sends: codes and parts.
const SMETS1: [(u16, usize); 19] = [
    (VOLTAGE_SMETS1, 600),
    (POWER_FACTOR, 180),
    (OVER_VOLTAGE, 40),
    (0x8085, 40),
    (0x8006, 20),
    (0x8089, 20),
    (0x810E, 30),
    (LOW_CREDIT, 20),
    (INTEGRITY, 10),
    (0x8F3E, 8),
    (0x8F1C, 2),
    (AUTHENTICATION, 6),
    (0x8F3F, 8),
    (0x8F74, 4),
    (0x8F35, 10),
    (OUTAGE_RESTORED, 10),
    (0x8154, 8),
    (0x8FE1, 4),
    (0x9A10, 4),
];

/// What a SMETS2 meter sends: codes and parts.
const SMETS2: [(u16, usize); 22] = [
    (OVER_VOLTAGE, 220),
    (0x8085, 215),
    (0x8006, 130),
    (0x8089, 125),
    (POWER_FACTOR, 60),
    (0x8015, 50),
    (0x8020, 20),
    (0x8028, 20),
    (0x810E, 50),
    (LOW_CREDIT, 30),
    (INTEGRITY, 10),
    (0x81C0, 10),
    (0x8F35, 20),
    (OUTAGE_RESTORED, 20),
    (AUTHENTICATION, 6),
    (0x8F3E, 8),
    (0x8F1C, 2),
    (0x8F3F, 8),
    (0x8F74, 4),
    (0x8154, 8),
    (0x8FE1, 4),
    (0x9A10, 4),
];

/// Code by part, for each kind of meter.
static SMETS1_PARTS: [u16; MIX_PARTS] = spread(&SMETS1);
static SMETS2_PARTS: [u16; MIX_PARTS] = spread(&SMETS2);

/// The code in one part of a meter's mix; `part` is below [`MIX_PARTS`].
pub fn code_at(smets2: bool, part: usize) -> u16 {
    let parts = if smets2 { &SMETS2_PARTS } else { &SMETS1_PARTS };
    parts[part % MIX_PARTS]
}

/// The short name of a code; empty for codes that are in no table.
pub fn name(code: u16) -> &'static str {
    NAMES.iter().find(|(named, _)| *named == code).map_or("", |(_, name)| name)
}

/// Whether an alert with this code goes to the energy supplier; all others go to the network operator.
pub fn is_for_supplier(code: u16) -> bool {
    code >> 8 == 0x81
}

const fn spread<const N: usize>(mix: &[(u16, usize); N]) -> [u16; MIX_PARTS] {
    let mut parts = [0; MIX_PARTS];
    let (mut filled, mut entry) = (0, 0);
    while entry < N {
        let end = filled + mix[entry].1;
        while filled < end {
            parts[filled] = mix[entry].0;
            filled += 1;
        }
        entry += 1;
    }
    assert!(filled == MIX_PARTS, "a mix must add up to MIX_PARTS");
    parts
}
