//! An alert as it arrives, why one is refused, and a group of admitted alerts as columns.
//!
//! It must not know how alerts are encoded anywhere. Invariant: all columns of `Rows` have the same length.

use super::{AlertCode, Details, DeviceNo, Eui64, Generation, Millis, ModelId, OperatorId, Remark, Remarks};

/// Most alerts that one alert stands for, where nothing else is set (`intake.weight_max`).
pub const WEIGHT_MAX: u32 = 1_000_000;

/// How the payload of an alert was encoded where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PayloadKind {
    /// Not stated.
    #[default]
    Unspecified = 0,
    /// DLMS/COSEM (electricity).
    Dlms = 1,
    /// GBZ (gas, ZigBee).
    Gbz = 2,
    /// ASN.1.
    Asn1 = 3,
    /// A row of a CSV file.
    Csv = 4,
}

impl PayloadKind {
    /// Each by its number in flags.
    pub const ALL: [Self; 5] = [Self::Unspecified, Self::Dlms, Self::Gbz, Self::Asn1, Self::Csv];

    /// From its number in flags.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Dlms => "dlms",
            Self::Gbz => "gbz",
            Self::Asn1 => "asn1",
            Self::Csv => "csv",
        }
    }
}

/// What is known of a time of occurrence. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TimeStatus {
    /// The device stated it, and nothing says that its clock is wrong.
    #[default]
    Stated = 0,
    /// The device stated none; the time of receipt stands in its place.
    NotStated = 1,
    /// The device stated it, and says that its clock cannot be relied on.
    Unreliable = 2,
    /// The source states one that cannot be read, has no zone or is incomplete; the time of receipt stands in its place.
    LeftOut = 3,
}

impl TimeStatus {
    /// Each by its number on disk.
    pub const ALL: [Self; 4] = [Self::Stated, Self::NotStated, Self::Unreliable, Self::LeftOut];

    /// Returns true if the time of occurrence is the device's own.
    pub fn is_stated(self) -> bool {
        matches!(self, Self::Stated | Self::Unreliable)
    }

    /// From its number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::NotStated => "not-stated",
            Self::Unreliable => "unreliable",
            Self::LeftOut => "left-out",
        }
    }
}

/// What is known of the DCC's time of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DccTimeStatus {
    /// It was stated, or there is none.
    #[default]
    AsStated = 0,
    /// The source states one that cannot be read or has no zone; it was left out.
    LeftOut = 1,
}

impl DccTimeStatus {
    /// Each, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::AsStated, Self::LeftOut];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::AsStated => "as-stated",
            Self::LeftOut => "left-out",
        }
    }
}

/// What tells the message of an alert from others, beside its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Message {
    /// The party that sent the message and counted it; `Eui64::NONE`: the device itself, or the DCC where the code is one
    /// of the DCC's.
    pub sender: Eui64,
    /// Which instruction of a command with several the message is about; 0 for none.
    pub instruction: u32,
    /// The first 64 bits of the SHA-256 of the GBCS message, or, where there is no counter, of the whole document the alert
    /// came in; 0 where neither is at hand.
    pub digest: u64,
    /// What is known of the time of occurrence.
    pub time: TimeStatus,
    /// What is known of the DCC's time.
    pub dcc_time: DccTimeStatus,
}

/// One alert as a producer sent it, its fields in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// The device that raised it.
    pub device: Eui64,
    /// The party it is addressed to; `Eui64::NONE` when not known.
    pub recipient: Eui64,
    /// Originator counter of the GBCS message.
    pub counter: Option<u64>,
    /// What happened.
    pub code: AlertCode,
    /// When the device says it happened; `None` takes the time of receipt.
    pub occurred_ms: Option<Millis>,
    /// When the DCC passed it on, by the DCC's clock.
    pub dcc_ms: Option<Millis>,
    /// When it reached the sender; `None` takes the host's clock.
    pub received_ms: Option<Millis>,
    /// What it reports, in the unit its code implies.
    pub measurement: Option<i32>,
    /// How many alerts it stands for, at least 1.
    pub weight: u32,
    /// How its payload was encoded.
    pub payload: PayloadKind,
    /// The generation of its device that its source states. It counts where the inventory has none.
    pub generation: Generation,
    /// What tells its message from others.
    pub message: Message,
    /// What its source states beside.
    pub details: Details,
}

