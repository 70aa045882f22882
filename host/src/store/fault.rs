//! The last failure of each rule, by the rule's name.
//!
//! Invariant: a rule that stands has at most one entry, and one that was removed has none.

use redb::ReadTransaction;

use super::{
    codec::{Reader, Writer},
    error::{Defect, Error},
    sealed::{Table, Transaction},
};
use crate::domain::{AlertCode, Eui64, FaultKind, FaultedAlert, KeptFault, Position, Revision};

pub(super) const TABLE: Table<&str> = Table::new("fault");
const VERSION: u8 = 1;

/// Adds or replaces failures, and drops those of rules that were removed.
pub(super) fn write(txn: &Transaction, faults: &[(String, KeptFault)], dropped: &[String]) -> Result<(), Error> {
    if faults.is_empty() && dropped.is_empty() {
        return Ok(());
    }
    let mut table = TABLE.write(txn)?;
    for rule in dropped {
        table.remove(rule.as_str())?;
    }
    for (rule, fault) in faults {
        table.insert(rule.as_str(), &mut encode(fault))?;
    }
    Ok(())
}

/// Every failure, in order of the rules' names.
pub(super) fn read(txn: &ReadTransaction) -> Result<Vec<(String, KeptFault)>, Error> {
    TABLE.read(txn)?.all()?.decoded(|rule, value| Ok(((*rule).to_owned(), decode(value)?))).collect()
}

pub(super) fn encode(fault: &KeptFault) -> Writer {
    let KeptFault { count, revision, kind, detail, alert } = fault;
    let mut out = Writer::new(VERSION);
    out.u64(*count);
    out.u32(revision.0);
    out.u8(*kind as u8);
    out.text(detail);
    out.u8(u8::from(alert.is_some()));
    if let Some(FaultedAlert { position, device, code }) = alert {
        out.u64(position.0);
        out.u64(device.0);
        out.u16(code.0);
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<KeptFault, Defect> {
    let mut input = Reader::new(bytes, VERSION)?;
    let fault = KeptFault {
        count: input.u64()?,
        revision: Revision(input.u32()?),
        kind: FaultKind::from_number(input.u8()?).ok_or(Defect("its kind is not known"))?,
        detail: input.text()?,
        alert: match input.flag()? {
            true => Some(FaultedAlert {
                position: Position(input.u64()?),
                device: Eui64(input.u64()?),
                code: AlertCode(input.u16()?),
            }),
            false => None,
        },
    };
    input.finish()?;
    Ok(fault)
}
