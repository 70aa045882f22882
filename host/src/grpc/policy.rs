//! Who may call what: one line for every call of the protocol. What is not here is not there for anybody.
//!
//! It must not know who calls. Invariant: the table has a line for each call of the descriptors, and none more.
//!
//! The role of an operator may call what it may call for what is its own: [`Handle`](crate::pipeline::Handle) sees to
//! that, for it is told who asks.

use crate::domain::Role;

/// Roles, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles(u8);

const INGEST: u8 = 1;
const READER: u8 = 2;
const OPERATOR: u8 = 4;
const AUDITOR: u8 = 8;
const ADMIN: u8 = 16;
const INVENTORY: u8 = 32;

/// Whoever may look.
const LOOK: Roles = Roles(READER | OPERATOR | AUDITOR | ADMIN);
/// Whoever may change rules and plugins, and have the host work on a question.
const CHANGE: Roles = Roles(OPERATOR | ADMIN);
/// Whoever may look and note how far they have come. An auditor changes nothing, not even that.
const NOTE: Roles = Roles(READER | OPERATOR | ADMIN);
/// Whoever sends alerts.
const SEND: Roles = Roles(INGEST | ADMIN);
/// Whoever says which devices there are, and whose.
const LOAD: Roles = Roles(INVENTORY | ADMIN);
/// Roles that load readings and thresholds.
const MEASURE: Roles = Roles(INVENTORY | OPERATOR | ADMIN);
/// Whoever looks at that: those who look, and those who load, as far as it is of devices that are theirs to load.
const LOOK_AT_READINGS: Roles = Roles(READER | OPERATOR | AUDITOR | ADMIN | INVENTORY);

/// Calls that need nobody's name: whether the host is well.
const PUBLIC: &str = "/grpc.health.v1.Health/";

