use super::*;
use crate::{domain::ReadingFate, pipeline::ThresholdPut, store::ThresholdFate};

const END_MS: Millis = 1_767_226_500_000;

fn sent(index: u64) -> v1::Reading {
    v1::Reading {
        device_id: index + 1,
        end_ms: END_MS,
        length_s: 1_800,
        low_dv: 2_401,
        high_dv: 2_402,
        ..v1::Reading::default()
    }
}

fn request(readings: Vec<v1::Reading>) -> v1::PutReadingsRequest {
    v1::PutReadingsRequest { readings, source: "a.csv".to_owned(), dry_run: true }
}

fn limits() -> ReadingLimits {
    ReadingLimits { put_readings_max: 8, ..ReadingLimits::default() }
}

#[test]
fn a_reading_out_of_range_is_a_problem_that_names_its_field_and_leaves_the_rest() {
    type Spoil<'a> = &'a dyn Fn(&mut v1::Reading);
    let cases: [(Spoil<'_>, &str); 7] = [
        (&|sent| sent.device_id = 0, "device_id: 0 is no device"),
        (&|sent| sent.device_id = u64::MAX, "device_id: FF-FF-FF-FF-FF-FF-FF-FF is the broadcast address"),
        (&|sent| sent.phase = 4, "phase: 4 is no phase"),
        (&|sent| sent.length_s = 59, "length_s: 59 is not 60 to 86400 seconds"),
        (&|sent| sent.end_ms = 1_799_999, "end_ms: 1799999 is not within the years 1970 to 2200"),
        (&|sent| sent.low_dv = 2_403, "low_dv, high_dv: 2403 to 2402 is no range"),
        (&|sent| sent.whole_volts = Some(70_000), "whole_volts: 70000 is more than 999"),
    ];
    let mut readings: Vec<v1::Reading> = (0..8).map(sent).collect();
    for (at, (spoil, _)) in cases.iter().enumerate() {
        spoil(&mut readings[at]);
    }
    let read = Sent::readings(request(readings), &limits()).unwrap();
    assert_eq!((read.rows().len(), read.dry_run, read.source.as_str()), (1, true, "a.csv"));
    let answer = read.readings_put(&[ReadingFate::TooOld], &limits(), 1 << 20);
    assert_eq!((answer.added, answer.problem_count, answer.problems.len()), (0, 8, 8));
    for ((at, problem), (_, words)) in answer.problems.iter().enumerate().zip(cases) {
        assert_eq!((problem.index as usize, problem.kind()), (at, v1::ReadingProblemKind::Invalid));
        assert!(problem.message.starts_with(words), "{}", problem.message);
    }
    assert_eq!(answer.problems[7].kind(), v1::ReadingProblemKind::TooOld);
    let words = "end_ms: 2026-01-01T00:15:00Z: readings.retention_days_max is 400 days";
    assert_eq!(answer.problems[7].message, words);
}

#[test]
fn what_stays_is_told_and_problems_beyond_a_message_are_counted() {
    let read = Sent::readings(request((0..4).map(sent).collect()), &limits()).unwrap();
    let stored = Reading { volts: Volts::whole(258).unwrap(), ..read.rows()[0] };
    let fates =
        [ReadingFate::Contradicts(stored), ReadingFate::Added, ReadingFate::Overlaps(stored), ReadingFate::NotOwn];
    let answer = read.readings_put(&fates, &limits(), 1 << 20);
    assert_eq!((answer.added, answer.problem_count), (1, 3));
    let words = [
        "258 V is stored for that period, and this says 240.1 to 240.2 V",
        "the period 2025-12-31T23:45:00Z to 2026-01-01T00:15:00Z is stored",
        "00-00-00-00-00-00-00-04 is not known to the host as a device of the caller's",
    ];
    assert_eq!(answer.problems.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), words);
    let told = answer.problems[0].stored.unwrap();
    assert_eq!((told.whole_volts, told.low_dv, told.high_dv), (Some(258), 2_570, 2_590));
    let read = Sent::readings(request((0..4).map(sent).collect()), &limits()).unwrap();
    let few = read.readings_put(&fates, &limits(), 250);
    assert_eq!((few.problems.len(), few.problem_count), (1, 3));
    assert!(few.encoded_len() <= 250);
}

#[test]
fn requests_and_their_source_are_bounded() {
    let refused = |request| Sent::readings(request, &limits()).unwrap_err().to_string();
    let many = refused(request((0..9).map(sent).collect()));
    assert!(many.starts_with("readings: 9 readings in one request; at most readings.put_readings_max (8)"), "{many}");
    for (source, words) in [
        (String::new(), "source: \"\" has 0 bytes; 1 to 64 are allowed"),
        ("x".repeat(65), "source: \"xxx"),
        ("a\nb".to_owned(), "source: \"a\\nb\" has the control character"),
    ] {
        let said = refused(v1::PutReadingsRequest { source, ..request(Vec::new()) });
        assert!(said.starts_with(words), "{said}");
    }
}

