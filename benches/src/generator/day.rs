//! The day itself: an iterator over alerts in order of receipt that keeps the expectation as it goes.
//!
//! It must not know who takes the alerts. Invariant: outside the storms, no device sends as many alerts of one code
//! within a window as storm protection minds; copies come while the host still remembers the original.

use std::collections::VecDeque;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use weir_proto::v1::{Alert, PayloadKind};

use super::{
    BELOW_DV, DAY_MS, Plan, RuleName, codes,
    fleet::{Device, Fleet},
    ledger::{Fate, Ledger},
    storms::{self, Gust, Storms},
};
use crate::books::Books;

/// How late an alert arrives at most.
pub const LATE_MS_MAX: i64 = 32 * 60_000;
/// Alerts between an original and a copy that follows at once.
const NEAR: u64 = 5;
/// Alerts between an original and a copy that comes much later, at most.
const FAR_MAX: u64 = 20_000;
/// Rounds in which a much later copy comes, far within what a host remembers.
const FAR_ROUNDS_MAX: u64 = 8;
/// One of so many alerts is invalid, on average.
const ALERTS_PER_INVALID: u64 = 10_000;
/// Distributor id of the region that has an outage.
const OUTAGE_REGION: u8 = 16;

/// One day of alerts.
#[derive(Debug)]
pub struct Day {
    plan: Plan,
    ms_per_alert: f64,
    fleet: Fleet,
    random: ChaCha8Rng,
    /// How many alerts were made.
    made: u64,
    rotation: Rotation,
    storms: Storms,
    outage: Outage,
    near: Copies,
    far: Copies,
    invalid_at: u64,
    ledger: Ledger,
}

/// Takes every device in turn, in another order each round.
#[derive(Debug)]
struct Rotation {
    devices: u32,
    stride: u32,
    next: u32,
    left_in_round: u32,
    round: u64,
}

/// Alerts to be sent again, oldest first, each with the time it is due, counted in alerts.
#[derive(Debug)]
struct Copies {
    delay: u64,
    waiting: VecDeque<(u64, Alert)>,
}

/// The region that gets its supply back, all devices one after the other, between two rounds.
#[derive(Debug)]
enum Outage {
    Ahead,
    At(u32),
    Over,
}

impl Day {
    /// The day of a plan; refused where the plan makes none.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        plan.validate()?;
        let fleet = plan.fleet();
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
        let far = FAR_MAX.min(FAR_ROUNDS_MAX * u64::from(fleet.rotating()));
        Ok(Self {
            plan,
            ms_per_alert: DAY_MS as f64 / plan.alerts as f64,
            rotation: Rotation::new(fleet.rotating(), &mut random),
            storms: Storms::new(&fleet, plan.start_ms, plan.storm_more_than()),
            fleet,
            random,
            made: 0,
            outage: Outage::Ahead,
            near: Copies::new(NEAR),
            far: Copies::new(far),
            invalid_at: ALERTS_PER_INVALID / 2,
            ledger: Ledger::new(),
        })
    }

    /// The next alerts, `alerts` of them or what is left of the day.
    pub fn batch(&mut self, alerts: usize) -> Vec<Alert> {
        self.by_ref().take(alerts).collect()
    }

    /// What must have become of the alerts made so far.
    pub fn expected(&self) -> Books {
        self.ledger.books()
    }

    fn make(&mut self, now_ms: i64) -> (Alert, Fate) {
        if let Some(copy) = self.near.due(self.made).or_else(|| self.far.due(self.made)) {
            return (Alert { received_at_ms: now_ms, ..copy }, Fate::Duplicate);
        }
        if self.made >= self.invalid_at {
            return self.invalid(now_ms);
        }
        if let Some(gust) = self.storms.arrived(now_ms) {
            return self.gust(&gust, now_ms);
        }
        if let Some(alert) = self.restored(now_ms) {
            return (alert, Fate::Forwarded { withheld: 0 });
        }
        self.ordinary(now_ms)
    }

    /// An alert of the device whose turn it is. One random number decides all there is to decide.
    fn ordinary(&mut self, now_ms: i64) -> (Alert, Fate) {
        let (number, round) = self.rotation.turn(&mut self.random);
        let device = self.fleet.device(number);
        let mut dice = Dice(self.random.next_u64());

        let code = codes::code_at(device.smets2, dice.bits(10) as usize);
        let late = dice.bits(5) == 0;
        let delay_ms = if late { 60_000 + (dice.bits(5) as i64) * 60_000 } else { 200 + dice.bits(14) as i64 };
        let mut alert = alert(&device, code, device.counter_base + 2 * round, now_ms - delay_ms, now_ms);
        if code == codes::VOLTAGE_SMETS1 && dice.bits(6) != 0 {
            // The product of two even spreads: most lie well below the limit, some far above it.
            let spread = (dice.bits(8) * dice.bits(8) * 91) >> 16;
            alert.measurement = Some(2530 + spread as i32);
        }
        if code == codes::LOW_CREDIT && dice.bits(4) == 0 {
            alert.weight = 2 + dice.bits(4) as u32;
        }
        match dice.bits(8) {
            0 => self.near.keep(self.made, &alert),
            1 | 2 => self.far.keep(self.made, &alert),
            _ => {}
        }
        let fate = fate(&device, &alert);
        (alert, fate)
    }

    fn gust(&mut self, gust: &Gust, now_ms: i64) -> (Alert, Fate) {
        let alert = alert(&gust.device, gust.code, gust.counter, gust.occurred_ms, now_ms);
        if gust.counter.is_multiple_of(64) {
            self.near.keep(self.made, &alert);
        }
        let fate = match gust.fate {
            storms::Fate::Forwarded { withheld } => Fate::Forwarded { withheld },
            storms::Fate::Excess if codes::PROTECTED.contains(&gust.code) => Fate::Overruled(RuleName::Storm),
            storms::Fate::Excess => Fate::Suppressed(RuleName::Storm),
        };
        (alert, fate)
    }

    /// An alert of the outage while it goes on. It begins at the first change of rounds in the second half of the day.
    fn restored(&mut self, now_ms: i64) -> Option<Alert> {
        let first = match self.outage {
            Outage::Ahead if self.rotation.round > 0 && self.made >= self.plan.alerts / 2 => {
                if !self.rotation.at_start_of_round() {
                    return None;
                }
                0
            }
            Outage::At(number) => number,
            Outage::Ahead | Outage::Over => return None,
        };
        for number in first..self.fleet.rotating() {
            let device = self.fleet.device(number);
            if device.listed && device.region == OUTAGE_REGION {
                self.outage = Outage::At(number + 1);
                // Between the even counters of the round before and the round to come.
                let counter = device.counter_base + 2 * self.rotation.round - 1;
                let occurred_ms = now_ms - 1500;
                return Some(alert(&device, codes::OUTAGE_RESTORED, counter, occurred_ms, now_ms));
            }
        }
        self.outage = Outage::Over;
        None
    }

    /// An alert without a device, or with a code that does not fit 16 bits.
    fn invalid(&mut self, now_ms: i64) -> (Alert, Fate) {
        let dice = self.random.next_u64();
        self.invalid_at = self.made + 1 + dice % (2 * ALERTS_PER_INVALID);
        let device = self.fleet.device(0);
        let alert = alert(&device, codes::OVER_VOLTAGE, 0, now_ms - 1000, now_ms);
        let alert = match dice >> 32 & 1 {
            0 => Alert { device_id: 0, ..alert },
            _ => Alert { code: 0x1_0000 | alert.code, ..alert },
        };
        (alert, Fate::Rejected)
    }
}

