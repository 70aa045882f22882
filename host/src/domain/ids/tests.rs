use super::*;

#[test]
fn eui_is_written_as_hyphenated_pairs_and_read_in_every_common_form() {
    let eui = Eui64(0x00DB_1234_5678_90A0);
    assert_eq!(eui.to_string(), "00-DB-12-34-56-78-90-A0");
    for text in ["00-DB-12-34-56-78-90-A0", "00db1234567890a0", "00:db:12:34:56:78:90:a0"] {
        assert_eq!(text.parse(), Ok(eui), "{text}");
    }
}

#[test]
fn an_eui_that_is_zero_short_or_oddly_separated_is_refused() {
    for text in
        ["", "0", "0000000000000000", "00-DB-12-34-56-78-90", "00DB-12-34-56-78-90-A0-", "0g-DB-12-34-56-78-90-A0"]
    {
        assert!(text.parse::<Eui64>().is_err(), "{text}");
    }
}

#[test]
fn mpans_are_held_to_their_check_digit() {
    // One core a distributor, and published synthetic ones.
    let valid = [
        "1000000000012",
        "1100000000017",
        "1200000000011",
        "1300000000016",
        "1400000000010",
        "1500000000015",
        "1600000000010",
        "1700000000014",
        "1800000000019",
        "1900000000013",
        "2000000000015",
        "2100000000010",
        "2200000000014",
        "2300000000019",
        "1312345678907",
        "2012345678385",
        "1470116845051",
        "2143967712809",
        "1816273348119",
        "2544886475542",
    ];
    for text in valid {
        let mpan: Mpxn = text.parse().unwrap();
        assert_eq!(mpan.to_string(), text);
        assert_eq!(mpan.distributor().unwrap().to_string(), text[..2]);
    }
    for text in ["2499999999990", "8699999999991", "2099999999386", "1099999999997", "0000000000000"] {
        assert!(text.parse::<Mpxn>().is_err(), "{text}");
    }
}

#[test]
fn an_mprn_has_no_distributor_and_other_lengths_are_refused() {
    assert_eq!("1234567890".parse::<Mpxn>().unwrap().distributor(), None);
    assert_eq!("".parse(), Ok(Mpxn::NONE));
    for text in ["12345", "12345678901", "123456789012", "0123456", "12345678x0", "13123456789071"] {
        assert!(text.parse::<Mpxn>().is_err(), "{text}");
    }
}

#[test]
fn codes_are_four_hex_digits() {
    assert_eq!("8F40".parse(), Ok(AlertCode(0x8F40)));
    assert_eq!("0x8f40".parse(), Ok(AlertCode(0x8F40)));
    for text in ["", "8F4", "8F400", "+8F4", "8G40"] {
        assert!(text.parse::<AlertCode>().is_err(), "{text}");
    }
}

#[test]
fn codes_of_the_dcc_have_names_and_numbers_that_no_device_sends() {
    for (text, code) in [("N0", 0xD000), ("n24", 0xD018), ("N999", 0xD3E7), ("AD1", 0xDA01), ("AD9", 0xDA09)] {
        assert_eq!(text.parse(), Ok(AlertCode(code)), "{text}");
        assert_eq!(AlertCode(code).to_string(), text.to_uppercase());
        assert!(AlertCode(code).is_of_dcc());
    }
    for text in ["N", "N1000", "N-1", "AD", "AD999", "AD+1", "N\u{0660}"] {
        assert!(text.parse::<AlertCode>().is_err(), "{text}");
    }
    // A number of four hex digits is that number, whatever its first letters are.
    assert_eq!("AD10".parse(), Ok(AlertCode(0xAD10)));
    for code in 0..=u16::MAX {
        let code = AlertCode(code);
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    assert!(!AlertCode(0x8F40).is_of_dcc() && !AlertCode(0xD3E8).is_of_dcc() && !AlertCode(0xDA0A).is_of_dcc());
}

#[test]
fn model_ids_are_fnv_1a() {
    assert_eq!(ModelId::of(""), ModelId::UNKNOWN);
    assert_eq!(ModelId::of("a"), ModelId(0xE40C_292C));
    assert_eq!(ModelId::of("foobar"), ModelId(0xBF9C_F968));
}
