//! Files to begin with, and ways of writing them: another for each number.
//!
//! Invariant: the same number gives the same bytes.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::form::{DateOrder, Encoding, Epoch, Form},
    Format,
};

/// A file as one might come, another for another seed.
pub fn example(format: Format, seed: u32) -> Vec<u8> {
    let of = |at: u32| (seed.wrapping_add(at)).wrapping_mul(0x9E37_79B1) >> 8;
    let device = |at: u32| format!("00-DB-12-34-56-78-90-{:02X}", of(at) % 255 + 1);
    let code = |at: u32| ["8F40", "8014", "8F36", "N24", "AD1"][of(at) as usize % 5];
    match format {
        Format::Csv => {
            let (value, dot) = [("measurement_dv", ""), ("voltage_v", "."), ("power_factor", "."), ("measurement", "")]
                [of(3) as usize % 4];
            let time = if seed.is_multiple_of(2) { "occurred_at,received_ms" } else { "received_at,occurred_ms" };
            let rows = (0..4).map(|at| {
                let counter = of(at) % 1_000;
                let day = of(at) % 28 + 1;
                format!(
                    "{},{counter},\"{}\",2026-11-{day:02}T09:30:00.5Z,{}{counter},{}{dot}{},{}\n",
                    device(at),
                    code(at),
                    1_764_000_000 + i64::from(day),
                    of(at) % 300,
                    of(at) % 10,
                    of(at) % 4 + 1
                )
            });
            [format!("device,counter,code,{time},{value},weight\n")].into_iter().chain(rows).collect::<String>().into()
        }
        Format::Ndjson => (0..3)
            .map(|at| {
                format!(
                    "{{\"device\":\"{}\",\"code\":\"{}\",\"counter\":{},\"voltage_v\":{}.{},\"received_at\":\
                     \"2026-11-23T09:30:00Z\",\"weight\":null}}\n",
                    device(at),
                    code(at),
                    of(at),
                    of(at) % 300,
                    of(at) % 10
                )
            })
            .collect::<String>()
            .into(),
        Format::GbcsHex => {
            let messages = (0..3).map(|at| format!("message {at}\t{}\n", hex(&message(of(at)))));
            [format!("name\tgbcs_hex\n# {seed}\n")].into_iter().chain(messages).collect::<String>().into()
        }
        Format::DuisXml => documents(of),
    }
}

/// Documents as they come: one after the other, wrapped, parsed, or in UTF-16.
fn documents(of: impl Fn(u32) -> u32) -> Vec<u8> {
    let whole: String = (0..2).map(|at| document(of(at), &message(of(at)))).collect();
    let bare = whole.replace("<?xml version=\"1.0\"?>\n", "");
    match of(7) % 6 {
        0 => format!("<s:Envelope xmlns:s='urn:s'><s:Body>{bare}</s:Body></s:Envelope>").into(),
        1 => format!("<All><!-- > --><a><![CDATA[{whole}]]></a></All>").into(),
        2 => whole.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        3 => parsed(of(8)).into(),
        4 => format!("{whole}{}", parsed(of(8))).into(),
        _ => whole.into(),
    }
}

/// A document that has no GBCS message in it: a SMETS1 alert, one that was parsed, or outages.
fn parsed(seed: u32) -> String {
    let party = |of: &str| format!("02-00-5E-10-00-00-{of}");
    let (meter, user, hub) = (party("A0-14"), party("05-01"), party("C0-01"));
    let code = if seed & 16 == 0 { "<r:GBCSHexAlertCode>8F36</r:GBCSHexAlertCode>" } else { "" };
    let time = ["2026-11-23T09:28:20Z", "2026-11-23T24:00:00.000+01:00", "2026-11-23T09:28:20"][seed as usize % 3];
    let message = format!(
        "<r:Header><r:BusinessOriginatorID>{meter}</r:BusinessOriginatorID><r:BusinessTargetID>{user}</r:BusinessTargetID>\
         <r:OriginatorCounter>{seed}</r:OriginatorCounter><r:Timestamp ClockStatus=\"unreliable\">{time}</r:Timestamp>\
         </r:Header><r:Body><r:DeviceAlertMessage><r:DeviceAlertContent>{code}<r:AlertDescription>a b</r:AlertDescription>\
         <r:Timestamp>{time}</r:Timestamp><r:Payload><r:SupplyOutageRestoreAlert><r:interruptionValue>{time}\
         </r:interruptionValue><r:restorationValue>{time}</r:restorationValue></r:SupplyOutageRestoreAlert></r:Payload>\
         </r:DeviceAlertContent></r:DeviceAlertMessage></r:Body>"
    );
    let outage = format!(
        "<s:PowerOutageEvent><s:CommsHubDeviceID>{hub}</s:CommsHubDeviceID><s:StartDateTime>{time}</s:StartDateTime>\
         <s:MPxN>1200000000777</s:MPxN></s:PowerOutageEvent>"
    );
    let body = match seed % 3 {
        0 => {
            return format!(
                "<r:GBCSResponse schemaVersion='5.4'>{message}</r:GBCSResponse>\n<Response/>\n{}",
                document(1, &[])
            );
        }
        1 => format!(
            "<s:SMETS1ResponseMessage><s:ThrottledAlertSequenceId>{seed}</s:ThrottledAlertSequenceId><s:SMETS1SignedResponse>\
             <s:SMETS1Response>{message}</s:SMETS1Response></s:SMETS1SignedResponse></s:SMETS1ResponseMessage>"
        ),
        _ => format!(
            "<s:DCCAlertMessage><s:DCCAlertCode>AD1</s:DCCAlertCode><s:DCCAlert>{outage}{outage}</s:DCCAlert>\
             </s:DCCAlertMessage>"
        ),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<s:Response xmlns:s=\"urn:s\"><s:Header><s:ResponseID>{hub}:{user}:{seed}\
         </s:ResponseID><s:ResponseDateTime>{time}</s:ResponseDateTime></s:Header><s:Body>{body}</s:Body></s:Response>\n{}",
        document(1, &[])
    )
}

