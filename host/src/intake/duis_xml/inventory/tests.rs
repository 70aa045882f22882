use super::*;

const HUB: &str = "02-00-5E-10-00-00-C0-01";
const METER: &str = "02-00-5E-10-00-00-A0-01";

/// A response to Read Inventory with these devices.
fn response(devices: &str) -> String {
    format!(
        "<sr:Response xmlns:sr=\"http://www.dccinterface.co.uk/ServiceUserGateway\" schemaVersion=\"5.4\"><sr:Header>\
         <sr:RequestID>90-B3-D5-1F-30-01-00-00:00-00-00-00-00-00-00-00:7</sr:RequestID>\
         <sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>2026-11-23T09:30:15.25Z</sr:ResponseDateTime>\
         </sr:Header><sr:Body><sr:ResponseMessage><sr:ServiceReference>8.2</sr:ServiceReference>\
         <sr:ServiceReferenceVariant>8.2</sr:ServiceReferenceVariant><sr:DSPInventory>{devices}</sr:DSPInventory>\
         </sr:ResponseMessage></sr:Body></sr:Response>"
    )
}

fn device(id: &str, kind: &str, rest: &str) -> String {
    format!(
        "<sr:Device><sr:DeviceID>{id}</sr:DeviceID><sr:DeviceType>{kind}</sr:DeviceType>\
         <sr:DeviceManufacturer>Maker A</sr:DeviceManufacturer><sr:DeviceModel>100</sr:DeviceModel>{rest}</sr:Device>"
    )
}

/// Devices or errors, and remarks.
fn read(text: &str) -> (Vec<Result<Row, String>>, Vec<String>) {
    let mut inventory = Inventory::new(text.as_bytes(), None);
    let (mut rows, mut remarks) = (Vec::new(), Vec::new());
    loop {
        let row = inventory.next();
        remarks.extend(std::iter::from_fn(|| inventory.remark()).map(|remark| remark.to_string()));
        match row {
            Some(row) => rows.push(row.map_err(|error| error.to_string())),
            None => return (rows, remarks),
        }
    }
}

fn point(text: &str) -> Mpxn {
    text.parse().unwrap()
}

#[test]
fn a_meter_comes_with_its_points_and_its_hub() {
    let points = "<sr:ImportMPxN>1000000000012</sr:ImportMPxN>\
                  <sr:SecondaryImportMPAN>1000000000021</sr:SecondaryImportMPAN>\
                  <sr:ExportMPAN>1200000000011</sr:ExportMPAN><sr:ESMEVariant>BD</sr:ESMEVariant>\
                  <sr:CSPRegion>North</sr:CSPRegion>";
    let hub = device(HUB, "CHF", "<sr:CSPRegion>North</sr:CSPRegion>");
    let (rows, remarks) = read(&response(&format!("{}{hub}", device(METER, "ESME", points))));
    assert_eq!(remarks, Vec::<String>::new());
    let meter = Row {
        eui: METER.parse().unwrap(),
        mpxn: point("1000000000012"),
        generation: Generation::Smets2,
        model: "Maker A 100".to_owned(),
        operator: OperatorId::UNKNOWN,
        keep_operator: true,
        labels: Vec::new(),
        placement: PlacementChange {
            secondary: Some(point("1000000000021")),
            export: Some(point("1200000000011")),
            kind: Some(DeviceType::Esme),
            hub: Some(HUB.parse().unwrap()),
        },
    };
    assert_eq!(rows[0], Ok(meter));
    let hub = rows[1].as_ref().unwrap();
    assert_eq!(
        (hub.mpxn, hub.placement.kind, hub.placement.hub),
        (Mpxn::NONE, Some(DeviceType::Chf), Some(Eui64::NONE))
    );
    assert_eq!(hub.operator.get(), 10, "that of its meter");
}

