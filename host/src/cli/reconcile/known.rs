//! What the host knows of the devices and metering points that their file names.
//!
//! Invariants: an alert counts for one subject, the one that its device stood for when it was received; what is asked for is
//! what the file names, so a file of few points costs no walk over an inventory.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use weir_proto::v1::{self, device_service_client::DeviceServiceClient};

use crate::{
    cli::{
        Failure, Session,
        session::{Connection, MESSAGE_BYTES_MAX},
    },
    domain::{Eui64, Millis, Mpxn, OperatorId},
    intake::claims::Subject,
};

/// Metering points of one request.
const POINTS_AT_A_TIME: usize = 1_000;

/// A metering point of theirs while a device was at it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Served {
    mpxn: Mpxn,
    /// What the point was to the device: those of one meter are named after the first.
    role: i32,
    /// When the device was there, by the loads that said so.
    there: Range<Millis>,
    /// Times of receipt of the alerts that count as of the point.
    received: Range<Millis>,
}

/// The devices that their file is about.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Devices that were at metering points of theirs.
    served: HashMap<Eui64, Vec<Served>>,
    /// Subjects that are another one in the comparison.
    same: HashMap<Subject, Subject>,
    /// Subjects that we know, as they are in the comparison.
    pub(super) subjects: BTreeSet<Subject>,
    /// Whose devices they name.
    pub(super) operators: BTreeSet<OperatorId>,
}

impl Known {
    /// Asks the host about what their file names.
    pub(super) async fn of(
        session: &Session,
        channel: Connection,
        wanted: &BTreeSet<Subject>,
    ) -> Result<Self, Failure> {
        let mut client = DeviceServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut known = Self::default();
        let point = |subject: &Subject| if let Subject::Point(mpxn) = subject { Some(*mpxn) } else { None };
        let points: Vec<Mpxn> = wanted.iter().filter_map(point).collect();
        let mut left = points.as_slice();
        while !left.is_empty() {
            let asked = &left[..left.len().min(POINTS_AT_A_TIME)];
            let mpxns = asked.iter().map(Mpxn::to_string).collect();
            let answer = client.list_point_tenures(v1::ListPointTenuresRequest { mpxns }).await;
            let answer = answer.map_err(|status| session.failed(&status))?.into_inner();
            let answered = answer.answered_count as usize;
            if answered == 0 || answered > asked.len() {
                return Err(Failure::internal("answered_count: the server's answers do not get on"));
            }
            for tenure in &answer.tenures {
                known.meet_tenure(tenure, asked)?;
            }
            left = &left[answered..];
        }
        if points.len() < wanted.len() {
            known.meet_devices(session, &mut client, wanted).await?;
        }
        known.settle();
        Ok(known)
    }

    /// Looks through the inventory for devices that they name by EUI-64.
    async fn meet_devices(
        &mut self,
        session: &Session,
        client: &mut DeviceServiceClient<Connection>,
        wanted: &BTreeSet<Subject>,
    ) -> Result<(), Failure> {
        let mut page_token = String::new();
        loop {
            let request = v1::ListDevicesRequest { page_token, ..v1::ListDevicesRequest::default() };
            let answer = client.list_devices(request).await.map_err(|status| session.failed(&status))?;
            let v1::ListDevicesResponse { devices, next_page_token, .. } = answer.into_inner();
            for device in devices {
                let subject = Subject::Device(Eui64(device.device_id));
                if wanted.contains(&subject) {
                    self.subjects.insert(subject);
                    self.operators.extend(OperatorId::new(device.operator));
                }
            }
            if next_page_token.is_empty() {
                return Ok(());
            }
            page_token = next_page_token;
        }
    }

    fn meet_tenure(&mut self, tenure: &v1::PointTenure, asked: &[Mpxn]) -> Result<(), Failure> {
        let v1::PointTenure { point, device_id, role, operator, since_ms, until_ms, counts_before } = *tenure;
        let mpxn = *asked
            .get(point as usize)
            .ok_or_else(|| Failure::internal("the server answered with a metering point that was not asked for"))?;
        let there = since_ms.unwrap_or(Millis::MIN)..until_ms.unwrap_or(Millis::MAX);
        let received = if counts_before { Millis::MIN } else { there.start }..there.end;
        self.served.entry(Eui64(device_id)).or_default().push(Served { mpxn, role, there, received });
        self.subjects.insert(Subject::Point(mpxn));
        self.operators.extend(OperatorId::new(operator));
        Ok(())
    }

