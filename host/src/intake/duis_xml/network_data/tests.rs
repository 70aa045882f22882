//! Parsed responses to service request 4.10, made here by the schemas of DUIS and MMC 5.4.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::intake::{readings::reader, sources::Items};

const METER: &str = "02-00-5E-10-00-00-A0-14";
const USER: &str = "02-00-5E-10-00-00-05-01";
const MIDNIGHT: Millis = 1_795_392_000_000;

type Read = (Vec<Result<Measured, String>>, Vec<String>);

fn read(text: &str, options: Options, form: &Form) -> Read {
    let mut items: Items<&[u8], Measured> = reader(options).duis_xml(text.as_bytes(), form);
    let (mut read, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = items.next();
        remarks.extend(std::iter::from_fn(|| items.remark()).map(|remark| remark.to_string()));
        match item {
            Some(item) => read.push(item.map_err(|error| error.to_string())),
            None => return (read, remarks),
        }
    }
}

fn plain(text: &str) -> Read {
    read(text, Options::default(), &Form::default())
}

/// A parsed message with an attribute of its time stamp, an attribute of the response, and what is in that.
pub(super) fn parsed(clock: &str, success: &str, content: &str) -> String {
    format!(
        "<ra:GBCSResponse xmlns:ra=\"http://www.dccinterface.co.uk/ResponseAndAlert\" schemaVersion=\"5.4\"><ra:Header>\
         <ra:BusinessOriginatorID>{METER}</ra:BusinessOriginatorID><ra:BusinessTargetID>{USER}</ra:BusinessTargetID>\
         <ra:OriginatorCounter>1002</ra:OriginatorCounter><ra:GBCSHexadecimalMessageCode>0039</ra:GBCSHexadecimalMessageCode>\
         <ra:ServiceReference>4.10</ra:ServiceReference><ra:ServiceReferenceVariant>4.10</ra:ServiceReferenceVariant>\
         <ra:Timestamp{clock}>2026-11-23T01:00:05Z</ra:Timestamp></ra:Header><ra:Body><ra:ResponseMessage><ra:SMETSData>\
         <ra:ReadNetworkDataRsp{success}>{content}</ra:ReadNetworkDataRsp></ra:SMETSData></ra:ResponseMessage></ra:Body>\
         </ra:GBCSResponse>"
    )
}

fn entry(value: &str, time: &str) -> String {
    let value = if value.is_empty() { String::new() } else { format!("<ra:Value>{value}</ra:Value>") };
    format!("<ra:LogEntry>{value}<ra:Timestamp>{time}</ra:Timestamp></ra:LogEntry>")
}

fn log(entries: &str, period: &str) -> String {
    let period = if period.is_empty() {
        String::new()
    } else {
        format!("<ra:MeasurementPeriod>{period}</ra:MeasurementPeriod>")
    };
    format!(
        "<ra:AvgRMSOverVoltageCounter><ra:Value>147</ra:Value></ra:AvgRMSOverVoltageCounter>\
         <ra:AvgRMSVoltageProfileDataLog>{entries}{period}</ra:AvgRMSVoltageProfileDataLog>"
    )
}

fn single(entries: &str, period: &str) -> String {
    let log = log(entries, period);
    format!("<ra:Electricity><ra:SinglePhaseESME>{log}</ra:SinglePhaseESME></ra:Electricity>")
}

fn reading(end_ms: Millis, phase: Phase, volts: u16) -> Reading {
    let volts = crate::domain::Volts::whole(volts).unwrap();
    Reading { device: METER.parse().unwrap(), phase, end_ms, length_s: 1_800, volts }
}

#[test]
fn entries_of_a_single_phase_meter_are_readings_whose_times_are_ends() {
    let entries = [entry("241", "2026-11-23T00:00:00Z"), entry("242.0", "2026-11-23T00:30:00Z")].concat();
    let document = parsed("", " MessageSuccess=\"true\"", &single(&entries, "1800"));
    let expected = [
        Ok(Measured::Reading(reading(MIDNIGHT, Phase::Whole, 241))),
        Ok(Measured::Reading(reading(MIDNIGHT + 1_800_000, Phase::Whole, 242))),
    ];
    let (items, remarks) = plain(&document);
    assert_eq!((&items[..], remarks.len()), (&expected[..], 0));
    // Within the DCC's response, and one of a SMETS1 meter.
    let id = format!(
        "<sr:Header><sr:ResponseID>{METER}:{USER}:1002</sr:ResponseID><sr:ResponseCode>I0</sr:ResponseCode></sr:Header>"
    );
    let around = |inner: &str| format!("<sr:Response>{id}<sr:Body>{inner}</sr:Body></sr:Response>");
    assert_eq!(plain(&around(&document)).0, expected);
    let smets1 = document.replace("ra:GBCSResponse", "ra:SMETS1Response");
    let signed = format!(
        "<sr:SMETS1ResponseMessage><sr:SMETS1SignedResponse>{smets1}</sr:SMETS1SignedResponse></sr:SMETS1ResponseMessage>"
    );
    assert_eq!(plain(&around(&signed)).0, expected);
    assert_eq!(plain(&format!("{document}\n{document}")).0.len(), 4, "one after the other");
    let start = Options { stamp: Some(Stamp::Start), ..Options::default() };
    let (items, _) = read(&document, start, &Form::default());
    assert_eq!(
        items[0],
        Ok(Measured::Reading(reading(MIDNIGHT + 1_800_000, Phase::Whole, 241))),
        "if the caller says so"
    );
}