/// What the protocol is, for whoever has a name; tools that are not new ask in the older version.
const REFLECTION: [&str; 2] = ["/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];

const POLICY: [(&str, Roles); 61] = [
    ("/weir.v1.AlertService/StreamAlerts", SEND),
    ("/weir.v1.AlertService/SubmitAlerts", SEND),
    ("/weir.v1.AlertService/GetProducer", SEND),
    ("/weir.v1.AlertService/GetIntakeLimits", Roles(INGEST | INVENTORY | READER | OPERATOR | AUDITOR | ADMIN)),
    ("/weir.v1.ProducerService/ListProducers", Roles(INGEST | READER | OPERATOR | AUDITOR | ADMIN)),
    ("/weir.v1.ProducerService/DeleteProducer", SEND),
    ("/weir.v1.AlertService/ListAlerts", LOOK),
    ("/weir.v1.AlertService/ExplainAlert", LOOK),
    ("/weir.v1.AlertService/SubscribeForwarded", LOOK),
    ("/weir.v1.CursorService/AdvanceCursor", NOTE),
    ("/weir.v1.CursorService/ListCursors", LOOK),
    ("/weir.v1.CursorService/DeleteCursor", NOTE),
    ("/weir.v1.CountService/QueryCounts", LOOK),
    ("/weir.v1.CountService/WatchCounts", LOOK),
    ("/weir.v1.DeviceService/PutDevices", LOAD),
    ("/weir.v1.DeviceService/GetDevice", LOOK),
    ("/weir.v1.DeviceService/ListDevices", LOOK),
    ("/weir.v1.DeviceService/ListLabels", LOOK),
    ("/weir.v1.DeviceService/GetPointHistory", LOOK),
    ("/weir.v1.DeviceService/ListPointTenures", LOOK),
    ("/weir.v1.DeviceService/ListProposals", LOOK),
    ("/weir.v1.ReportService/QueryDeviceCounts", LOOK),
    ("/weir.v1.ReportService/QueryInventory", LOOK),
    ("/weir.v1.ReportService/ListRuleChanges", LOOK),
    ("/weir.v1.ReportService/GetMigrationSignal", LOOK),
    ("/weir.v1.ReadingService/GetReadingCoverage", LOOK),
    ("/weir.v1.PluginService/UploadPlugin", CHANGE),
    ("/weir.v1.PluginService/ListPlugins", LOOK),
    ("/weir.v1.PluginService/GetPlugin", LOOK),
    ("/weir.v1.PluginService/RemovePlugin", CHANGE),
    ("/weir.v1.PluginService/RevokePlugin", Roles(ADMIN)),
    ("/weir.v1.RuleService/SetRule", CHANGE),
    ("/weir.v1.RuleService/ListRules", LOOK),
    ("/weir.v1.RuleService/RemoveRule", CHANGE),
    ("/weir.v1.RuleService/ListRuleRevisions", LOOK),
    ("/weir.v1.RuleService/RestoreRule", CHANGE),
    ("/weir.v1.RuleService/ReleaseRule", CHANGE),
    ("/weir.v1.TrialService/CompareRule", LOOK),
    ("/weir.v1.TrialService/PromoteRule", CHANGE),
    ("/weir.v1.WhatIfService/StartWhatIf", CHANGE),
    ("/weir.v1.WhatIfService/GetWhatIf", LOOK),
    ("/weir.v1.WhatIfService/ListWhatIfs", LOOK),
    ("/weir.v1.WhatIfService/CancelWhatIf", CHANGE),
    ("/weir.v1.WhatIfService/WatchWhatIf", LOOK),
    ("/weir.v1.VerifyService/StartVerification", Roles(ADMIN)),
    ("/weir.v1.VerifyService/GetVerification", Roles(READER | AUDITOR | ADMIN)),
    ("/weir.v1.TokenService/CreateToken", Roles(ADMIN)),
    ("/weir.v1.TokenService/ListTokens", Roles(AUDITOR | ADMIN)),
    ("/weir.v1.TokenService/RevokeToken", Roles(ADMIN)),
    ("/weir.v1.AuditService/ListAuditEntries", Roles(AUDITOR | ADMIN)),
    ("/weir.v1.AuditService/VerifyAudit", Roles(AUDITOR | ADMIN)),
    ("/weir.v1.HostService/GetHostStatus", Roles(READER | AUDITOR | ADMIN)),
    ("/weir.v1.HostService/ConfirmClock", Roles(ADMIN)),
    ("/weir.v1.ReadingService/PutReadings", MEASURE),
    ("/weir.v1.ReadingService/ListReadings", LOOK_AT_READINGS),
    ("/weir.v1.ReadingService/GetReadingStatus", LOOK_AT_READINGS),
    ("/weir.v1.ReadingService/PutThresholds", MEASURE),
    ("/weir.v1.ReadingService/ListThresholds", LOOK_AT_READINGS),
    ("/weir.v1.ReadingService/SetReadingModel", CHANGE),
    ("/weir.v1.ReadingService/ListReadingModels", LOOK_AT_READINGS),
    ("/weir.v1.CodeService/ListCodes", Roles(INGEST | INVENTORY | READER | OPERATOR | AUDITOR | ADMIN)),
];

/// Whether a call changes something, which costs a commit, though it is no batch of alerts and no inventory. A cursor's
/// moves cost nothing of their own: they are written with what comes next. Readings have a file of their own, and a tenant
/// one place in the queue for it.
pub fn is_change(path: &str) -> bool {
    ["/weir.v1.CursorService/DeleteCursor", "/weir.v1.ReadingService/PutThresholds"].contains(&path)
        || POLICY.iter().any(|(call, roles)| *call == path && *roles == CHANGE)
}

/// Whether a call needs nobody's name.
pub fn is_public(path: &str) -> bool {
    path.starts_with(PUBLIC)
}

/// Whether a call tells what the protocol is.
pub fn is_reflection(path: &str) -> bool {
    REFLECTION.iter().any(|service| path.starts_with(service))
}

/// The call in a word of this program, for figures: whatever is asked for, there are only so many.
pub fn label(path: &str) -> &'static str {
    match POLICY.iter().find(|(call, _)| *call == path) {
        Some((call, _)) => call,
        None if is_public(path) => "health",
        None if is_reflection(path) => "reflection",
        None => "unknown",
    }
}

