//! Health: whether the host takes alerts, in the standard protocol.
//!
//! It must not know why a host would not. Invariant: all services share one answer, for they share one pipeline.

use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};
use weir_proto::v1::{
    alert_service_server::AlertServiceServer, audit_service_server::AuditServiceServer,
    count_service_server::CountServiceServer, cursor_service_server::CursorServiceServer,
    device_service_server::DeviceServiceServer, plugin_service_server::PluginServiceServer,
    producer_service_server::ProducerServiceServer, report_service_server::ReportServiceServer,
    rule_service_server::RuleServiceServer, token_service_server::TokenServiceServer,
    trial_service_server::TrialServiceServer, verify_service_server::VerifyServiceServer,
    what_if_service_server::WhatIfServiceServer,
};

use super::{
    alerts::Alerts, audit::Audit, counts::Counts, devices::Devices, plugins::Plugins, producers::Producers,
    reports::Reports, rules::Rules, subscribe::Cursors, tokens::Tokens, trials::Trials, whatif::WhatIfs,
};
use crate::pipeline::Status;

/// The services by name; the empty name is the server as a whole.
const SERVICES: [&str; 14] = [
    "",
    AlertServiceServer::<Alerts>::NAME,
    PluginServiceServer::<Plugins>::NAME,
    ProducerServiceServer::<Producers>::NAME,
    RuleServiceServer::<Rules>::NAME,
    DeviceServiceServer::<Devices>::NAME,
    CountServiceServer::<Counts>::NAME,
    TrialServiceServer::<Trials>::NAME,
    ReportServiceServer::<Reports>::NAME,
    TokenServiceServer::<Tokens>::NAME,
    AuditServiceServer::<Audit>::NAME,
    CursorServiceServer::<Cursors>::NAME,
    WhatIfServiceServer::<WhatIfs>::NAME,
    VerifyServiceServer::<WhatIfs>::NAME,
];

/// Reports what the pipeline says of itself, as long as it is polled. It does not return.
pub async fn follow(mut status: watch::Receiver<Status>, reporter: &HealthReporter) {
    loop {
        let serving = *status.borrow_and_update() == Status::Serving;
        report(reporter, serving).await;
        if status.changed().await.is_err() {
            // Nobody is left who could change it: the pipeline is gone.
            report(reporter, false).await;
            return std::future::pending().await;
        }
    }
}

/// Reports one answer for all services.
pub async fn report(reporter: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
