//! The desk: questions over the past that wait, run or were answered, and the last verification.
//!
//! It must not know how a question is answered or kept. Invariant: no more run, wait or are remembered than the limits
//! allow; what ran when the host ended is said to have been interrupted.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    config::WhatIfLimits,
    domain::{KeptQuestion, Millis, OperatorId},
    pipeline::refusal::Refusal,
    registry::Sources,
    whatif::{Pace, Question, Verdict, Verification},
};

/// The number under which the last verification is kept; questions begin at 1.
pub const VERIFICATION: u64 = 0;

/// How far a question has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Others are before it.
    Waiting,
    /// It is worked on.
    Running,
    /// It has an answer.
    Done,
    /// It was cancelled.
    Cancelled,
    /// The host ended before it was answered.
    Interrupted,
    /// It could not be answered.
    Failed,
}

impl Stage {
    /// Whether nothing more will come of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// A question and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What whoever asked calls it.
    pub name: String,
    /// Who asked; empty for nobody known by name.
    pub who: String,
    /// Whose it is: an operator's distributor id, 0 for the host's.
    pub operator: u8,
    /// What is asked.
    pub question: Question,
    /// When.
    pub asked_ms: Millis,
    /// When it was over; `None` before.
    pub ended_ms: Option<Millis>,
    /// How far it has come.
    pub stage: Stage,
    /// Why there is no answer.
    pub why: String,
    /// SHA-256 over question, positions and engine, in hex; empty before there is an answer.
    pub question_digest: String,
    /// SHA-256 of the answer, in hex; empty before there is one.
    pub answer_digest: String,
}

/// A question as somebody is shown it.
#[derive(Debug, Clone)]
pub struct QuestionView {
    /// Its number.
    pub number: u64,
    /// Itself, shared with the desk: its variants can be megabytes of parameters.
    pub head: Arc<Head>,
    /// Alerts folded, and alerts there are to fold.
    pub rows: (u64, u64),
    /// How long it has run.
    pub running_ms: u64,
}

/// A question on the desk.
struct File {
    head: Arc<Head>,
    pace: Arc<Pace>,
    begun: Option<Instant>,
    ran_ms: u64,
}

/// A question that is to be worked on.
pub struct Job {
    /// Its number.
    pub number: u64,
    /// Itself.
    pub question: Question,
    /// Plugins that only it knows.
    pub candidates: Sources,
    /// How fast, and whether to go on.
    pub pace: Arc<Pace>,
}

#[derive(Default)]
struct Inner {
    files: BTreeMap<u64, File>,
    last: u64,
    waiting: VecDeque<Job>,
    running: usize,
    verification: Option<Verification>,
    verifying: Option<Arc<Pace>>,
}