#[test]
fn the_generation_is_by_who_serves_the_device_or_where() {
    let of = |rest: &str| read(&response(&device(METER, "ESME", rest))).0[0].as_ref().unwrap().generation;
    assert_eq!(of("<sr:S1SP>S1SP-1</sr:S1SP>"), Generation::Smets1);
    assert_eq!(of("<sr:CSPRegion>SMETS1</sr:CSPRegion>"), Generation::Smets1);
    assert_eq!(of("<sr:CSPRegion>4G South</sr:CSPRegion>"), Generation::Smets2);
    assert_eq!(of("<sr:CSPRegion>Unknown</sr:CSPRegion>"), Generation::Unknown);
    assert_eq!(of("<sr:CSPRegion> smets1 </sr:CSPRegion>"), Generation::Smets1);
    assert_eq!(of("<sr:CSPRegion>4g  south</sr:CSPRegion>"), Generation::Smets2);
    assert_eq!(of("<sr:CSPRegion>Narnia</sr:CSPRegion>"), Generation::Unknown);
    let (_, remarks) = read(&response(&device(METER, "ESME", "<sr:CSPRegion>Narnia</sr:CSPRegion>")));
    let said = format!("line 1: CSPRegion: \"Narnia\" of {METER} is not known; the generation is taken as unknown");
    assert_eq!(remarks, [said]);
    assert_eq!(of(""), Generation::Unknown);
}

#[test]
fn no_hub_is_stated_where_there_is_none_or_several() {
    let other = "02-00-5E-10-00-00-C0-02";
    let hub = |devices: &str| read(&response(devices)).0[0].as_ref().unwrap().placement.hub;
    let meter = device(METER, "GSME", "<sr:ImportMPxN>7654321</sr:ImportMPxN>");
    assert_eq!(hub(&meter), None);
    let both = format!("{meter}{}{}", device(HUB, "CHF", ""), device(other, "CHF", ""));
    assert_eq!(hub(&both), None);
    let stays = "the hub of its other devices stays as it is";
    let remarks = read(&response(&both)).1;
    assert_eq!(remarks, [format!("line 1: DSPInventory: it has 2 CHFs in service: {stays}")]);
    assert_eq!(hub(&both.replace(other, HUB)), Some(HUB.parse().unwrap()), "one, told of twice");
    // What was taken away is the hub of nothing.
    let gone = |id| device(id, "CHF", "<sr:DeviceStatus>DECOMMISSIONED </sr:DeviceStatus>");
    assert_eq!(hub(&format!("{meter}{}{}", device(HUB, "CHF", ""), gone(other))), Some(HUB.parse().unwrap()));
    let (rows, remarks) = read(&response(&format!("{meter}{}", gone(HUB))));
    assert_eq!(rows[0].as_ref().unwrap().placement.hub, None);
    assert_eq!(remarks, [format!("line 1: DSPInventory: none of its CHFs is in service: {stays}")]);
    let (rows, _) = read(&response(&format!("{meter}{}", device(HUB, "CHF", ""))));
    assert_eq!(rows[1].as_ref().unwrap().operator, OperatorId::UNKNOWN, "gas has no distributor");
}

