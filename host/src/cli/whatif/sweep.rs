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
        let (name, range) = text.split_once('=').ok_or_else(wrong)?;
        let (low, rest) = range.split_once("..").ok_or_else(wrong)?;
        let (high, step) = rest.split_once(':').unwrap_or((rest, "1"));
        let number = |text: &str| text.trim().parse::<i64>().map_err(|_| wrong());
        let (low, high, step) = (number(low)?, number(high)?, number(step)?);
        if name.is_empty() || step < 1 || high < low {
            return Err(wrong());
        }
        let step = usize::try_from(step).map_err(|_| wrong())?;
        let values: Vec<i64> = (low..=high).step_by(step).take(VALUES_MAX + 1).collect();
        if values.len() > VALUES_MAX {
            return Err(format!("more than {VALUES_MAX} values; make the steps larger"));
        }
        Ok(Self { name: name.to_owned(), values })
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