/// The desk.
#[derive(Default)]
pub struct Desk(Mutex<Inner>);

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked while holding it left a list of texts, which is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts down what a store kept, unless something is there already: then the store was only opened again.
    pub fn load(&self, kept: &[KeptQuestion]) {
        let mut inner = self.lock();
        if inner.last > 0 {
            return;
        }
        for KeptQuestion { number, head, .. } in kept {
            if *number == VERIFICATION {
                inner.verification = serde_json::from_str(head).ok();
                if let Some(verification) = inner.verification.as_mut().filter(|kept| kept.verdict.is_none()) {
                    verification.verdict = Some(Verdict::Stopped("the host ended before it was done".to_owned()));
                }
                continue;
            }
            inner.last = inner.last.max(*number);
            let Ok(mut head) = serde_json::from_str::<Head>(head) else {
                tracing::warn!(number, "a question of another version cannot be read; it is left out");
                continue;
            };
            if !head.stage.is_over() {
                head.stage = Stage::Interrupted;
                head.why = "the host ended before it was answered; start it again".to_owned();
            }
            inner.files.insert(*number, File { head: Arc::new(head), pace: Arc::default(), begun: None, ran_ms: 0 });
        }
    }

    /// Takes a question, if there is room: its number, and the numbers of those that go for it.
    pub fn take(&self, head: &Head, limits: &WhatIfLimits) -> Result<(u64, Vec<u64>), Refusal> {
        let mut inner = self.lock();
        let open = |file: &&File| !file.head.stage.is_over();
        let all = inner.files.values().filter(open).count();
        let max = limits.questions_running_max + limits.questions_waiting_max;
        if all >= max {
            let why = format!("{all} questions run or wait (whatif.questions_running_max and questions_waiting_max)");
            return Err(Refusal::Busy(format!("{why}; ask again when one is answered, or cancel one")));
        }
        let is_own = |file: &&File| head.operator != 0 && file.head.operator == head.operator;
        let own = inner.files.values().filter(open).filter(is_own).count();
        if own >= limits.operator_questions_max {
            let max = limits.operator_questions_max;
            return Err(Refusal::Busy(format!("whatif.operator_questions_max ({max}) of its questions run or wait")));
        }
        let over = |own_only: bool| {
            let files = inner.files.iter().filter(move |(_, file)| !own_only || is_own(file));
            let count = files.clone().count();
            (count, files.filter(|(_, file)| file.head.stage.is_over()).map(|(number, _)| *number))
        };
        let mut dropped = Vec::new();
        let (count, mut oldest) = over(true);
        if head.operator != 0 && count >= limits.operator_answers_max {
            dropped.extend(oldest.next());
        }
        let (count, mut oldest) = over(false);
        if dropped.is_empty() && count >= limits.answers_max {
            dropped.extend(oldest.next());
        }
        drop(oldest);
        for number in &dropped {
            inner.files.remove(number);
        }
        inner.last += 1;
        let number = inner.last;
        let pace = Arc::new(Pace::new(limits.cpu_percent_max));
        inner.files.insert(number, File { head: Arc::new(head.clone()), pace, begun: None, ran_ms: 0 });
        Ok((number, dropped))
    }

    /// Gives up a question that was not kept.
    pub fn give_up(&self, number: u64) {
        self.lock().files.remove(&number);
    }

    /// Queues a question that was kept; true where somebody is needed to work on it.
    pub fn queue(&self, number: u64, candidates: Sources, limits: &WhatIfLimits) -> bool {
        let mut inner = self.lock();
        let Some(file) = inner.files.get(&number) else { return false };
        let job = Job { number, question: file.head.question.clone(), candidates, pace: Arc::clone(&file.pace) };
        inner.waiting.push_back(job);
        let needed = inner.running < limits.questions_running_max;
        inner.running += usize::from(needed);
        needed
    }

    /// The next question to work on, for as long as the limits allow. `None`: there is none, and whoever asks goes home.
    pub fn next(&self, limits: &WhatIfLimits) -> Option<Job> {
        let mut inner = self.lock();
        let Some(job) = inner.waiting.pop_front() else {
            inner.running -= 1;
            return None;
        };
        if let Some(file) = inner.files.get_mut(&job.number) {
            Arc::make_mut(&mut file.head).stage = Stage::Running;
            file.pace.begin(Duration::from_millis(limits.run_ms_max));
            file.begun = Some(Instant::now());
        }
        Some(job)
    }

    /// Nobody could be found to work on what waits: the next question looks for somebody again.
    pub fn go_home(&self) {
        self.lock().running -= 1;
    }

    /// Notes how a question ended; what is to be kept of it.
    pub fn settle(&self, number: u64, settled: impl FnOnce(&mut Head)) -> Option<Arc<Head>> {
        let mut inner = self.lock();
        let file = inner.files.get_mut(&number)?;
        if let Some(begun) = file.begun.take() {
            file.ran_ms = millis(begun.elapsed());
        }
        settled(Arc::make_mut(&mut file.head));
        Some(Arc::clone(&file.head))
    }

    /// Ends a question. Some: it waited, and is over now; this is to be kept.
    pub fn cancel(&self, number: u64, now_ms: Millis) -> Option<Arc<Head>> {
        let mut inner = self.lock();
        inner.files.get(&number)?.pace.cancel();
        let waited = inner.waiting.len();
        inner.waiting.retain(|job| job.number != number);
        if inner.waiting.len() == waited {
            return None;
        }
        let file = inner.files.get_mut(&number)?;
        let head = Arc::make_mut(&mut file.head);
        (head.stage, head.ended_ms) = (Stage::Cancelled, Some(now_ms));
        Some(Arc::clone(&file.head))
    }

    /// One question, if somebody confined to an operator, or to none, may see it.
    pub fn view(&self, number: u64, own: Option<OperatorId>) -> Option<QuestionView> {
        let inner = self.lock();
        let file = inner.files.get(&number).filter(|file| may_see(&file.head, own))?;
        Some(view(number, file, own))
    }

    /// All questions that somebody may see, newest first.
    pub fn views(&self, own: Option<OperatorId>) -> Vec<QuestionView> {
        let inner = self.lock();
        let files = inner.files.iter().rev().filter(|(_, file)| may_see(&file.head, own));
        files.map(|(number, file)| view(*number, file, own)).collect()
    }

    /// Begins a verification, unless one goes on.
    pub fn begin_verification(&self, begun: Verification, cpu_percent_max: u32) -> Option<Arc<Pace>> {
        let mut inner = self.lock();
        if inner.verifying.is_some() {
            return None;
        }
        let pace = Arc::new(Pace::new(cpu_percent_max));
        inner.verification = Some(begun);
        inner.verifying = Some(Arc::clone(&pace));
        Some(pace)
    }

    /// Ends a verification.
    pub fn end_verification(&self, ended: Verification) {
        let mut inner = self.lock();
        inner.verification = Some(ended);
        inner.verifying = None;
    }

    /// The last verification, or the one that goes on, with alerts folded and alerts there are to fold.
    pub fn verification(&self) -> Option<(Verification, (u64, u64))> {
        let inner = self.lock();
        let rows = inner.verifying.as_ref().map_or((0, 0), |pace| pace.progress());
        inner.verification.clone().map(|verification| (verification, rows))
    }
}

fn may_see(head: &Head, own: Option<OperatorId>) -> bool {
    own.is_none_or(|own| head.operator == own.get())
}

fn view(number: u64, file: &File, own: Option<OperatorId>) -> QuestionView {
    let (done, total) = file.pace.progress();
    // How many alerts there are of others is not told: how far it is will do, in ten thousandths.
    let rows = match own {
        Some(_) if total > 0 => (done.saturating_mul(10_000) / total, 10_000),
        _ => (done, total),
    };
    let running_ms = file.begun.map_or(file.ran_ms, |begun| millis(begun.elapsed()));
    QuestionView { number, head: Arc::clone(&file.head), rows, running_ms }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