#[test]
fn a_device_in_another_one_is_read_and_its_hub_is_the_one_around_it() {
    let other_hub = "02-00-5E-10-00-00-C0-02";
    let [meter, gas, display, beside] =
        [METER, "02-00-5E-10-00-00-A0-02", "02-00-5E-10-00-00-A0-03", "02-00-5E-10-00-00-A0-04"];
    let within = |around: &str, devices: &str| around.replace("</sr:Device>", &format!("{devices}</sr:Device>"));
    let points = "<sr:ImportMPxN>1000000000012</sr:ImportMPxN>";
    let proxy = within(&device(gas, "GPF", ""), &device(display, "PPMID", ""));
    let first =
        within(&device(HUB, "CHF", ""), &format!("<sr:Below>{}{proxy}</sr:Below>", device(meter, "ESME", points)));
    let second =
        within(&device(other_hub, "CHF", ""), &device(beside, "ESME", "<sr:ImportMPxN>1200000000011</sr:ImportMPxN>"));
    let (rows, remarks) = read(&response(&format!("{first}{second}")));
    let of = |id: &str| {
        let eui = id.parse().unwrap();
        rows.iter().flatten().find(|row| row.eui == eui).unwrap_or_else(|| panic!("{id}"))
    };
    assert_eq!((rows.len(), remarks), (6, Vec::new()), "no device is left without a hub");
    let hub = |id: &str| of(id).placement.hub.unwrap();
    assert_eq!([meter, gas, display].map(hub), [HUB.parse().unwrap(); 3]);
    assert_eq!((hub(beside), hub(HUB)), (other_hub.parse().unwrap(), Eui64::NONE));
    assert_eq!((of(meter).mpxn, of(HUB).mpxn), (point("1000000000012"), Mpxn::NONE), "each has its own");
    assert_eq!((of(HUB).operator.get(), of(other_hub).operator.get()), (10, 12), "each hub's is that of its meters");
    // A hub that was taken away is the hub of nothing, also of what lies in it.
    let status = "</sr:DeviceType><sr:DeviceStatus>Withdrawn</sr:DeviceStatus>";
    let gone = first.replacen("</sr:DeviceType>", status, 1);
    let (rows, _) = read(&response(&format!("{gone}{second}")));
    assert_eq!(rows[1].as_ref().unwrap().placement.hub, None);
}

#[test]
fn an_inventory_that_is_too_long_says_how_it_is_divided() {
    let one = device(METER, "ESME", "");
    let text = response(&one.repeat(DOCUMENT_BYTES_LIMIT / one.len() + 1));
    let (rows, _) = read(&format!("{text}\n{}", response(&one)));
    let why = rows[0].clone().unwrap_err();
    assert!(
        why.starts_with("line 1: document: longer than 16777216 bytes; divide it: a document is a Response"),
        "{why}"
    );
    assert!(rows.last().unwrap().is_ok(), "what follows is read");
    // Before it is as long, it may have too many elements.
    let many = "<sr:x/>".repeat(524_288);
    let why = read(&response(&format!("{one}{many}"))).0[0].clone().unwrap_err();
    assert!(why.ends_with("more than 524288 elements; divide it into several documents"), "{why}");
}

#[test]
fn a_device_that_was_taken_away_is_at_no_point() {
    let status = "<sr:DeviceStatus>Decommissioned</sr:DeviceStatus>";
    let text = device(METER, "ESME", "<sr:ImportMPxN>1000000000012</sr:ImportMPxN>");
    let (rows, remarks) =
        read(&response(&text.replace("<sr:DeviceManufacturer>", &format!("{status}<sr:DeviceManufacturer>"))));
    assert_eq!(rows[0].as_ref().unwrap().mpxn, Mpxn::NONE);
    assert_eq!(remarks, [format!("line 1: ImportMPxN: {METER} is Decommissioned: it is at 1000000000012 no more")]);
    let of = |status: &str| {
        let status = format!("<sr:ImportMPxN>1000000000012</sr:ImportMPxN><sr:DeviceStatus>{status}</sr:DeviceStatus>");
        let (rows, remarks) = read(&response(&device(METER, "ESME", &status)));
        (rows[0].as_ref().unwrap().mpxn != Mpxn::NONE, remarks)
    };
    assert!(!of("with drawn").0);
    assert_eq!(of("installed not commissioned"), (true, vec![]));
    let said = format!("line 1: DeviceStatus: \"Bananas\" of {METER} is not known; taken as in service");
    assert_eq!(of("Bananas"), (true, vec![said]));
}