/// Whether a role may call. The error names the roles that may; none for a call that does not exist.
pub fn check(path: &str, role: Role) -> Result<(), Roles> {
    if is_reflection(path) {
        return Ok(());
    }
    let roles = POLICY.iter().find(|(call, _)| *call == path).map_or(Roles(0), |(_, roles)| *roles);
    let bit = match role {
        Role::Ingest => INGEST,
        Role::Inventory => INVENTORY,
        Role::Reader => READER,
        Role::Operator(_) => OPERATOR,
        Role::Auditor => AUDITOR,
        Role::Admin => ADMIN,
    };
    if roles.0 & bit != 0 { Ok(()) } else { Err(roles) }
}

impl Roles {
    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (INGEST, "ingest"),
            (INVENTORY, "inventory"),
            (READER, "reader"),
            (OPERATOR, "operator"),
            (AUDITOR, "auditor"),
            (ADMIN, "admin"),
        ];
        all.into_iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::domain::OperatorId;

    #[test]
    fn every_call_of_the_protocol_has_a_line_and_no_line_is_of_another() {
        let set = FileDescriptorSet::decode(weir_proto::v1::FILE_DESCRIPTOR_SET).unwrap();
        let ours = set.file.iter().filter(|file| file.package() == "weir.v1");
        let calls: BTreeSet<String> = ours
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                service.method.iter().map(move |call| format!("/weir.v1.{}/{}", service.name(), call.name()))
            })
            .collect();
        let lines: BTreeSet<String> = POLICY.iter().map(|(call, _)| (*call).to_owned()).collect();
        assert_eq!(lines, calls);
        assert_eq!(lines.len(), POLICY.len(), "each once");
    }

    #[test]
    fn what_is_not_in_the_table_is_denied_to_everybody() {
        let operator = Role::Operator(OperatorId::new(12).unwrap());
        for role in [Role::Ingest, Role::Inventory, Role::Reader, operator, Role::Auditor, Role::Admin] {
            for path in ["/weir.v1.RuleService/DropEverything", "", "/", "/weir.v1.RuleService/SetRule/"] {
                assert_eq!(check(path, role), Err(Roles(0)), "{path}");
            }
        }
    }

    #[test]
    fn every_call_that_an_operator_changes_something_with_is_one_that_changes() {
        let changes: Vec<&str> = POLICY.iter().map(|(path, _)| *path).filter(|path| is_change(path)).collect();
        for (path, roles) in POLICY {
            // An auditor changes nothing, so a call that is open to one does not either.
            let looks = roles.0 & AUDITOR != 0 || path.ends_with("/AdvanceCursor") || path.ends_with("/PutReadings");
            let is_for_operators = roles.0 & OPERATOR != 0;
            assert_eq!(changes.contains(&path), is_for_operators && !looks, "{path}");
        }
    }

    #[test]
    fn roles_that_only_look_change_nothing() {
        for (path, roles) in POLICY {
            let call = path.rsplit('/').next().unwrap();
            let looks = ["List", "Get", "Query", "Compare", "Verify", "Watch", "Subscribe", "Explain"]
                .iter()
                .any(|verb| call.starts_with(verb));
            let changers = roles.0 & (READER | AUDITOR) == 0;
            // A cursor is its holder's own note.
            let notes = path.contains(".CursorService/") && roles.0 & AUDITOR == 0;
            assert!(looks || changers || notes, "{path} is open to {:?}", roles.names());
            assert!(roles.0 & ADMIN != 0, "{path} is closed to admin");
        }
    }
}
