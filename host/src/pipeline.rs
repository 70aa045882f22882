//! The pipeline: collect, admit, evaluate, commit, act.
//!
//! Two threads. The *fold* collects a group, admits and evaluates it and hands its effects over; the *committer* writes
//! them in one transaction and only then acts: answers producers, publishes counts and rules. So a group is evaluated
//! while the one before is in its fsync, and answers keep their order.
//!
//! It must not know gRPC. Invariant: nobody is told of anything before the transaction that holds it is durable. When
//! one fails, memory that ran ahead of the disk is thrown away and built again from the store.

mod changes;
mod clock;
mod collect;
mod commit;
mod cursors;
mod desk;
mod devices;
mod digest;
mod ends;
mod engine;
mod faults;
mod figures;
mod guards;
mod handle;
mod open;
mod plugins;
mod processors;
mod producers;
mod progress;
mod quarantine;
mod readings;
mod refusal;
mod retention;
mod sending;
mod shared;
mod supervise;
mod tokens;
mod turns;
mod wanted;

pub use clock::{Clock, Shown, WrongClock};
pub use collect::{GroupSize, GroupSizing};
pub use cursors::Seat;
pub use desk::{Head, QuestionView, Stage};
pub use devices::{DevicesPut, LeftHub, LoadState, LoadTerms, NamedDevice, SharedPoint};
pub use figures::{DURATION_BOUNDS_S, Durations, Figures, RuleFigures};
pub use handle::{
    Allowed, AtPoint, Batch, CodeCoverage, CodesView, Component, CoverageQuery, CursorView, DeniedCaller, DevicePart,
    DeviceRequest, DeviceView, DevicesQuery, ExplanationView, Handle, HostView, InventoryCount, InventoryCounts,
    InventoryKey, InventoryQuery, MigrationQuery, MigrationView, NewToken, Piece, PluginView, PointHistory,
    PointPeriod, PointTenure, Promotion, Proposal, ProposalKind, ProposalQuery, Proposals, ReadingCoverage,
    ReadingStatus, RuleChange, RuleChangesQuery, RuleRequest, StandingAt, Status, SubscribeRequest, Subscription,
    ThresholdPut, VariantRequest, Watched, WhatIfRequest,
};
pub use open::{Opener, Parts, StartError, acks_kept, code_table, system_times};
pub use plugins::Revoked;
pub use producers::{ProducerView, Standing};
pub use progress::Progress;
pub use refusal::Refusal;
pub use sending::BatchSender;
pub use supervise::{Runner, start, start_with};
pub use turns::stand_back;
pub use wanted::{Waiting, Wanted};
