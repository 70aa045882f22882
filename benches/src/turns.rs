//! Turns of two kinds, one after the other: alone, and beside something.
//!
//! It must not know what a host is set beside. Invariant: the ratio is that of what was measured in one run.

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{
    report::{self, thousands},
    sending::{self, Sent},
};

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// What a benchmark in turns is told.
#[derive(Debug, clap::Args)]
pub struct TurnArgs {
    /// Alerts a second.
    #[arg(long, default_value_t = 200_000)]
    pub rate: u32,
    /// Seconds of a turn.
    #[arg(long, default_value_t = 30)]
    pub seconds: u32,
    /// Turns alone, and as many beside what is measured.
    #[arg(long, default_value_t = 3)]
    pub pairs: u32,
    /// Devices in the inventory.
    #[arg(long, default_value_t = 70_000)]
    pub devices: u32,
    /// What everything random follows from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl TurnArgs {
    /// Alerts of one turn, if there are any.
    pub fn alerts(&self) -> Result<u64> {
        ensure!(self.rate > 0 && self.seconds > 0 && self.pairs > 0, "rate, seconds and pairs must be more than 0");
        Ok(u64::from(self.rate) * u64::from(self.seconds))
    }
}

/// All turns of one kind.
#[derive(Debug, Clone)]
pub struct Turns {
    alerts: u64,
    seconds: f64,
    latency_us: Histogram<u64>,
}

impl Turns {
    /// None yet.
    pub fn new() -> Result<Self> {
        Ok(Self { alerts: 0, seconds: 0.0, latency_us: sending::latencies()? })
    }

    /// One more.
    pub fn add(&mut self, sent: &Sent) -> Result<()> {
        report::say(&format!("  p50 {:.1} ms, p99 {:.1} ms", sent.latency_ms(0.5), sent.latency_ms(0.99)));
        self.alerts += sent.alerts;
        self.seconds += sent.elapsed.as_secs_f64();
        self.latency_us.add(&sent.latency_us).context("histograms of different shapes")
    }

    fn ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }

    fn alerts_per_s(&self) -> f64 {
        self.alerts as f64 / self.seconds.max(1e-9)
    }

    fn json(&self) -> Value {
        let ms: Vec<f64> = QUANTILES.iter().map(|quantile| self.ms(*quantile)).collect();
        json!({ "alerts": self.alerts, "alerts_per_s": self.alerts_per_s(), "ack_ms": ms })
    }

    fn row(&self, name: &str) -> Vec<String> {
        let figures = QUANTILES.iter().map(|quantile| format!("{:.1}", self.ms(*quantile)));
        [name.to_owned(), thousands(self.alerts), thousands(self.alerts_per_s() as u64)]
            .into_iter()
            .chain(figures)
            .collect()
    }
}

/// How many times as long the acknowledgement of a batch took, that this part of the batches (0 to 1) did not exceed.
pub fn ratio(alone: &Turns, beside: &Turns, quantile: f64) -> f64 {
    beside.ms(quantile) / alone.ms(quantile).max(1e-9)
}

/// Both kinds and their ratio, as JSON.
pub fn json(alone: &Turns, beside: &Turns) -> Value {
    json!({ "quantiles": QUANTILES, "alone": alone.json(), "beside": beside.json() })
}

/// Both kinds, by their names, and their ratio, as a table.
pub fn table([alone_as, beside_as]: [&str; 2], alone: &Turns, beside: &Turns) -> String {
    let rate = beside.alerts_per_s() / alone.alerts_per_s().max(1e-9);
    let mut ratios = vec!["ratio".to_owned(), String::new(), format!("{rate:.2}")];
    ratios.extend(QUANTILES.iter().map(|quantile| format!("{:.2}", ratio(alone, beside, *quantile))));
    let header = ["", "alerts", "alerts/s", "ack ms p50", "p90", "p99", "p99.9"];
    report::table(&header, 1, [alone.row(alone_as), beside.row(beside_as), ratios]).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn turns_add_up_and_the_ratio_is_beside_by_alone() {
        let turns = |us: &[u64]| {
            let mut latency_us = sending::latencies().unwrap();
            us.iter().for_each(|us| latency_us.saturating_record(*us));
            let sent = Sent { alerts: 10, elapsed: Duration::from_secs(2), latency_us, ends: [10, 0, 0, 0] };
            let mut turns = Turns::new().unwrap();
            turns.add(&sent).unwrap();
            turns.add(&sent).unwrap();
            turns
        };
        let (alone, beside) = (turns(&[1_000; 100]), turns(&[3_000; 100]));
        assert!((ratio(&alone, &beside, 0.99) - 3.0).abs() < 0.01);
        let both = json(&alone, &beside);
        assert_eq!((&both["alone"]["alerts"], &both["beside"]["alerts_per_s"]), (&json!(20), &json!(5.0)));
        assert!(table(["alone", "beside it"], &alone, &beside).contains("beside it"));
    }
}