impl Iterator for Day {
    type Item = Alert;

    fn next(&mut self) -> Option<Alert> {
        if self.made == self.plan.alerts {
            return None;
        }
        let now_ms = self.plan.start_ms + (self.made as f64 * self.ms_per_alert) as i64;
        let (alert, fate) = self.make(now_ms);
        self.ledger.enter(&alert, fate);
        self.made += 1;
        Some(alert)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.plan.alerts - self.made).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// What the first two rules do with an alert of a device in rotation. The third has nothing to mind there.
fn fate(device: &Device, alert: &Alert) -> Fate {
    let code = alert.code as u16;
    if code == codes::POWER_FACTOR && device.listed && !device.smets2 {
        return Fate::Suppressed(RuleName::Smets1PowerFactor);
    }
    if code == codes::VOLTAGE_SMETS1 && alert.measurement.is_some_and(|dv| dv < BELOW_DV) {
        return Fate::Suppressed(RuleName::Voltage);
    }
    Fate::Forwarded { withheld: 0 }
}

fn alert(device: &Device, code: u16, counter: u64, occurred_at_ms: i64, received_at_ms: i64) -> Alert {
    Alert {
        device_id: device.eui,
        recipient_id: if codes::is_for_supplier(code) { device.supplier } else { device.network },
        originator_counter: Some(counter),
        code: u32::from(code),
        occurred_at_ms,
        received_at_ms,
        measurement: None,
        weight: 1,
        payload_kind: PayloadKind::Dlms.into(),
        ..Alert::default()
    }
}

/// Random bits, taken a few at a time.
struct Dice(u64);

impl Dice {
    fn bits(&mut self, count: u32) -> u64 {
        let taken = self.0 & ((1 << count) - 1);
        self.0 >>= count;
        taken
    }
}

impl Copies {
    fn new(delay: u64) -> Self {
        Self { delay, waiting: VecDeque::new() }
    }

    fn keep(&mut self, made: u64, alert: &Alert) {
        self.waiting.push_back((made + self.delay, alert.clone()));
    }

    fn due(&mut self, made: u64) -> Option<Alert> {
        self.waiting.pop_front_if(|(due, _)| *due <= made).map(|(_, alert)| alert)
    }
}

impl Rotation {
    fn new(devices: u32, random: &mut ChaCha8Rng) -> Self {
        // Stepping by a stride without a common factor visits every device once; near the golden ratio, neighbours
        // in number are far apart in time.
        let golden = (f64::from(devices) * 0.618) as u32;
        let stride = (golden.max(1)..=devices).find(|stride| gcd(*stride, devices) == 1).unwrap_or(1);
        let mut rotation = Self { devices, stride, next: 0, left_in_round: devices, round: 0 };
        rotation.shuffle(random);
        rotation
    }

    /// Whose turn it is, and in which round.
    fn turn(&mut self, random: &mut ChaCha8Rng) -> (u32, u64) {
        let turn = (self.next, self.round);
        self.next = ((u64::from(self.next) + u64::from(self.stride)) % u64::from(self.devices)) as u32;
        self.left_in_round -= 1;
        if self.left_in_round == 0 {
            self.left_in_round = self.devices;
            self.round += 1;
            self.shuffle(random);
        }
        turn
    }

    fn at_start_of_round(&self) -> bool {
        self.left_in_round == self.devices
    }

    fn shuffle(&mut self, random: &mut ChaCha8Rng) {
        self.next = (random.next_u64() % u64::from(self.devices)) as u32;
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