#[test]
fn what_is_wrong_names_the_element_and_costs_no_other_device() {
    let good = device(HUB, "CHF", "");
    let wrong = |element: &str| {
        let (rows, _) = read(&response(&format!("{element}{good}")));
        assert!(rows[1].is_ok(), "{element}");
        rows[0].clone().unwrap_err()
    };
    let meter = |rest: &str| device(METER, "ESME", rest);
    for (element, words) in [
        (device("02-00", "ESME", ""), "line 1: DeviceID: expected an EUI-64".to_owned()),
        (
            meter("").replace(&format!("<sr:DeviceID>{METER}</sr:DeviceID>"), ""),
            "line 1: DeviceID: it is missing".to_owned(),
        ),
        (
            meter("").replace("<sr:DeviceType>ESME</sr:DeviceType>", ""),
            format!("line 1: DeviceType: it is missing; of device {METER}"),
        ),
        (
            meter("<sr:ImportMPxN>1000000000013</sr:ImportMPxN>"),
            "line 1: ImportMPxN: expected an MPAN whose 13th digit".to_owned(),
        ),
        (
            meter("<sr:ExportMPAN>7654321</sr:ExportMPAN>"),
            format!("line 1: ExportMPAN: 7654321 is an MPRN; an MPAN has 13 digits; of device {METER}"),
        ),
        (
            meter("<sr:ImportMPxN>1000000000012</sr:ImportMPxN><sr:ExportMPAN>1000000000012</sr:ExportMPAN>"),
            format!("line 1: ExportMPAN: 1000000000012 is another metering point of {METER} already"),
        ),
    ] {
        let error = wrong(&element);
        assert!(error.starts_with(&words), "{error}");
    }
    let (rows, remarks) = read(&response(&device(METER, "XSME", "")));
    assert_eq!(rows[0].as_ref().unwrap().placement.kind, Some(DeviceType::Unknown));
    assert_eq!(remarks, [format!("line 1: DeviceType: \"XSME\" of {METER} is not known; taken as unknown")]);
}

#[test]
fn documents_are_told_apart_whatever_stands_around_them() {
    let one = response(&device(METER, "ESME", ""));
    let two = response(&device(HUB, "CHF", ""));
    let soap =
        format!("<?xml version=\"1.0\"?>\n<e:Envelope xmlns:e=\"x\"><e:Body>{one}</e:Body></e:Envelope>\n{two}\n");
    let (rows, remarks) = read(&soap);
    assert_eq!((rows.len(), remarks.len()), (2, 0));
    assert!(rows.iter().all(Result::is_ok));

    let refused =
        one.replace("I0", "E100").replace("<sr:ResponseMessage>", "<x>").replace("</sr:ResponseMessage>", "</x>");
    let refused = refused.replace("DSPInventory", "y");
    let error = read(&refused).0[0].clone().unwrap_err();
    assert!(error.starts_with("line 1: ResponseCode: \"E100\": the DCC refused the request"), "{error}");
    let (rows, _) = read(&one.replace("I0", "E100"));
    assert_eq!(rows.len(), 1, "no device beside a refusal is taken");
    let error = rows[0].clone().unwrap_err();
    assert!(error.starts_with("line 1: ResponseCode: \"E100\": the DCC refused the request; the inventory"), "{error}");
    let (rows, remarks) = read(&response(""));
    assert!(rows.is_empty());
    assert_eq!(remarks, ["line 1: DSPInventory: it has no Device, so that nothing is loaded of it"]);
    let other = one.replace(">8.2<", ">8.4<");
    assert!(
        read(&other).0[0].clone().unwrap_err().starts_with("line 1: ServiceReference: expected 8.2, found \"8.4\"")
    );
    let (rows, remarks) = read(&one.replace("DSPInventory", "DSPOptIn"));
    assert!(rows.is_empty());
    assert!(remarks[0].starts_with("line 1: Body: it holds no DSPInventory"), "{remarks:?}");
    assert!(read("<html></html>").0[0].clone().unwrap_err().contains("no document is in it"));
}

#[test]
fn the_beginning_tells_documents_from_rows() {
    let utf_16 = |text: &str| {
        [0xFF_u8, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<_>>()
    };
    for (head, is_xml) in [
        (b"<sr:Response".to_vec(), true),
        (b"\xEF\xBB\xBF\r\n <?xml".to_vec(), true),
        (utf_16("<Response"), true),
        (utf_16("eui,mpxn"), false),
        (b"eui,mpxn,generation".to_vec(), false),
        (Vec::new(), false),
    ] {
        assert_eq!(super::super::begins(&head), is_xml, "{head:?}");
    }
}
