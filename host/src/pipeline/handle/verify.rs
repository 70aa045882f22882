//! Verifications: whether the log, folded again, says what it said.
//!
//! It must not know how a log is folded. Invariant: one goes on at a time, and its result is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use super::{Handle, Refusal, whatif::open};
use crate::{
    domain::{Digest, KeptQuestion, Millis, Position, RuleRevision},
    intake::times::told,
    pipeline::{desk::VERIFICATION, turns::stand_back},
    whatif::{Ground, Pace, Stopped, Verdict, Verification, verify},
};

impl Handle {
    /// Begins a verification of what was received in a stretch of time, or of everything.
    pub fn start_verification(&self, since_ms: Option<Millis>, until_ms: Option<Millis>) -> Result<(), Refusal> {
        if let (Some(since), Some(until)) = (since_ms, until_ms)
            && until <= since
        {
            return Err(Refusal::invalid(
                "until_ms",
                format!("{} is not after since_ms, {}", told(until), told(since)),
            ));
        }
        let (begun, pace) = self.begin(since_ms, until_ms, false).ok_or_else(|| {
            Refusal::Busy("a verification goes on already; `weir verify show` says how far it is".to_owned())
        })?;
        let handle = self.clone();
        let spawned = thread::Builder::new().name("weir-verify".into()).spawn(move || handle.verify(begun, &pace));
        spawned.map(drop).map_err(|error| Refusal::Internal(format!("a verification's thread: {error}")))
    }

    /// The last verification, or the one that goes on, with alerts folded and alerts there are to fold.
    pub fn verification(&self) -> Result<(Verification, (u64, u64)), Refusal> {
        let last = self.shared.desk.verification();
        last.ok_or_else(|| Refusal::not_found("verification", "", "nothing was verified yet; `weir verify run` begins"))
    }

    /// Verifies everything again and again, until the host stops.
    pub(in crate::pipeline) fn verify_every(&self, every: Duration) {
        self.shared.until_stopped(every, || {
            if let Some((begun, pace)) = self.begin(None, None, true) {
                self.verify(begun, &pace);
            }
        });
    }

    fn begin(
        &self,
        since_ms: Option<Millis>,
        until_ms: Option<Millis>,
        scheduled: bool,
    ) -> Option<(Verification, std::sync::Arc<Pace>)> {
        let begun = Verification {
            since_ms,
            until_ms,
            begun_ms: (self.clock)(),
            ended_ms: None,
            scheduled,
            verdict: None,
            from: 0,
            end: 0,
            alerts: 0,
            not_replayable: BTreeMap::new(),
            taken_at_their_word: Vec::new(),
            damage: Vec::new(),
            damage_count: 0,
        };
        let pace = self.shared.desk.begin_verification(begun.clone(), self.whatif.cpu_percent_max)?;
        Some((begun, pace))
    }

    /// The ground with every plugin there is. Those that are not run stand in the chain all the same; what the log says of
    /// them is taken.
    pub(super) fn whole_ground(&self) -> (Ground, Position) {
        self.ground(&self.shared.sources.read().clone())
    }

    /// Plugins that this host does not run: those of the settings, and those that were revoked.
    pub(super) fn barred(&self) -> BTreeSet<Digest> {
        let registry = self.shared.registry.read();
        let revoked = registry.plugins().into_iter().filter(|info| info.revoked.is_some()).map(|info| info.digest);
        self.denied.iter().copied().chain(revoked).collect()
    }

    /// Whether this host does not run a rule's plugin, for each revision of a rule.
    pub(super) fn is_idle(&self) -> impl Fn(&RuleRevision) -> bool + use<> {
        let (barred, without) = (self.barred(), self.without_plugins);
        move |entry| without || entry.rule.as_ref().is_some_and(|rule| barred.contains(&rule.plugin))
    }

    fn verify(&self, mut verification: Verification, pace: &Pace) {
        stand_back();
        let (ground, end) = self.whole_ground();
        let is_idle = self.is_idle();
        let work = || {
            let _pin = self.pin_log()?;
            let mut folded = verification.clone();
            verify(&mut folded, &ground, &is_idle, &|| open(&self.shared), end, pace).map(|()| folded)
        };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        match done.unwrap_or_else(|_| Err(Stopped::Failed("working on it panicked".to_owned()))) {
            Ok(folded) => verification = folded,
            Err(stopped) => verification.verdict = Some(Verdict::Stopped(stopped.to_string())),
        }
        verification.ended_ms = Some((self.clock)());
        match &verification.verdict {
            Some(Verdict::Differs { position, rule, detail, .. }) => {
                tracing::error!(position, rule, detail, "verification: the log does not follow from itself");
            }
            Some(Verdict::Damaged) => {
                for damage in &verification.damage {
                    tracing::error!(damage, "verification: the store is damaged");
                }
            }
            verdict => tracing::info!(?verdict, alerts = verification.alerts, "verification ended"),
        }
        let kept = serde_json::to_string(&verification).ok();
        if let Some(head) = kept
            && let Err(refusal) = self.keep_question(KeptQuestion { number: VERIFICATION, head, answer: None })
        {
            tracing::warn!(%refusal, "the verification's result was not kept");
        }
        self.shared.desk.end_verification(verification);
    }
}
