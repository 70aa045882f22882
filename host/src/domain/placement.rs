//! Where a device is connected: its metering points with their roles, what kind of device it is, and its hub.
//!
//! Invariant: a device has each metering point once.

use std::{fmt, str::FromStr};

use super::{Device, Eui64, IdError, Mpxn, OperatorId};

/// What a metering point is to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointRole {
    /// The MPAN that its consumption is settled under.
    Import = 0,
    /// The second import MPAN of a twin-element meter.
    Secondary = 1,
    /// The MPAN that its generation is settled under.
    Export = 2,
    /// The MPRN of gas.
    Gas = 3,
}

impl PointRole {
    /// From its number in a store.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Import, Self::Secondary, Self::Export, Self::Gas].get(usize::from(number)).copied()
    }
}

impl fmt::Display for PointRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Import => "import",
            Self::Secondary => "secondary",
            Self::Export => "export",
            Self::Gas => "gas",
        })
    }
}

/// What kind of device a device is, in the words of DUIS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DeviceType {
    /// Not known.
    #[default]
    Unknown = 0,
    /// Electricity meter.
    Esme = 1,
    /// Gas meter.
    Gsme = 2,
    /// Gas proxy function of a communications hub.
    Gpf = 3,
    /// Communications hub.
    Chf = 4,
    /// Load control switch.
    Hcalcs = 5,
    /// Prepayment interface.
    Ppmid = 6,
    /// In-home display.
    Ihd = 7,
    /// Consumer access device.
    Cad = 8,
}

impl DeviceType {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Unknown, "unknown"),
        (Self::Esme, "ESME"),
        (Self::Gsme, "GSME"),
        (Self::Gpf, "GPF"),
        (Self::Chf, "CHF"),
        (Self::Hcalcs, "HCALCS"),
        (Self::Ppmid, "PPMID"),
        (Self::Ihd, "IHD"),
        (Self::Cad, "CAD"),
    ];

    /// From its number in a store.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(kind, _)| *kind)
    }

    /// Returns true unless it is known to be something else than a meter.
    pub fn may_be_meter(self) -> bool {
        matches!(self, Self::Unknown | Self::Esme | Self::Gsme)
    }
}

impl fmt::Display for DeviceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL[*self as usize].1)
    }
}

impl FromStr for DeviceType {
    type Err = IdError;

    /// A type of DUIS in either case, or empty or `unknown` for not known.
    fn from_str(text: &str) -> Result<Self, IdError> {
        const EXPECTED: &str = "a device type: ESME, GSME, GPF, CHF, HCALCS, PPMID, IHD, CAD or unknown";
        let named = |(_, name): &&(Self, &str)| text.eq_ignore_ascii_case(name);
        match Self::ALL.iter().find(named) {
            Some((kind, _)) => Ok(*kind),
            None if text.is_empty() => Ok(Self::Unknown),
            None => Err(IdError::new(EXPECTED, text)),
        }
    }
}

/// What the inventory says of a device beside what alerts are joined with. Few devices have any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Placement {
    /// The second import MPAN.
    pub secondary: Mpxn,
    /// The export MPAN.
    pub export: Mpxn,
    /// What kind of device it is.
    pub kind: DeviceType,
    /// The communications hub that it is joined to; [`Eui64::NONE`] where that is not known.
    pub hub: Eui64,
}

impl Placement {
    /// The metering points of a device that is placed so.
    pub fn points(&self, device: &Device) -> impl Iterator<Item = (PointRole, Mpxn)> + use<> {
        let first = if device.mpxn.distributor().is_some() { PointRole::Import } else { PointRole::Gas };
        let all = [(first, device.mpxn), (PointRole::Secondary, self.secondary), (PointRole::Export, self.export)];
        all.into_iter().filter(|(_, mpxn)| *mpxn != Mpxn::NONE)
    }

    /// The distributor that the first MPAN of a device that is placed so begins with.
    pub fn distributor(&self, device: &Device) -> Option<OperatorId> {
        self.points(device).find_map(|(_, mpxn)| mpxn.distributor())
    }
}

/// What a load says of a placement: `None` leaves what the inventory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlacementChange {
    /// The second import MPAN.
    pub secondary: Option<Mpxn>,
    /// The export MPAN.
    pub export: Option<Mpxn>,
    /// What kind of device it is.
    pub kind: Option<DeviceType>,
    /// Its communications hub.
    pub hub: Option<Eui64>,
}

impl PlacementChange {
    /// The distributor that the first MPAN of a row begins with: its own, or else the secondary or export MPAN that it states.
    pub fn distributor(&self, mpxn: Mpxn) -> Option<OperatorId> {
        let others = [self.secondary, self.export].into_iter().flatten();
        std::iter::once(mpxn).chain(others).find_map(Mpxn::distributor)
    }

    /// Returns a placement as this changes it.
    #[must_use]
    pub fn over(self, before: Placement) -> Placement {
        Placement {
            secondary: self.secondary.unwrap_or(before.secondary),
            export: self.export.unwrap_or(before.export),
            kind: self.kind.unwrap_or(before.kind),
            hub: self.hub.unwrap_or(before.hub),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_shown() {
        for number in 0..9 {
            let kind = DeviceType::from_number(number).unwrap();
            assert_eq!(kind as u8, number);
            assert_eq!(kind.to_string().to_lowercase().parse(), Ok(kind));
        }
        assert_eq!(DeviceType::from_number(9), None);
        assert_eq!("".parse(), Ok(DeviceType::Unknown));
        assert!("ESMX".parse::<DeviceType>().unwrap_err().to_string().starts_with("expected a device type: ESME"));
    }

    #[test]
    fn the_first_point_is_import_or_gas_by_its_form_and_points_that_are_not_there_are_none() {
        let point = |text: &str| text.parse::<Mpxn>().unwrap();
        let device = |mpxn| Device { mpxn: point(mpxn), ..Device::unlisted(Eui64(1)) };
        let placement = Placement { export: point("1200000000011"), ..Placement::default() };
        let points: Vec<_> = placement.points(&device("1000000000012")).collect();
        assert_eq!(points, [(PointRole::Import, point("1000000000012")), (PointRole::Export, point("1200000000011"))]);
        let gas: Vec<_> = Placement::default().points(&device("7654321")).collect();
        assert_eq!(gas, [(PointRole::Gas, point("7654321"))]);
        assert_eq!(Placement::default().points(&device("")).count(), 0);
    }

    #[test]
    fn what_a_load_does_not_say_stays() {
        let before = Placement { kind: DeviceType::Esme, hub: Eui64(7), ..Placement::default() };
        let change = PlacementChange { hub: Some(Eui64::NONE), ..PlacementChange::default() };
        assert_eq!(change.over(before), Placement { kind: DeviceType::Esme, ..Placement::default() });
        assert_eq!(PlacementChange::default().over(before), before);
    }

    #[test]
    fn the_distributor_is_that_of_the_first_mpan_whatever_its_role() {
        let point = |text: &str| text.parse::<Mpxn>().unwrap();
        let change = PlacementChange { export: Some(point("1200000000011")), ..PlacementChange::default() };
        let of = |mpxn: &str| change.distributor(point(mpxn)).map(OperatorId::get);
        assert_eq!((of(""), of("7654321"), of("1000000000012")), (Some(12), Some(12), Some(10)));
        assert_eq!(PlacementChange::default().distributor(point("7654321")), None);
        let device = Device::unlisted(Eui64(1));
        assert_eq!(change.over(Placement::default()).distributor(&device).map(OperatorId::get), Some(12));
    }
}
