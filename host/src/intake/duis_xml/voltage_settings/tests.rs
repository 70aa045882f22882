//! Parsed responses to service requests 6.2.1 and 6.5, made here by the schema of MMC 5.4.

use super::*;
use crate::intake::{sources::Items, thresholds::reader};

const METER: &str = "02-00-5E-10-00-00-A0-14";
const ANSWERED: Millis = 1_795_395_605_000;

type Read = (Vec<Result<Vec<(Limit, u16, Millis)>, String>>, Vec<String>);

fn read(text: &str, from_ms: Option<Millis>) -> Read {
    let mut items: Items<&[u8], Vec<Threshold>> = reader(from_ms).duis_xml(text.as_bytes(), &Form::default());
    let (mut read, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let item = items.next();
        remarks.extend(std::iter::from_fn(|| items.remark()).map(|remark| remark.to_string()));
        match item {
            Some(item) => read.push(
                item.map(|found| found.into_iter().map(|t| (t.limit, t.value_dv, t.from_ms)).collect())
                    .map_err(|error| error.to_string()),
            ),
            None => return (read, remarks),
        }
    }
}

fn parsed(response: &str, attribute: &str, content: &str) -> String {
    format!(
        "<ra:GBCSResponse schemaVersion=\"5.4\"><ra:Header><ra:BusinessOriginatorID>{METER}</ra:BusinessOriginatorID>\
         <ra:BusinessTargetID>02-00-5E-10-00-00-05-01</ra:BusinessTargetID><ra:OriginatorCounter>1000</ra:OriginatorCounter>\
         <ra:Timestamp>2026-11-23T01:00:05Z</ra:Timestamp></ra:Header><ra:Body><ra:ResponseMessage><ra:SMETSData>\
         <ra:{response}{attribute}>{content}</ra:{response}></ra:SMETSData></ra:ResponseMessage></ra:Body></ra:GBCSResponse>"
    )
}

fn settings(over: &str, under: &str) -> String {
    format!(
        "<ra:AverageRMSOverVoltageThreshold>{over}</ra:AverageRMSOverVoltageThreshold>\
         <ra:AverageRMSUnderVoltageThreshold>{under}</ra:AverageRMSUnderVoltageThreshold>"
    )
}

fn single(over: &str, under: &str) -> String {
    let others =
        "<ra:RMSVoltageSettings><ra:RMSVoltageSwellThreshold>253</ra:RMSVoltageSwellThreshold></ra:RMSVoltageSettings>";
    let settings = settings(over, under);
    format!("<ra:SinglePhaseVoltageSettings>{settings}</ra:SinglePhaseVoltageSettings>{others}")
}

#[test]
fn thresholds_of_average_voltage_are_read_and_no_others() {
    let document = parsed(READ, "", &single("264", "200"));
    let both = |at| Ok(vec![(Limit::Over, 2_640, at), (Limit::Under, 2_000, at)]);
    assert_eq!(read(&document, None), (vec![both(ANSWERED)], Vec::new()));
    assert_eq!(read(&document, Some(1)).0, [both(1)], "the caller says from when");
    let none = read(&parsed(READ, "", "<ra:RMSVoltageSettings/>"), None);
    assert!(none.0.is_empty() && none.1[0].contains("has no threshold of average voltage"), "{none:?}");
}

#[test]
fn tenths_of_a_volt_in_a_document_are_refused() {
    for value in ["2530", "1001", "-1", "253.05"] {
        let (items, _) = read(&parsed(READ, "", &single(value, "200")), None);
        let error = items[0].as_ref().unwrap_err();
        for words in ["AverageRMSOverVoltageThreshold: expected volts below 1,000", value, "threshold_dv", METER] {
            assert!(error.contains(words), "{error}");
        }
    }
    assert!(read(&parsed(READ, "", &single("0", "200")), None).0[0].is_err());
}

#[test]
fn phases_agree_or_the_meter_is_named() {
    let phase = |number: u8, over: &str| {
        let settings = settings(over, "207");
        format!(
            "<ra:PolyPhaseVoltageSettings><ra:Phase>{number}</ra:Phase><ra:PhaseVoltageSettings>{settings}\
             </ra:PhaseVoltageSettings></ra:PolyPhaseVoltageSettings>"
        )
    };
    let of = |third: &str| {
        read(&parsed(READ, "", &[phase(1, "253"), phase(2, "253"), phase(3, third)].concat()), None).0.remove(0)
    };
    assert_eq!(of("253"), Ok(vec![(Limit::Over, 2_530, ANSWERED), (Limit::Under, 2_070, ANSWERED)]));
    let error = of("258").unwrap_err();
    assert!(error.contains("253 V and 258 V: phases differ, and a threshold here holds for all"), "{error}");
}

#[test]
fn a_response_to_6_5_confirms_what_a_program_has_put_beside_it() {
    let (items, remarks) = read(&parsed(UPDATE, " MessageSuccess=\"true\"", ""), None);
    assert!(items.is_empty() && remarks[0].contains("confirms a setting and does not say which"), "{remarks:?}");
    let (items, _) = read(&parsed(UPDATE, " MessageSuccess=\"true\"", &single("258", "200")), None);
    assert_eq!(items, [Ok(vec![(Limit::Over, 2_580, ANSWERED), (Limit::Under, 2_000, ANSWERED)])]);
    let (items, remarks) = read(&parsed(UPDATE, " MessageSuccess=\"false\"", &single("258", "200")), None);
    assert!(items.is_empty() && remarks[0].contains("did not take the setting over"), "{remarks:?}");
    let raw = "<sr:Response><sr:Body><sr:ResponseMessage><sr:ServiceReference>6.2.1</sr:ServiceReference><sr:GBCSPayload>3Q==\
               </sr:GBCSPayload></sr:ResponseMessage></sr:Body></sr:Response>";
    assert!(read(raw, None).0[0].as_ref().unwrap_err().contains("the response is not parsed"));
}