#[test]
fn each_phase_of_a_poly_phase_meter_has_a_log() {
    let phase = |number: &str, volts: &str| {
        let log = log(&entry(volts, "2026-11-23T00:00:00Z"), "1800");
        let data = format!("<ra:VoltageOperationalData>{log}</ra:VoltageOperationalData>");
        format!("<ra:PhaseVoltageOperationalData>{data}{number}</ra:PhaseVoltageOperationalData>")
    };
    let of = |first: &str| {
        let phases = [phase(first, "241"), phase("<ra:Phase>3</ra:Phase>", "243")].concat();
        plain(&parsed(
            "",
            "",
            &format!("<ra:Electricity><ra:PolyPhaseESME>{phases}</ra:PolyPhaseESME></ra:Electricity>"),
        ))
        .0
    };
    let three = Ok(Measured::Reading(reading(MIDNIGHT, Phase::L3, 243)));
    assert_eq!(of("<ra:Phase>1</ra:Phase>"), [Ok(Measured::Reading(reading(MIDNIGHT, Phase::L1, 241))), three]);
    for wrong in ["", "<ra:Phase>4</ra:Phase>", "<ra:Phase>whole</ra:Phase>"] {
        let items = of(wrong);
        let error = items.last().unwrap().as_ref().unwrap_err();
        assert!(error.contains("Phase: ") && error.ends_with(&format!("; of {METER}")), "{wrong}: {error}");
    }
}

#[test]
fn an_entry_without_a_value_and_one_of_a_clock_that_was_never_set_are_reads_that_failed() {
    let entries =
        [entry("", "2026-11-23T00:00:00Z"), entry("NaN", "2026-11-23T00:30:00Z"), entry("241", "2026-11-23T01:00:00Z")]
            .concat();
    let failed = |items: &[Result<Measured, String>]| -> Vec<bool> {
        items.iter().map(|item| matches!(item, Ok(Measured::Failed { .. }))).collect()
    };
    let (items, remarks) = plain(&parsed("", "", &single(&entries, "1800")));
    assert_eq!((failed(&items), remarks.len()), (vec![true, true, false], 0));
    let Ok(Measured::Failed { field, why, .. }) = &items[0] else { panic!("{items:?}") };
    assert_eq!((field.as_str(), why.as_str()), ("Value", "it is missing: the read of \"2026-11-23T00:00:00Z\" failed"));
    let (items, remarks) = plain(&parsed(" ClockStatus=\"invalid\"", "", &single(&entries, "1800")));
    assert_eq!((failed(&items), remarks.len()), (vec![true; 3], 1));
    let (items, remarks) = plain(&parsed(" ClockStatus=\"unreliable\"", "", &single(&entries, "1800")));
    assert_eq!(failed(&items), [true, true, false]);
    assert!(remarks[0].contains("ClockStatus: \"unreliable\" by the word of 02-00-5E-10-00-00-A0-14"), "{remarks:?}");
    let (items, _) = plain(&parsed(" ClockStatus=\"reliable\"", "", &single(&entries, "1800")));
    assert_eq!(failed(&items), [true, true, false]);
}

#[test]
fn what_cannot_be_read_of_a_log_is_named_and_the_rest_is_read() {
    let entries = [
        entry("2581", "2026-11-23T00:00:00Z"),
        entry("241", "2026-11-23T00:30:00"),
        entry("241", "2026-11-23T01:00:00Z"),
    ]
    .concat();
    let (items, _) = plain(&parsed("", "", &single(&entries, "1800")));
    assert!(items[0].as_ref().unwrap_err().contains("Value: \"2581\" V is no voltage of a supply"), "{items:?}");
    assert!(items[1].as_ref().unwrap_err().contains("Timestamp: expected a time with a zone"), "{items:?}");
    assert!(items[2].is_ok(), "{items:?}");
    let form = Form { zone: Some(TimeZone::UTC), ..Form::default() };
    assert!(read(&parsed("", "", &single(&entries, "1800")), Options::default(), &form).0[1].is_ok());
    let one = entry("241", "2026-11-23T00:00:00Z");
    let of =
        |period: &str, options| read(&parsed("", "", &single(&one, period)), options, &Form::default()).0.remove(0);
    let half_hours = Options { length_s: Some(1_800), ..Options::default() };
    assert!(of("", Options::default()).unwrap_err().contains("MeasurementPeriod: it is missing; --length 30m says it"));
    assert!(of("", half_hours).is_ok() && of("1800", half_hours).is_ok());
    assert!(of("600", half_hours).unwrap_err().contains("600 s, but --length says 1800 s"));
    assert!(
        of("30", Options::default()).unwrap_err().contains("expected a period of 60 s to 86400 s (a day), found 30 s")
    );
    let without = "<ra:LogEntry><ra:Value>241</ra:Value></ra:LogEntry>";
    let (items, _) = plain(&parsed("", "", &single(without, "1800")));
    assert!(items[0].as_ref().unwrap_err().contains("Timestamp: it is missing beside the value \"241\""), "{items:?}");
}

