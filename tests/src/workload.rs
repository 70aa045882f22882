//! A seeded workload: batches of several producers, copies, bad alerts, and rules and devices changing midway.
//!
//! It must not know what comes out. Invariant: the same seed gives the same steps.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use weir_host::domain::{Alert, AlertCode, Eui64, Generation, Message, PayloadKind, Reject, RejectReason};

/// Codes that occur: the one the first rule holds, two ordinary ones, a protected one, one that no table knows, and
/// the one that makes the frail rule fail.
pub const CODES: [u16; 6] = [0x8F40, 0x8014, 0x8002, 0x8F36, 0x1234, FRAIL];

/// The code on which the frail rule fails.
pub const FRAIL: u16 = 0xDEAD;

/// When the workload happens.
pub const NOW_MS: i64 = 1_764_000_000_000;

/// Returns the seed of this run, `WEIR_SEED` where that is set and else `stated`, and prints it.
pub fn seed(stated: u64) -> u64 {
    let seed = number_of("WEIR_SEED", stated);
    println!("WEIR_SEED={seed}");
    seed
}

/// Returns the number that a variable holds, `otherwise` where it holds none.
pub fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Seeded chance.
pub struct Random(ChaCha8Rng);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
}

/// One thing that is asked of the pipeline.
#[derive(Debug, Clone)]
pub enum Step {
    /// A batch.
    Batch {
        /// Who sends it.
        producer: String,
        /// Its number.
        sequence: u64,
        /// What it holds.
        alerts: Vec<Result<Alert, Reject>>,
        /// What its sender could not read.
        unreadable: u32,
    },
    /// The rule `hold` holds this code from here on.
    Hold(u16),
    /// The rule `every` lets each n-th pass from here on.
    Every(u64),
    /// The rule `every` goes, and its state with it.
    RemoveEvery,
    /// These devices are in the inventory from here on, as SMETS1 of this operator.
    Devices(Vec<u64>, u32),
}

/// How large a workload is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Steps.
    pub steps: u64,
    /// Devices.
    pub devices: u64,
    /// Alerts in a batch at most.
    pub batch: u64,
}

/// Steps of a seed.
pub fn steps(seed: u64, size: Size) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut sent = Sent { counters: vec![0; size.devices as usize], alerts: Vec::new() };
    let mut sequences = [0_u64; 3];
    let mut steps = vec![Step::Hold(0x8F40), Step::Every(3)];
    for _ in 0..size.steps {
        steps.push(match random.below(20) {
            0 => Step::Hold(CODES[random.below(4) as usize]),
            1 => Step::Every(2 + random.below(3)),
            2 => Step::RemoveEvery,
            3 => {
                let devices = (0..1 + random.below(20)).map(|_| 1 + random.below(size.devices)).collect();
                Step::Devices(devices, 10 + random.below(14) as u32)
            }
            _ => {
                let producer = random.below(3) as usize;
                sequences[producer] += 1;
                let count = random.below(size.batch + 1);
                Step::Batch {
                    producer: format!("producer-{producer}"),
                    sequence: sequences[producer],
                    alerts: (0..count).map(|_| alert(&mut random, &mut sent)).collect(),
                    unreadable: random.below(2) as u32,
                }
            }
        });
    }
    steps
}

/// The steps in pieces: up to four batches that follow each other, as the seed says, or one step of another kind.
pub fn together(seed: u64, steps: &[Step]) -> Vec<&[Step]> {
    const BATCHES_MAX: u64 = 4;
    let mut random = Random::new(seed);
    let mut pieces = Vec::new();
    let mut rest = steps;
    while !rest.is_empty() {
        let batches = rest.iter().take_while(|step| matches!(step, Step::Batch { .. })).count() as u64;
        let count = batches.min(1 + random.below(BATCHES_MAX)).max(1);
        let (piece, after) = rest.split_at(count as usize);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What was sent, and how far each device has counted.
struct Sent {
    counters: Vec<u64>,
    /// The latest that may come again.
    alerts: Vec<Alert>,
}

/// Alerts that may come again.
const SENT_MAX: usize = 400;

fn alert(random: &mut Random, sent: &mut Sent) -> Result<Alert, Reject> {
    let received_ms = Some(NOW_MS - random.below(30 * 3_600_000) as i64);
    // One in eight is a copy, however long ago the first came.
    if !sent.alerts.is_empty() && random.below(8) == 0 {
        let before = sent.alerts[random.below(sent.alerts.len() as u64) as usize];
        return Ok(Alert { received_ms, ..before });
    }
    let device = random.below(sent.counters.len() as u64);
    let counter = &mut sent.counters[device as usize];
    match random.below(30) {
        // It was exchanged, or restored, and counts from 1; or it had an evil counter.
        0 => *counter = 1,
        1 => *counter += 1 << 40,
        _ => *counter += 1,
    }
    let code = match random.below(40) {
        0 => FRAIL,
        _ => CODES[random.below(5) as usize],
    };
    let mut alert = plain(device + 1, *counter, code);
    match random.below(50) {
        0 => {
            return Err(Reject { reason: RejectReason::Code, code: None, message: "code: 65536 is over 65535".into() });
        }
        1 => return Ok(Alert { weight: 0, ..alert }),
        // A document that nobody counted.
        2 => (alert.counter, alert.message.digest) = (None, 1 + random.below(20)),
        3 => alert.message.sender = Eui64(0x90B3_D51F_3000_0002),
        4 => alert.recipient = Eui64(7),
        5 => alert.message.instruction = 2,
        _ => {}
    }
    alert.received_ms = received_ms;
    alert.weight = 1 + random.below(3) as u32;
    alert.occurred_ms = (random.below(4) > 0).then(|| NOW_MS - random.below(1_000) as i64 * 1_000);
    alert.dcc_ms = (random.below(3) == 0).then(|| NOW_MS - random.below(4) as i64);
    if random.below(3) == 0 && alert.counter.is_some() {
        alert.message.digest = 1 + random.below(3);
    }
    let place = random.below(SENT_MAX as u64) as usize;
    if sent.alerts.len() < SENT_MAX {
        sent.alerts.push(alert);
    } else {
        sent.alerts[place] = alert;
    }
    // The DCC delivers again under another time; what is delivered may be in doubt by then.
    if random.below(40) == 0 {
        let at = place % sent.alerts.len();
        sent.alerts[at] = Alert { dcc_ms: Some(NOW_MS), ..alert };
    }
    Ok(alert)
}

/// An alert with nothing special.
pub fn plain(device: u64, counter: u64, code: u16) -> Alert {
    Alert {
        device: Eui64(device),
        recipient: Eui64(0x90B3_D51F_3002_0000),
        counter: Some(counter),
        code: AlertCode(code),
        occurred_ms: None,
        dcc_ms: None,
        received_ms: None,
        measurement: None,
        weight: 1,
        payload: PayloadKind::Dlms,
        details: Default::default(),
        generation: Generation::Unknown,
        message: Message::default(),
    }
}
