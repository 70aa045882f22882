//! How many alerts have a reading: what is asked in, what was counted out.
//!
//! It must not know how alerts are joined.

use weir_proto::v1;

use super::{each, generation, operator, time};
use crate::{
    domain::{AlertCode, Millis},
    pipeline::{CodeCoverage, CoverageQuery, ReadingCoverage, Refusal},
};

/// Which alerts are looked at.
pub fn query(request: v1::GetReadingCoverageRequest) -> Result<CoverageQuery, Refusal> {
    let v1::GetReadingCoverageRequest { since_ms, until_ms, operators, generations } = request;
    if until_ms != 0 && until_ms <= since_ms {
        return Err(Refusal::invalid("until_ms", format!("{until_ms} is not after since_ms, {since_ms}")));
    }
    Ok(CoverageQuery {
        received_ms: time(since_ms).unwrap_or(Millis::MIN)..time(until_ms).unwrap_or(Millis::MAX),
        operators: each("operators", operators, operator)?,
        generations: each("generations", generations, generation)?,
    })
}

/// What was counted.
pub fn coverage(coverage: ReadingCoverage) -> v1::GetReadingCoverageResponse {
    let code = |(AlertCode(number), counted): (AlertCode, CodeCoverage)| {
        let unjoined =
            counted.unjoined.iter().map(|(why, count)| v1::UnjoinedCount { reason: why.name().to_owned(), count });
        v1::CodeCoverage {
            code: number.into(),
            alert_count: counted.alerts(),
            joined_count: counted.joined,
            unjoined: unjoined.collect(),
        }
    };
    v1::GetReadingCoverageResponse { codes: coverage.into_iter().map(code).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_ends_before_it_begins_and_what_is_no_operator_are_refused_by_their_field() {
        let asked = v1::GetReadingCoverageRequest { since_ms: 7, operators: vec![12], ..Default::default() };
        let read = query(asked.clone()).unwrap();
        assert_eq!((read.received_ms, read.operators.len()), (7..Millis::MAX, 1));
        let backwards = v1::GetReadingCoverageRequest { until_ms: 7, ..asked.clone() };
        assert!(query(backwards).unwrap_err().to_string().contains("until_ms"));
        let nobody = v1::GetReadingCoverageRequest { operators: vec![12, 5], ..asked };
        assert!(query(nobody).unwrap_err().to_string().contains("operators[1]"));
    }
}