#[test]
fn thresholds_have_a_source_of_their_own_or_that_of_the_request() {
    let one = |limit: v1::VoltageLimit, value_dv, source: &str| v1::Threshold {
        device_id: 7,
        limit: limit.into(),
        value_dv,
        from_ms: END_MS,
        source: source.to_owned(),
    };
    let thresholds = vec![
        one(v1::VoltageLimit::Over, 2_580, ""),
        one(v1::VoltageLimit::Under, 2_070, "b.csv"),
        one(v1::VoltageLimit::Unspecified, 2_580, ""),
        one(v1::VoltageLimit::Over, 0, ""),
    ];
    let request = v1::PutThresholdsRequest { thresholds, source: "a.csv".to_owned(), dry_run: false };
    let read = Sent::thresholds(request, &limits()).unwrap();
    assert_eq!(read.rows().iter().map(|row| row.source.as_str()).collect::<Vec<_>>(), ["a.csv", "b.csv"]);
    let fates = [ThresholdPut::Known(ThresholdFate::Replaced), ThresholdPut::InFuture];
    let answer = read.thresholds_put(&fates, &limits(), 1 << 20);
    assert_eq!((answer.replaced, answer.problem_count), (1, 3));
    let words = ["from_ms: 2026-01-01T00:15:00Z is more than", "limit: is not stated", "value_dv: 0 is not 1 to 10000"];
    for (problem, words) in answer.problems.iter().zip(words) {
        assert!(problem.message.starts_with(words), "{}", problem.message);
    }
}

#[test]
fn a_model_is_read_whole_or_refused_by_its_field() {
    let mapped = |code, limit: v1::VoltageLimit| v1::MappedCode { code, limit: limit.into(), phase: 1 };
    let set = |codes: Vec<v1::MappedCode>| {
        let model = v1::ReadingModel { model: "A".to_owned(), rounding: 2, codes, operator: 99 };
        model_of(v1::SetReadingModelRequest { model: Some(model) })
    };
    use v1::VoltageLimit::{Over, Under, Unspecified};
    let read = set(vec![mapped(0x8F41, Under), mapped(0x8F40, Over)]).unwrap();
    assert_eq!((read.rounding, read.codes[0].code.0, read.codes[0].phase), (Rounding::Down, 0x8F40, Phase::L1));
    let wire = wire_model((OperatorId::new(12).unwrap(), read.clone()));
    assert_eq!((wire.operator, wire.rounding, wire.codes.len()), (12, 2, 2));
    assert_eq!(model_of(v1::SetReadingModelRequest { model: Some(wire) }).unwrap(), read);
    for (codes, words) in [
        (vec![mapped(1, Over), mapped(1, Under)], "model.codes[1].code: 0001 is there twice"),
        (vec![mapped(1, Unspecified)], "model.codes[0].limit: is not stated"),
        (vec![mapped(70_000, Over)], "model.codes[0].code: 70000 is no alert code"),
        (vec![mapped(1, Over); 17], "model.codes: 17 codes are more than 16"),
    ] {
        let said = set(codes).unwrap_err().to_string();
        assert!(said.starts_with(words), "{said}");
    }
    assert!(model_of(v1::SetReadingModelRequest::default()).is_err());
}

fn model_of(request: v1::SetReadingModelRequest) -> Result<ReadingModel, Refusal> {
    model(request)
}

#[test]
fn pages_of_readings_and_thresholds_come_to_the_end_whatever_a_message_holds() {
    let listed: Vec<ListedReading> = (0..20)
        .map(|at| ListedReading {
            reading: Reading { end_ms: END_MS + at * 60_000, ..reading(&sent(1)).unwrap() },
            source: "a.csv".into(),
        })
        .collect();
    for (count, bytes_max, expected) in [(5, 1 << 20, 5), (50, 1 << 20, 20), (50, 400, 6), (50, 1, 1)] {
        let mut at = 0;
        loop {
            let left: Vec<ListedReading> = listed[at..].iter().take(count + 1).cloned().collect();
            let page = page(left, count, bytes_max);
            assert_eq!(page.readings.len(), page.sources.len());
            assert!(page.readings.len() == expected.min(20 - at) || bytes_max == 400, "{page:?}");
            assert!(page.encoded_len() <= bytes_max || page.readings.len() == 1);
            at += page.readings.len();
            if page.next_page_token.is_empty() {
                break;
            }
            let next = v1::ListReadingsRequest { device_id: 1, page_token: page.next_page_token, ..Default::default() };
            assert_eq!(super::listed(&next).unwrap().after, Some((Phase::Whole, listed[at - 1].reading.end_ms)));
        }
        assert_eq!(at, 20);
    }
    let one =
        |at| Threshold { device: Eui64(1 << 60), limit: Limit::Under, value_dv: 1, from_ms: at, source: String::new() };
    let page = threshold_page(vec![one(1), one(2), one(3)], 2, 1 << 20);
    let next = v1::ListThresholdsRequest { page_token: page.next_page_token, ..Default::default() };
    assert_eq!(listed_thresholds(&next).unwrap(), (None, Some((Eui64(1 << 60), Limit::Under, 2)), 1_000));
    for token in ["x", "5", "9.1", "1.x"] {
        let asked = v1::ListReadingsRequest { device_id: 1, page_token: token.to_owned(), ..Default::default() };
        assert!(super::listed(&asked).unwrap_err().to_string().starts_with("page_token: "), "{token}");
    }
    let asked = |since_ms, until_ms, page_size| {
        let request = v1::ListReadingsRequest { device_id: 1, since_ms, until_ms, page_size, ..Default::default() };
        super::listed(&request).map(|listed| listed.ends).map_err(|refused| refused.to_string())
    };
    assert_eq!((asked(5, 9, 1), asked(0, 0, 0)), (Ok(5..9), Ok(0..Millis::MAX)));
    assert!(asked(9, 9, 0).unwrap_err().starts_with("until_ms: 9 is not after since_ms, 9"));
    assert!(asked(0, 0, 10_001).unwrap_err().starts_with("page_size: 10001 is more than 10000"));
}
