//! The devices of a day: who they are follows from their number and the seed alone, so that millions take no memory.
//!
//! It must not know alerts. Invariant: no two numbers share an EUI-64, and every MPAN has its right check digit.
//!
//! Numbers run in three stretches: devices that alert but are in no inventory, ordinary devices, and devices that
//! send one storm and nothing else.

use weir_proto::v1;

/// Distributor ids of the fourteen regions.
const REGIONS: std::ops::RangeInclusive<u8> = 10..=23;
/// How many regions there are.
const REGION_COUNT: u64 = 14;
/// Device model combinations of each generation.
const MODELS_PER_GENERATION: u64 = 10;
/// One of so many devices is missing from the inventory.
const LISTED_PER_UNLISTED: u32 = 1000;
/// Of so many devices at most one sends a storm.
const DEVICES_PER_STORM: u32 = 20;
/// Alerts of a day for each device with a storm.
const ALERTS_PER_STORM: u64 = 5000;

/// Upper 24 bits of every EUI-64: locally administered, so that no maker's device is named.
const PREFIX: u64 = 0x0257_4500_0000_0000;
/// Where the parties begin that alerts are addressed to; devices have this bit clear.
const PARTIES: u64 = PREFIX | 0x80_0000_0000;

/// All devices of a day.
#[derive(Debug, Clone)]
pub struct Fleet {
    key: u64,
    unlisted: u32,
    ordinary: u32,
    storms: u32,
}

/// One device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// EUI-64 as a number.
    pub eui: u64,
    /// Distributor id of its region.
    pub region: u8,
    /// Whether it is a SMETS2 device; otherwise SMETS1.
    pub smets2: bool,
    /// Whether the inventory lists it. The host knows no generation of one that is not listed.
    pub listed: bool,
    /// The first originator counter of the day.
    pub counter_base: u64,
    /// EUI-64 of its network operator.
    pub network: u64,
    /// EUI-64 of its energy supplier.
    pub supplier: u64,
    model: u8,
}

impl Fleet {
    /// The fleet of a day with `devices` listed devices and `alerts` alerts.
    pub fn new(seed: u64, devices: u32, alerts: u64) -> Self {
        let wanted = u32::try_from(alerts / ALERTS_PER_STORM).unwrap_or(u32::MAX).max(4);
        let storms = wanted.min(devices / DEVICES_PER_STORM);
        let unlisted = (devices / LISTED_PER_UNLISTED).max(1);
        Self { key: mix(seed), unlisted, ordinary: devices - storms, storms }
    }

    /// How many devices take turns: the ordinary ones and those that are not listed, numbered from 0.
    pub fn rotating(&self) -> u32 {
        self.unlisted + self.ordinary
    }

    /// How many devices send a storm.
    pub fn storms(&self) -> u32 {
        self.storms
    }

    /// The device with storm number `storm`, from 0.
    pub fn storm_device(&self, storm: u32) -> Device {
        self.device(self.rotating() + storm)
    }

    /// A device by number.
    pub fn device(&self, number: u32) -> Device {
        let hash = mix(self.key ^ u64::from(number));
        let region = REGIONS.start() + (hash % REGION_COUNT) as u8;
        let listed = number >= self.unlisted;
        Device {
            eui: PREFIX | scatter(number, self.key),
            region,
            // What is not listed sends what SMETS1 devices send: the rules must see that nobody knows it is one.
            smets2: listed && !(hash >> 16 & 0xFFFF).is_multiple_of(3),
            listed,
            counter_base: 1 + (hash >> 44),
            network: PARTIES | u64::from(region),
            supplier: PARTIES | 0x100 | (hash >> 8 & 0x7),
            model: ((hash >> 32 & 0xFFF) % MODELS_PER_GENERATION) as u8,
        }
    }

    /// The inventory to load before the day begins.
    pub fn inventory(&self) -> impl Iterator<Item = v1::Device> + use<> {
        let fleet = self.clone();
        let listed = self.unlisted..self.rotating() + self.storms;
        listed.map(move |number| {
            let device = fleet.device(number);
            v1::Device {
                device_id: device.eui,
                mpxn: mpan(device.region, number),
                generation: device.generation().into(),
                model: device.model(),
                operator: 0,
                ..v1::Device::default()
            }
        })
    }
}

impl Device {
    /// What the inventory says of its generation.
    pub fn generation(&self) -> v1::Generation {
        match (self.listed, self.smets2) {
            (false, _) => v1::Generation::Unspecified,
            (true, false) => v1::Generation::Smets1,
            (true, true) => v1::Generation::Smets2,
        }
    }

    /// Name of its device model combination.
    pub fn model(&self) -> String {
        let (generation, release) = if self.smets2 { (2, 30) } else { (1, 10) };
        format!("S{generation}-{}-v{}.{}", (b'A' + self.model) as char, release + self.model / 3, self.model % 3)
    }
}

/// The low 39 bits of a device's EUI-64. Multiplying by an odd number permutes them: no two devices meet.
fn scatter(number: u32, key: u64) -> u64 {
    u64::from(number).wrapping_mul(0x9E_3779_B97F).wrapping_add(key) & 0x7F_FFFF_FFFF
}

/// An MPAN core: region, ten digits scattered over the numbers, check digit.
fn mpan(region: u8, number: u32) -> String {
    const WEIGHTS: [u32; 12] = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];
    let unique = u64::from(number) * 1_234_567_891 % 10_000_000_000;
    let core = format!("{region:02}{unique:010}");
    let sum: u32 = core.bytes().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    format!("{core}{}", sum % 11 % 10)
}

/// Spreads a number over all 64 bits (the finaliser of splitmix64).
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}
