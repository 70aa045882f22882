//! What questions over the past may take up, and how often the host asks one itself.
//!
//! It must not know how they are answered.

use serde::{Deserialize, Serialize};

/// What questions over the past may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhatIfLimits {
    /// Questions worked on at once. Default: 1; 1 to 4.
    pub questions_running_max: usize,
    /// Questions that wait for their turn. Default: 8; 0 to 1,000.
    pub questions_waiting_max: usize,
    /// Questions of one operator that run or wait. Default: 2; 1 to 1,000.
    pub operator_questions_max: usize,
    /// Parameters and plugins tried in one question. Default: 32; 1 to 256.
    pub variants_max: usize,
    /// Sampled alerts of each kind of change and variant. Default: 100; 0 to 1,000.
    pub samples_max: usize,
    /// Devices listed for each variant. Default: 100; 0 to 10,000.
    pub devices_max: usize,
    /// Answers kept; the oldest go. Default: 200; 1 to 10,000.
    pub answers_max: usize,
    /// Answers kept of one operator; its oldest go. Default: 20; 1 to 10,000.
    pub operator_answers_max: usize,
    /// Threads that work on one question. Default: 1; 1 to 4.
    pub threads_max: usize,
    /// Share of a processor that each of them takes, in percent; the rest of the time it rests. Default: 50; 1 to 100.
    pub cpu_percent_max: u32,
    /// How long one question may run, in milliseconds. Default: 3,600,000; 1,000 to 86,400,000.
    pub run_ms_max: u64,
}

/// When the host checks its log by itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyLimits {
    /// Time from the end of one verification to the next, in seconds; 0: never by itself. Default: 0; 0 to 31,536,000.
    pub every_s: u64,
}