/// A message: signed or MAC'd, with a payload of one of the three kinds.
pub fn message(seed: u32) -> Vec<u8> {
    let code = [0x8F, 0x30 + (seed % 16) as u8];
    let payload = match seed % 3 {
        0 => {
            let time = [0x07, 0xEA, 11, 23, 0xFF, 9, 30, 15, 25, 0x80, 0x00, 0xFF];
            [&[0x0F, 0x20, 0, 0, 1, 0, 0x02, 2, 0x12][..], &code, &[0x09, 0x0C], &time].concat()
        }
        1 => [&[0x01, 0x09, 0x01][..], &code, &seed.to_be_bytes(), &[0x0E, 0x00, 0xA3]].concat(),
        _ => [&[0x30, 8, 0x02, 3, 0][..], &code, &[0x02, 0x01, 0x00]].concat(),
    };
    let maced = seed & 8 == 0;
    let mut inner = if maced { vec![0x11, 0, 0, 0, 0] } else { Vec::new() };
    inner.extend([0xDF, 0x09, 0x03]);
    inner.extend(u64::from(seed).to_be_bytes());
    inner.push(8);
    inner.extend(0x00DB_1234_5678_90A0_u64.to_be_bytes());
    inner.push(8);
    inner.extend(0x90B3_D51F_3002_0000_u64.to_be_bytes());
    inner.extend([0, 2, 0x10, u8::from(maced)]);
    inner.push(payload.len() as u8);
    inner.extend(payload);
    inner.push(if maced { 0 } else { 64 });
    inner.extend(vec![0x5A; if maced { 12 } else { 64 }]);
    let wrapper: &[u8] = if maced { &[0xDD, 0, 0, 0, 0, 0, 0, inner.len() as u8] } else { &[] };
    [wrapper, &inner].concat()
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes as the payload of a document.
pub fn document(seed: u32, payload: &[u8]) -> String {
    let payload = STANDARD.encode(payload);
    let alert = match seed % 3 {
        0 => format!(
            "<ra:DeviceAlertMessage><ra:AlertCode>8F{:02X}</ra:AlertCode><ra:ThrottledAlertCount>{}\
             </ra:ThrottledAlertCount><ra:GBCSPayload>{payload}</ra:GBCSPayload></ra:DeviceAlertMessage>",
            0x30 + seed % 16,
            seed % 100
        ),
        1 => "<ra:DCCAlertMessage><ra:DCCAlertCode>N24</ra:DCCAlertCode><ra:DCCAlert><ra:DeviceID>00-DB-12-34-56-78-90-A1\
              </ra:DeviceID></ra:DCCAlert></ra:DCCAlertMessage>"
            .to_owned(),
        _ => format!(
            "<ra:FutureDatedDeviceAlertMessage><ra:FutureDatedAlertCode>8F66</ra:FutureDatedAlertCode><ra:GBCSPayload>\
             {payload}</ra:GBCSPayload></ra:FutureDatedDeviceAlertMessage>"
        ),
    };
    format!(
        "<?xml version=\"1.0\"?>\n<sr:Response xmlns:sr=\"urn:sr\" xmlns:ra=\"urn:ra\"><sr:Header><sr:ResponseID>\
         00-DB-12-34-56-78-90-A0:90-B3-D5-1F-30-02-00-00:{seed}</sr:ResponseID><sr:ResponseDateTime>2026-11-23T09:30:00Z\
         </sr:ResponseDateTime></sr:Header><sr:Body>{alert}</sr:Body></sr:Response>\n"
    )
}

/// A way of writing a file for each number.
pub fn form(number: u32) -> Form {
    let [encoding, delimiter, zone, epoch, order, columns] = [0, 3, 6, 9, 12, 14].map(|bit| number >> bit & 7);
    Form {
        encoding: [
            None,
            Some(Encoding::Utf8),
            Some(Encoding::Utf16Le),
            Some(Encoding::Utf16Be),
            Some(Encoding::Windows1252),
        ]
        .get(encoding as usize)
        .copied()
        .flatten(),
        delimiter: [None, Some(b';'), Some(b'\t'), Some(b'|')].get(delimiter as usize).copied().flatten(),
        decimal_comma: delimiter & 1 == 1,
        zone: [None, Some(jiff::tz::TimeZone::UTC), Some(jiff::tz::get!("Europe/London"))]
            .get(zone as usize)
            .cloned()
            .flatten(),
        epoch: [None, Some(Epoch::Seconds), Some(Epoch::Millis), Some(Epoch::Micros), Some(Epoch::ByMagnitude)]
            .get(epoch as usize)
            .copied()
            .flatten(),
        date_order: [None, Some(DateOrder::DayMonth), Some(DateOrder::MonthDay)].get(order as usize).copied().flatten(),
        columns: if columns == 1 { vec![("device".to_owned(), "Meter ID".to_owned())] } else { Vec::new() },
        labels: Vec::new(),
        units: Default::default(),
        one_line: number & 1 << 20 != 0,
    }
}