/// Why an alert could not be taken. The numbers are on disk: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// The producer could not read its input as an alert.
    Unreadable = 1,
    /// The device's EUI-64 is zero, or that of the device, the recipient or the sender is the broadcast address.
    DeviceId = 2,
    /// The code does not fit 16 bits.
    Code = 3,
    /// The time of occurrence is out of any calendar's range.
    OccurredAt = 4,
    /// The time of receipt is in the future, or older than what the host keeps.
    ReceivedAt = 5,
    /// The weight is over the limit.
    Weight = 6,
    /// The payload kind is not one of the protocol's.
    PayloadKind = 7,
    /// No room for another unknown device.
    DeviceLimit = 8,
    /// The DCC's time is out of any calendar's range.
    DccAt = 9,
    /// Whoever sent it may not send alerts of the device's operator.
    Operator = 10,
    /// The stated generation is not one of the protocol's.
    Generation = 11,
    /// A detail cannot be kept.
    Details = 12,
}

impl RejectReason {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::Unreadable,
        Self::DeviceId,
        Self::Code,
        Self::OccurredAt,
        Self::ReceivedAt,
        Self::Weight,
        Self::PayloadKind,
        Self::DeviceLimit,
        Self::DccAt,
        Self::Operator,
        Self::Generation,
        Self::Details,
    ];

    /// From its number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == number)
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::DeviceId => "device-id",
            Self::Code => "code",
            Self::OccurredAt => "occurred-at",
            Self::ReceivedAt => "received-at",
            Self::Weight => "weight",
            Self::PayloadKind => "payload-kind",
            Self::DeviceLimit => "device-limit",
            Self::DccAt => "dcc-at",
            Self::Operator => "operator",
            Self::Generation => "generation",
            Self::Details => "details",
        }
    }
}

/// One alert that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its kind.
    pub reason: RejectReason,
    /// Its code, where it has a valid one.
    pub code: Option<AlertCode>,
    /// The field, the value, and what is allowed.
    pub message: String,
}

/// What the guest's `flags` column and the log keep beside the wide columns.
///
/// Bit 0: has a measurement. Bits 1-2: generation. Bit 3: has a counter. Bits 4-6: payload kind. Bit 7: the source of the
/// alert states a generation, the same unless [`Remark::GenerationDiffers`] is made. Part of the rule contract (bits 0-2)
/// and of the disk format: never reuse a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Packs the flags of one alert.
    pub fn new(alert: &Alert, generation: Generation) -> Self {
        let measured = u8::from(alert.measurement.is_some());
        let counted = u8::from(alert.counter.is_some());
        let stated = u8::from(alert.generation != Generation::Unknown);
        Self(measured | (generation as u8) << 1 | counted << 3 | (alert.payload as u8) << 4 | stated << 7)
    }

    /// Whether the measurement column holds one.
    pub fn has_measurement(self) -> bool {
        self.0 & 1 != 0
    }

    /// The generation.
    pub fn generation(self) -> Generation {
        Generation::from_number(self.0 >> 1 & 3).unwrap_or_default()
    }

    /// Whether the counter column holds one.
    pub fn has_counter(self) -> bool {
        self.0 & 8 != 0
    }

    /// The generation that the source of the alert states, which may differ from the one that counts.
    fn stated_generation(self, remarks: Remarks) -> Generation {
        match (self.0 & 0x80 != 0, self.generation()) {
            (false, _) => Generation::Unknown,
            (true, Generation::Smets1) if remarks.has(Remark::GenerationDiffers) => Generation::Smets2,
            (true, Generation::Smets2) if remarks.has(Remark::GenerationDiffers) => Generation::Smets1,
            (true, same) => same,
        }
    }

    /// The payload kind.
    pub fn payload(self) -> PayloadKind {
        PayloadKind::from_number(self.0 >> 4 & 7).unwrap_or_default()
    }
}