#[test]
fn a_response_whose_meter_is_in_doubt_is_an_error() {
    let inner = parsed("", "", &single(&entry("241", "2026-11-23T00:00:00Z"), "1800"));
    let around = |id: &str, code: &str, inner: &str| {
        format!(
            "<sr:Response><sr:Header><sr:ResponseID>{id}:{USER}:1002</sr:ResponseID><sr:ResponseCode>{code}</sr:ResponseCode>\
             </sr:Header><sr:Body>{inner}</sr:Body></sr:Response>"
        )
    };
    let (items, _) = plain(&around("02-00-5E-10-00-00-A0-15", "I0", &inner));
    assert!(items[0].as_ref().unwrap_err().contains("whose meter was read is in doubt"), "{items:?}");
    let nobody = inner.replace("BusinessOriginatorID", "Nobody");
    assert!(plain(&nobody).0[0].as_ref().unwrap_err().contains("whose meter was read?"));
    assert_eq!(plain(&around(METER, "I0", &nobody)).0.len(), 1);
    assert!(plain(&around(METER, "I0", &nobody)).0[0].is_ok(), "the envelope names it");
    let (items, _) = plain(&around(METER, "E65", &inner));
    assert!(items[0].as_ref().unwrap_err().contains("the DCC refused the request"), "{items:?}");
    let gas = parsed("", "", "<ra:Gas><ra:NetworkDataLog/></ra:Gas>");
    let (items, remarks) = plain(&gas);
    assert!(items.is_empty() && remarks[0].contains("is of gas, and no voltage; passed over"), "{remarks:?}");
    let alert = around(METER, "I0", "<sr:DeviceAlertMessage/>");
    let (items, remarks) = plain(&alert);
    assert!(items.is_empty() && remarks[0].contains("it holds no ReadNetworkDataRsp"), "{remarks:?}");
    let part = parsed("", " MessageSuccess=\"false\"", "<ra:Electricity><ra:SinglePhaseESME/></ra:Electricity>");
    let (items, remarks) = plain(&part);
    assert!(items.is_empty() && remarks.len() == 2 && remarks[1].contains("did not answer all"), "{remarks:?}");
}

#[test]
fn a_response_that_was_not_parsed_is_read_from_its_message() {
    use crate::intake::gbcs::network_data::tests::{MIDNIGHT_S, single};
    let around = |id: &str, payload: &str| {
        format!(
            "<sr:Response><sr:Header><sr:ResponseID>{id}:{USER}:1002</sr:ResponseID><sr:ResponseCode>I0</sr:ResponseCode>\
             </sr:Header><sr:Body><sr:ResponseMessage><sr:ServiceReference>4.10</sr:ServiceReference>\
             <sr:ServiceReferenceVariant>4.10</sr:ServiceReferenceVariant><sr:GBCSPayload>{payload}</sr:GBCSPayload>\
             </sr:ResponseMessage></sr:Body></sr:Response>"
        )
    };
    let payload = |entries: &[(u32, u32)], period_s| STANDARD.encode(single(entries, period_s));
    let whole = payload(&[(MIDNIGHT_S, 241), (MIDNIGHT_S + 1_800, 65_535)], 1_800);
    let (items, remarks) = plain(&around(METER, &whole));
    assert_eq!((items[0].clone(), remarks.len()), (Ok(Measured::Reading(reading(MIDNIGHT, Phase::Whole, 241))), 0));
    assert!(items[1].as_ref().unwrap_err().contains("Value: \"65535\" V is no voltage of a supply"), "{items:?}");
    let (items, _) = plain(&around("02-00-5E-10-00-00-A0-15", &whole));
    assert!(items[0].as_ref().unwrap_err().contains("whose meter was read is in doubt"), "{items:?}");
    let (items, _) = plain(&around(METER, &payload(&[(MIDNIGHT_S, 241)], 30)));
    assert!(items[0].as_ref().unwrap_err().contains("expected a period of 60 s to 86400 s"), "{items:?}");
    let (items, _) = plain(&around(METER, &whole[..20]));
    assert!(items[0].as_ref().unwrap_err().contains("GBCSPayload: byte "), "{items:?}");
    let (items, _) = plain(&around(METER, "3Q=!"));
    assert!(items[0].as_ref().unwrap_err().contains("GBCSPayload: not base64"), "{items:?}");
}
