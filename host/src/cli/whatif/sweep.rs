//! A sweep: one parameter, many values.
//!
//! It must not know what the parameter means. Invariant: nothing but the named parameter differs from what is swept over.

use std::str::FromStr;

use serde_json::Value;

/// Values of one sweep at most; the host's own limit may be lower.
const VALUES_MAX: usize = 256;

/// A parameter and its values, integers from the first to the last in steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sweep {
    name: String,
    values: Vec<i64>,
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected NAME=LOW..HIGH:STEP, like below_dv=2530..2600:10".to_owned();
        let (name, range) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
        let values = Steps::read(range).ok_or_else(wrong)?.values(VALUES_MAX)?;
        Ok(Self { name: name.to_owned(), values })
    }
}

/// Integers from the first to the last in steps.
pub(super) struct Steps {
    pub(super) low: i64,
    high: i64,
    step: usize,
}

impl Steps {
    /// Reads LOW..HIGH:STEP, or LOW..HIGH for steps of 1; `None` for any other text, and where there is no such integer.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (low, rest) = text.split_once("..")?;
        let (high, step) = rest.split_once(':').unwrap_or((rest, "1"));
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let (low, high, step) = (number(low)?, number(high)?, usize::try_from(number(step)?).ok()?);
        (step >= 1 && high >= low).then_some(Self { low, high, step })
    }

    /// Returns all of them, or says that there are more than `values_max`.
    pub(super) fn values(&self, values_max: usize) -> Result<Vec<i64>, String> {
        let values: Vec<i64> = (self.low..=self.high).step_by(self.step).take(values_max.saturating_add(1)).collect();
        match values.len() > values_max {
            true => Err(format!("more than {values_max} values; make the steps larger")),
            false => Ok(values),
        }
    }
}

impl Sweep {
    /// A JSON object with each of the values in turn.
    pub(crate) fn over(&self, parameters: &str) -> Result<Vec<String>, String> {
        let parsed = serde_json::from_str::<Value>(parameters);
        let Ok(Value::Object(object)) = parsed else { return Err("what it goes over is no JSON object".to_owned()) };
        let with = |value: &i64| {
            let mut object = object.clone();
            object.insert(self.name.clone(), Value::from(*value));
            Value::Object(object).to_string()
        };
        Ok(self.values.iter().map(with).collect())
    }

    /// What tells one value from the others.
    pub(crate) fn label(&self, at: usize) -> String {
        self.values.get(at).map_or_else(String::new, |value| format!("{}={value}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_goes_from_the_first_to_the_last_in_steps() {
        let sweep: Sweep = "below_dv=2530..2560:15".parse().unwrap();
        let over = sweep.over(r#"{"codes":["8F40"],"below_dv":1}"#).unwrap();
        assert_eq!(over.len(), 3);
        for (at, value) in [2530, 2545, 2560].into_iter().enumerate() {
            let object: Value = serde_json::from_str(&over[at]).unwrap();
            assert_eq!(object, serde_json::json!({ "codes": ["8F40"], "below_dv": value }));
            assert_eq!(sweep.label(at), format!("below_dv={value}"));
        }
        assert_eq!("n=-2..1".parse::<Sweep>().unwrap().values, [-2, -1, 0, 1]);
        for wrong in ["", "n", "n=1", "n=2..1", "n=1..2:0", "n=1..x", "=1..2", "n=1..2:-1", "n=0..1000:1"] {
            assert!(wrong.parse::<Sweep>().is_err(), "{wrong}");
        }
        assert!(sweep.over("[]").is_err());
    }
}
