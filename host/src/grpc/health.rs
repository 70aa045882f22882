//! Health: whether each service answers, in the standard protocol.
//!
//! The server as a whole, under the empty name, and AlertService are those that take alerts: they do not serve while the
//! host takes none. Services that change something besides do not while the store is full; those that only read do.

use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};
use weir_proto::v1::{
    alert_service_server::AlertServiceServer, audit_service_server::AuditServiceServer,
    code_service_server::CodeServiceServer, count_service_server::CountServiceServer,
    cursor_service_server::CursorServiceServer, device_service_server::DeviceServiceServer,
    host_service_server::HostServiceServer, plugin_service_server::PluginServiceServer,
    producer_service_server::ProducerServiceServer, reading_service_server::ReadingServiceServer,
    report_service_server::ReportServiceServer, rule_service_server::RuleServiceServer,
    token_service_server::TokenServiceServer, trial_service_server::TrialServiceServer,
    verify_service_server::VerifyServiceServer, what_if_service_server::WhatIfServiceServer,
};

use super::{
    alerts::Alerts, audit::Audit, codes::Codes, counts::Counts, devices::Devices, hosts::Hosts, plugins::Plugins,
    producers::Producers, readings::Readings, reports::Reports, rules::Rules, subscribe::Cursors, tokens::Tokens,
    trials::Trials, whatif::WhatIfs,
};
use crate::pipeline::{Handle, Status};

/// What a service needs to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// That alerts are taken.
    Alerts,
    /// That something can be written.
    Room,
    /// That the store can be read.
    Reading,
    /// That readings of voltages are taken and given.
    Voltages,
}

/// The services by name; the empty name is the server as a whole.
const SERVICES: [(&str, Needs); 17] = [
    ("", Needs::Alerts),
    (AlertServiceServer::<Alerts>::NAME, Needs::Alerts),
    (PluginServiceServer::<Plugins>::NAME, Needs::Room),
    (ProducerServiceServer::<Producers>::NAME, Needs::Room),
    (RuleServiceServer::<Rules>::NAME, Needs::Room),
    (DeviceServiceServer::<Devices>::NAME, Needs::Room),
    (CountServiceServer::<Counts>::NAME, Needs::Reading),
    (TrialServiceServer::<Trials>::NAME, Needs::Room),
    (ReportServiceServer::<Reports>::NAME, Needs::Reading),
    (TokenServiceServer::<Tokens>::NAME, Needs::Room),
    (AuditServiceServer::<Audit>::NAME, Needs::Reading),
    (CursorServiceServer::<Cursors>::NAME, Needs::Room),
    (WhatIfServiceServer::<WhatIfs>::NAME, Needs::Room),
    (VerifyServiceServer::<WhatIfs>::NAME, Needs::Reading),
    (HostServiceServer::<Hosts>::NAME, Needs::Reading),
    (CodeServiceServer::<Codes>::NAME, Needs::Reading),
    (ReadingServiceServer::<Readings>::NAME, Needs::Voltages),
];

impl Needs {
    fn are_met(self, status: &Status, has_voltages: bool) -> bool {
        match status {
            Status::Stopped(_) => false,
            _ if self == Self::Voltages => has_voltages,
            Status::Serving => true,
            Status::ClockWrong(_) => self != Self::Alerts,
            Status::StoreFull => self == Self::Reading,
        }
    }
}

/// Reports what the pipeline says of itself, as long as it is polled. It does not return.
pub async fn follow(handle: &Handle, reporter: &HealthReporter) {
    let (mut status, mut problem) = (handle.status(), handle.readings_problem());
    loop {
        let has_voltages = problem.borrow_and_update().is_empty();
        let now = status.borrow_and_update().clone();
        report(reporter, &now, has_voltages).await;
        let changed = tokio::select! {
            changed = status.changed() => changed,
            changed = problem.changed() => changed,
        };
        if changed.is_err() {
            // Nobody is left who could change it: the pipeline is gone.
            report(reporter, &Status::Stopped(String::new()), false).await;
            return std::future::pending().await;
        }
    }
}

/// Reports each service.
pub async fn report(reporter: &HealthReporter, status: &Status, has_voltages: bool) {
    for (service, needs) in SERVICES {
        let is_serving = needs.are_met(status, has_voltages);
        let serving = if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status(service, serving).await;
    }
}
