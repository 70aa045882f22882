//! The trees that an alert of the DCC can have, each with the device and the time that it names.

use super::{Eui64, Generation, Lots, SIGNATURE, Time};

/// What an alert of the DCC is about.
pub(super) struct Tree {
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) device: Option<Eui64>,
    /// It names several devices and tells not which it is about.
    pub(super) is_of_several: bool,
    pub(super) time: Option<Time>,
    pub(super) generation: Generation,
}

/// Draws a tree.
pub(super) fn tree(lots: &mut Lots) -> Tree {
    let (device, other, time) = (lots.device(0xD1), lots.device(0xD2), lots.time());
    let request = |device: Eui64| format!("02-00-5E-10-00-00-05-01:{device}:7");
    let element = |name: &str, text: &str| format!("<sr:{name}>{text}</sr:{name}>");
    let named = |name: &str, device: Eui64| element(name, &device.to_string());
    let points = |lots: &mut Lots| {
        let further = element("SecondaryImportMPAN", "1000000000012") + &element("ExportMPAN", "1000000000012");
        element("ImportMPxN", "1200000000777") + &lots.maybe(|_| further)
    };
    let firmware = element("FirmwareVersion", "0000000A");
    let tree = |code, text: String| Tree {
        code,
        text,
        device: Some(device),
        is_of_several: false,
        time: None,
        generation: Generation::Unknown,
    };
    match lots.below(24) {
        0 => {
            let text = named("CommsHubDeviceID", device)
                + &element("StartDateTime", &time.text)
                + &element("MPxN", "1200000000777");
            Tree { time: Some(time), ..tree("AD1", element("PowerOutageEvent", &text)) }
        }
        1 => {
            let change = match lots.below(8) {
                0 => {
                    let points = points(lots);
                    element(
                        "MeterIdentity",
                        &(element("MeterMPxNs", &points) + &lots.maybe(|_| element("ESMEVariant", "A"))),
                    )
                }
                1 => {
                    let type_1 =
                        element("AssociatedType1Device", &(named("DeviceID", other) + &element("DeviceType", "PPMID")));
                    let points = points(lots);
                    let text =
                        element("MeterDecommissionOrWithdrawal", &points) + &type_1.repeat(lots.below(8) as usize);
                    element("MeterDecommissioningOrWithdrawal", &text)
                }
                2 => element("RecoveryCompleteACBCredentials", &element("SupplierCertificateType", "DigitalSigning")),
                3 => element("DeviceRemovedFromInventory", ""),
                4 => element("CHFDecommissioning", ""),
                5 => element("DeviceSuspended", ""),
                6 => element("DeviceRestored", ""),
                _ => element("RecoveryComplete", ""),
            };
            tree(
                "N16",
                element(
                    "DeviceStatusChangeEvent",
                    &(named("DeviceID", device) + &element("DeviceStatusChange", &change)),
                ),
            )
        }
        2 => tree("N4", element("DSPScheduleRemoval", &(named("DeviceID", device) + &element("DSPScheduleID", "5")))),
        3 => {
            let schedule = lots.maybe(|_| element("DSPScheduleID", "5"));
            let text = element("CommandRequestID", &request(other)) + &schedule + &named("DeviceID", device);
            tree("N12", element("CommandFailure", &text))
        }
        4 => {
            let is_of_several = lots.toss();
            let list = if is_of_several { format!("{device},{other}") } else { device.to_string() };
            let text = element("UpdateFirmwareRequestID", &request(other)) + &element("MeterIDs", &list);
            let device = (!is_of_several).then_some(device);
            Tree { device, is_of_several, ..tree("N18", element("FirmwareDistributionFailure", &text)) }
        }
        5 => tree(
            "N24",
            element("UpdateHANDeviceLogResult", &element("UpdateHANDeviceLogServiceRequestID", &request(device))),
        ),
        6 if lots.toss() => {
            let text = element("ChangeOfSupplierServiceRequestID", &request(device))
                + &lots.maybe(|_| element("ECoSErrorCode", "E01"));
            tree("N27", element("ChangeOfSupplier", &text))
        }
        6 => {
            let points = points(lots);
            let text = named("DeviceID", device) + &element("DeviceType", "ESME") + &element("MPxNs", &points);
            tree("N26", element("ChangeOfSupplier", &element("DeviceChangeOfSupplier", &text)))
        }
        7 => {
            let (log, chf, gpf) =
                if lots.toss() { ("CHFDeviceLog", device, other) } else { ("GPFDeviceLog", other, device) };
            let old = lots.device(0xD3);
            let ids = named("OldCHFDeviceID", old)
                + &named("NewCHFDeviceID", chf)
                + &named("OldGPFDeviceID", old)
                + &named("NewGPFDeviceID", gpf);
            tree("N33", element("DeviceLogRestored", &(element("RestoredDate", "2026-11-22") + &element(log, &ids))))
        }
        8 => {
            let stated = lots.toss();
            let at = if stated { element("Timestamp", &time.text) } else { String::new() };
            let upgrade = firmware + &element("ActivateImageResultCode", "ActivationSuccess");
            let text = named("DeviceID", device)
                + &element("DeviceAlertCode", "8F8B")
                + &at
                + &lots.maybe(|_| element("PPMIDFirmwareUpgradeAlert", &upgrade));
            Tree { time: stated.then_some(time), ..tree("N59", element("PPMIDAlert", &text)) }
        }
        9 => {
            let hash = element("CertificateType", "KeyAgreement") + &element("CertificateHash", "AAAA");
            let text =
                named("DeviceID", device) + &element("RemotePartyRole", "Supplier") + &element("Certificates", &hash);
            tree("N42", element("SecurityCredentialsUpdated", &text))
        }
        10 => tree("N45", element("PPMIDRemoval", &(named("PPMIDDeviceID", other) + &named("CHFDeviceID", device)))),
        11 => {
            let breach = lots.of(&["ADUserThresholdBreach", "ADDCCThresholdBreach", "ADAttributeLimitsBreach"]);
            let text = element("RequestID", &request(device)) + &element("QuarantineEventRef", "12");
            tree("N48", element("QuarantinedRequest", &element(breach, &text)))
        }
        12 => {
            let text = named("DeviceID", device)
                + &element("DeviceType", "GSME")
                + &element("FirmwareVersionSMI", "0000000A")
                + &element("FirmwareVersionDevice", "0000000B");
            tree("N49", element("FirmwareVersionMismatch", &text))
        }
        13 => {
            let inner = match lots.below(5) {
                0 => element("LimitedDutyCycleActionTaken", &named("DeviceIDToSuspend", other)),
                1 => element(
                    "MessageDiscardedDueToDutyCycleManagement",
                    &(element("RequestID", &request(other)) + &element("CRAFlag", "Alert")),
                ),
                2 => {
                    element("NoMoreSubGHzDeviceCapacity", &(named("DeviceID", other) + &element("DeviceType", "GSME")))
                }
                3 => element(
                    "SubGHzChannelScanRequestAssessmentOutcome",
                    &(element("StatusCode", "HHTConnected") + &element("ScanTrigger", "GSMERequest")),
                ),
                _ => String::new(),
            };
            let text = named("CHFDeviceID", device) + &element("DeviceAlertCode", "8F21") + &inner;
            tree("N54", element("DualBandCHAlert", &text))
        }
        14 => {
            let by_request = lots.toss();
            let names = if by_request { element("RequestID", &request(device)) } else { named("DeviceID", device) };
            let text = names
                + &element("S1SPAlertCode", "S1VE")
                + &lots.maybe(|_| element("AdditionalInformation", "no answer"))
                + &lots.maybe(|_| element("UTRN", "12345678901234567890"))
                + &element("DateTime", &time.text)
                + SIGNATURE;
            let text = format!("<sr:S1SPAlert schemaVersion=\"5.4\">{text}</sr:S1SPAlert>");
            let schedule = lots.maybe(|_| element("DSPScheduleID", "5"));
            let text = element("S1SPAlertDSP", &(text + &schedule));
            Tree { time: Some(time), generation: Generation::Smets1, ..tree("N55", text) }
        }
        15 => {
            let text =
                named("DeviceID", device) + &firmware + &element("FirmwareVersionUpdateStatus", "UpdateRequested");
            tree("N56", element("SMETS1CHFirmwareNotification", &text))
        }
        16 => tree("N57", element("ALCSHCALCSConfigurationChange", &named("ESMEDeviceID", device))),
        17 => {
            let text = element("DeviceType", "PPMID") + &firmware + &element("DeviceList", &device.to_string());
            tree("N58", element("FirmwareUpgradeRequested", &text))
        }
        18 => {
            let text = element("UpdateFirmwareRequestID", &request(other))
                + &named("CommsHubDeviceID", device)
                + &named("TargetDeviceID", other)
                + &firmware
                + &element("TimeStamp", &time.text)
                + &element("CommsHubTransferStatus", "Success");
            Tree { time: Some(time), ..tree("N60", element("CSPFirmwareDeliveryStatus", &text)) }
        }
        19 => {
            let stated = lots.toss();
            let at = if stated { element("TimeStamp", &time.text) } else { String::new() };
            let transfer =
                named("OtherDeviceID", other) + &firmware + &element("TransferResponseCode", "FileTransferFailure");
            let text = named("CommsHubDeviceID", device)
                + &element("AlertCode", "8F72")
                + &at
                + &lots.maybe(|_| element("FirmwareTransferAlert", &transfer));
            Tree { time: stated.then_some(time), ..tree("N53", element("CommsHubAlert", &text)) }
        }
        20 => {
            let text = element("AlertID", &request(other))
                + &lots.maybe(|_| element("RequestID", &request(other)))
                + &element("ECoSAlertCode", "E1")
                + &named("DeviceID", device);
            tree("N61", element("ECoSAlert", &text))
        }
        21 => tree("N62", element("CommsHubFirmwareActivation", &(named("DeviceID", device) + &firmware))),
        22 => tree(
            "N64",
            element(
                "CoSCertificateAlert",
                &(named("DeviceID", device) + &lots.maybe(|_| element("CertificateSerialNumber", "1"))),
            ),
        ),
        _ => {
            let version = element("ServiceUserDUISVersion", "3.0");
            let (text, device) = match lots.below(4) {
                0 => (
                    element("DCCAlertVersionMismatch", &(element("DCCAlertCode", "N64") + &named("DeviceID", device))),
                    Some(device),
                ),
                1 => {
                    let text = element("DCCAlertCode", "N64") + &element("RequestID", &request(device));
                    (element("DCCAlertVersionMismatch", &text), Some(device))
                }
                2 => (element("DCCAlertVersionMismatch", &element("DCCAlertCode", "N64")), None),
                _ => {
                    let text = element("RequestID", &request(device))
                        + &element("ServiceReference", "1.1")
                        + &element("ServiceReferenceVariant", "1.1.1")
                        + &element("ServiceRequestDUISVersion", "5.4");
                    (element("ServiceResponseVersionMismatch", &text), Some(device))
                }
            };
            Tree { device, ..tree("N999", element("DUISVersionMismatch", &(text + &version))) }
        }
    }
}