    /// Settles what each subject is in the comparison, once all are known.
    fn settle(&mut self) {
        let mut served = std::mem::take(&mut self.served);
        for (device, points) in &mut served {
            points.sort_by_key(|at| (at.role, at.there.start, at.mpxn));
            // Before it came to a point the device was at another one that they name too.
            let left: Vec<(Mpxn, Millis)> = points.iter().map(|at| (at.mpxn, at.there.end)).collect();
            for at in points.iter_mut() {
                if left.iter().any(|(mpxn, until)| *mpxn != at.mpxn && *until <= at.there.start) {
                    at.received.start = at.there.start;
                }
            }
            for (index, at) in points.iter().enumerate() {
                let is_beside = |before: &&Served| {
                    before.mpxn != at.mpxn && before.there.start < at.there.end && at.there.start < before.there.end
                };
                if let Some(first) = points[..index].iter().find(is_beside) {
                    self.join(Subject::Point(at.mpxn), Subject::Point(first.mpxn));
                }
            }
            if let Some(first) = points.first().filter(|_| self.subjects.contains(&Subject::Device(*device))) {
                points.iter().for_each(|at| self.join(Subject::Point(at.mpxn), Subject::Point(first.mpxn)));
                self.join(Subject::Device(*device), Subject::Point(first.mpxn));
            }
        }
        self.served = served;
        self.subjects = self.subjects.iter().map(|subject| self.settled(*subject)).collect();
    }

    fn join(&mut self, subject: Subject, with: Subject) {
        let (subject, first) = (self.settled(subject), self.settled(with));
        if subject != first {
            self.same.insert(subject, first);
        }
    }

    /// Returns what a subject is called in the comparison.
    pub(super) fn settled(&self, mut subject: Subject) -> Subject {
        while let Some(first) = self.same.get(&subject) {
            subject = *first;
        }
        subject
    }

    /// Returns what a device is called in the comparison for an alert that was received then: its metering point, if they name
    /// that.
    pub(super) fn subject(&self, device: Eui64, received_ms: Millis) -> Subject {
        let mut served = self.served.get(&device).into_iter().flatten();
        let point = served.find(|at| at.received.contains(&received_ms)).map(|at| Subject::Point(at.mpxn));
        self.settled(point.unwrap_or(Subject::Device(device)))
    }

    /// Returns the times within a stretch at which a device becomes another subject, in order.
    pub(super) fn turns(&self, within: &Range<Millis>) -> Vec<Millis> {
        let bounds = self.served.values().flatten().flat_map(|at| [at.received.start, at.received.end]);
        let turns: BTreeSet<Millis> = bounds.filter(|at| *at > within.start && *at < within.end).collect();
        turns.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "1000000000012";
    const THERE: &str = "1200000000011";

    fn point(text: &str) -> Mpxn {
        text.parse().unwrap()
    }

    fn tenure(point: u32, device_id: u64, since_ms: Option<i64>, until_ms: Option<i64>) -> v1::PointTenure {
        let counts_before = since_ms.is_some();
        v1::PointTenure { point, device_id, role: 1, operator: 12, since_ms, until_ms, counts_before }
    }

    fn known(tenures: &[v1::PointTenure], named: &[u64]) -> Known {
        let asked = [point(HERE), point(THERE)];
        let mut known = Known::default();
        tenures.iter().for_each(|tenure| known.meet_tenure(tenure, &asked).unwrap());
        known.subjects.extend(named.iter().map(|eui| Subject::Device(Eui64(*eui))));
        known.settle();
        known
    }

    #[test]
    fn a_device_stands_for_the_point_that_it_served_then() {
        let (here, there) = (Subject::Point(point(HERE)), Subject::Point(point(THERE)));
        let device = Subject::Device(Eui64(1));
        // It went from one point to none, and from there to the other.
        let known = known(&[tenure(0, 1, Some(10), Some(20)), tenure(1, 1, Some(30), None)], &[]);
        let at = |ms| known.subject(Eui64(1), ms);
        assert_eq!([at(5), at(10), at(19), at(20), at(29), at(30)], [here, here, here, device, device, there]);
        assert_eq!(known.turns(&(0..100)), [20, 30]);
        assert_eq!(known.turns(&(20..100)), [30], "what lies at the beginning divides nothing");
        assert_eq!(known.subject(Eui64(2), 5), Subject::Device(Eui64(2)));
    }

    #[test]
    fn points_of_one_meter_at_one_time_are_one_subject_and_those_after_each_other_are_two() {
        let here = Subject::Point(point(HERE));
        let export = v1::PointTenure { role: 3, ..tenure(1, 1, Some(50), None) };
        let both = known(&[tenure(0, 1, Some(10), None), export], &[]);
        assert_eq!((both.settled(Subject::Point(point(THERE))), both.subjects.len()), (here, 1));
        let moved = known(&[tenure(0, 1, None, Some(20)), tenure(1, 1, Some(20), None)], &[]);
        assert_eq!(moved.subjects.len(), 2);
        // A device that is named by its EUI-64 too is one subject with its points.
        let named = known(&[tenure(0, 1, None, Some(20))], &[1, 2]);
        assert_eq!((named.subject(Eui64(1), 30), named.settled(Subject::Device(Eui64(1)))), (here, here));
        assert!(named.subjects.contains(&Subject::Device(Eui64(2))));
    }
}