/// A group of admitted alerts, joined with the inventory, column by column in log order. Who reads the log may leave out
/// columns that nobody will look at: those are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The device's number.
    pub device_no: Vec<u32>,
    /// The device's EUI-64.
    pub device: Vec<u64>,
    /// The recipient's EUI-64, 0 when not known.
    pub recipient: Vec<u64>,
    /// Originator counter; 0 where the flag is clear.
    pub counter: Vec<u64>,
    /// Alert code.
    pub code: Vec<u16>,
    /// Time of occurrence.
    pub occurred_ms: Vec<Millis>,
    /// Time of receipt.
    pub received_ms: Vec<Millis>,
    /// The DCC's time, 0 when not stated.
    pub dcc_ms: Vec<Millis>,
    /// Measurement; 0 where the flag is clear.
    pub measurement: Vec<i32>,
    /// How many alerts it stands for.
    pub weight: Vec<u32>,
    /// See [`Flags`].
    pub flags: Vec<u8>,
    /// Distributor id, 0 when not known.
    pub operator: Vec<u8>,
    /// Model id, 0 when not known.
    pub model: Vec<u32>,
    /// See [`Remarks`].
    pub remarks: Vec<u32>,
    /// See [`Message::sender`].
    pub sender: Vec<u64>,
    /// See [`Message::instruction`].
    pub instruction: Vec<u32>,
    /// See [`Message::digest`].
    pub digest: Vec<u64>,
    /// A [`TimeStatus`] by its number.
    pub time_status: Vec<u8>,
    /// What sources state beside, by row, in order of rows; nothing for a row that is not there.
    pub details: Vec<(u32, Details)>,
}

impl Rows {
    /// How many alerts.
    pub fn len(&self) -> usize {
        self.device_no.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.device_no.is_empty()
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        let Self { device_no, device, recipient, counter, code, .. } = self;
        device_no.reserve(more);
        device.reserve(more);
        recipient.reserve(more);
        counter.reserve(more);
        code.reserve(more);
        let Self { occurred_ms, received_ms, dcc_ms, measurement, weight, flags, operator, model, remarks, .. } = self;
        occurred_ms.reserve(more);
        received_ms.reserve(more);
        dcc_ms.reserve(more);
        remarks.reserve(more);
        measurement.reserve(more);
        weight.reserve(more);
        flags.reserve(more);
        operator.reserve(more);
        model.reserve(more);
        let Self { sender, instruction, digest, time_status, .. } = self;
        sender.reserve(more);
        instruction.reserve(more);
        digest.reserve(more);
        time_status.reserve(more);
    }

    /// Appends one alert with its times settled and its join.
    pub fn push(
        &mut self,
        alert: &Alert,
        times: (Millis, Millis),
        device_no: DeviceNo,
        (operator, generation, model): (OperatorId, Generation, ModelId),
    ) {
        let (occurred_ms, received_ms) = times;
        self.device_no.push(device_no.0);
        self.device.push(alert.device.0);
        self.recipient.push(alert.recipient.0);
        self.counter.push(alert.counter.unwrap_or(0));
        self.code.push(alert.code.0);
        self.occurred_ms.push(occurred_ms);
        self.received_ms.push(received_ms);
        let left_out = alert.message.dcc_time == DccTimeStatus::LeftOut;
        self.dcc_ms.push(alert.dcc_ms.filter(|_| !left_out).unwrap_or(0));
        self.measurement.push(alert.measurement.unwrap_or(0));
        self.weight.push(alert.weight);
        self.flags.push(Flags::new(alert, generation).0);
        self.operator.push(operator.get());
        self.model.push(model.0);
        self.remarks.push(0);
        let Message { sender, instruction, digest, time, .. } = alert.message;
        self.sender.push(sender.0);
        self.instruction.push(instruction);
        self.digest.push(digest);
        let time = if alert.occurred_ms.is_none() && time.is_stated() { TimeStatus::NotStated } else { time };
        self.time_status.push(time as u8);
        if !alert.details.is_empty() {
            self.details.push((self.len() as u32 - 1, alert.details));
        }
        if left_out {
            self.remark(self.len() - 1, Remark::DccAtLeftOut);
        }
    }

    /// Makes a remark about one alert.
    pub fn remark(&mut self, row: usize, remark: Remark) {
        let mut remarks = Remarks(self.remarks[row]);
        remarks.add(remark);
        self.remarks[row] = remarks.0;
    }

    /// Some rows, in that order. Columns that were left out stay so.
    pub fn pick(&self, which: &[u32]) -> Self {
        fn column<T: Copy>(column: &[T], which: &[u32]) -> Vec<T> {
            if column.is_empty() { Vec::new() } else { which.iter().map(|row| column[*row as usize]).collect() }
        }
        let Self { device_no, device, recipient, counter, code, occurred_ms, .. } = self;
        let Self { received_ms, dcc_ms, measurement, weight, flags, operator, model, remarks, .. } = self;
        let Self { sender, instruction, digest, time_status, .. } = self;
        let picked = |(to, row): (usize, &u32)| Some((to as u32, self.details(*row as usize)?));
        Self {
            details: which.iter().enumerate().filter(|_| !self.details.is_empty()).filter_map(picked).collect(),
            device_no: column(device_no, which),
            device: column(device, which),
            recipient: column(recipient, which),
            counter: column(counter, which),
            code: column(code, which),
            occurred_ms: column(occurred_ms, which),
            received_ms: column(received_ms, which),
            dcc_ms: column(dcc_ms, which),
            measurement: column(measurement, which),
            weight: column(weight, which),
            flags: column(flags, which),
            operator: column(operator, which),
            model: column(model, which),
            remarks: column(remarks, which),
            sender: column(sender, which),
            instruction: column(instruction, which),
            digest: column(digest, which),
            time_status: column(time_status, which),
        }
    }

    /// What the source of a row's alert states beside it, if anything.
    pub fn details(&self, row: usize) -> Option<Details> {
        let at = self.details.binary_search_by_key(&row, |(row, _)| *row as usize).ok()?;
        Some(self.details[at].1)
    }

    /// The alert of one row, as it was sent, with its times filled in.
    pub fn alert(&self, row: usize) -> Alert {
        let (flags, remarks) = (Flags(self.flags[row]), Remarks(self.remarks[row]));
        let left_out = remarks.has(Remark::DccAtLeftOut);
        Alert {
            device: Eui64(self.device[row]),
            recipient: Eui64(self.recipient[row]),
            counter: flags.has_counter().then_some(self.counter[row]),
            code: AlertCode(self.code[row]),
            occurred_ms: Some(self.occurred_ms[row]),
            dcc_ms: Some(self.dcc_ms[row]).filter(|ms| *ms != 0),
            received_ms: Some(self.received_ms[row]),
            measurement: flags.has_measurement().then_some(self.measurement[row]),
            weight: self.weight[row],
            payload: flags.payload(),
            generation: flags.stated_generation(remarks),
            message: Message {
                sender: Eui64(self.sender[row]),
                instruction: self.instruction[row],
                digest: self.digest[row],
                time: self.time_status(row),
                dcc_time: if left_out { DccTimeStatus::LeftOut } else { DccTimeStatus::AsStated },
            },
            details: self.details(row).unwrap_or_default(),
        }
    }

    /// The operator of a row's device, unknown where none is known.
    pub fn operator_of(&self, row: usize) -> OperatorId {
        OperatorId::new(u32::from(self.operator[row])).unwrap_or_default()
    }

    /// What is known of a row's time of occurrence.
    pub fn time_status(&self, row: usize) -> TimeStatus {
        TimeStatus::from_number(self.time_status[row]).unwrap_or_default()
    }
}
