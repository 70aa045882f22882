//! Questions over the past that are asked of a host while it has other work: one after the other, followed, cancelled.
//!
//! It must not know how a host works on them. Invariant: a question counts as answered only if its progress never went
//! back and came to all there was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::{sync::watch, task::JoinHandle};
use weir_proto::v1::{
    CancelWhatIfRequest, GetWhatIfRequest, StartWhatIfRequest, WatchWhatIfRequest, WhatIf, WhatIfQuestion, WhatIfStage,
    WhatIfVariant,
};

use crate::{client::Client, generator::RuleName};

/// Limits of 8F40 that are tried in one pass, in tenths of a volt.
const SWEEP_DV: [i32; 8] = [2530, 2540, 2550, 2560, 2570, 2580, 2590, 2600];

/// How long a question that was cancelled may go on.
pub const CANCEL_MAX: Duration = Duration::from_secs(1);

/// How often a question is looked at that is to be over soon.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What came of asking again and again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Questions that were answered.
    pub answered: u64,
    /// Alerts that they were folded over.
    pub alerts: u64,
    /// How long they were worked on.
    pub running: Duration,
    /// Messages of progress.
    pub steps: u64,
    /// How long the question that was cancelled in the end went on.
    pub cancelled_after: Duration,
}

impl Asked {
    /// These, and others.
    pub fn add(&mut self, other: &Self) {
        let Self { answered, alerts, running, steps, cancelled_after } = *other;
        self.answered += answered;
        self.alerts += alerts;
        self.running += running;
        self.steps += steps;
        self.cancelled_after = self.cancelled_after.max(cancelled_after);
    }
}

/// Somebody who asks one question after the other.
#[derive(Debug)]
pub struct Asking {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Asked>>,
}

impl Asking {
    /// Begins to ask.
    pub fn begin(client: &Client) -> Self {
        let (stop, stopping) = watch::channel(false);
        Self { stop, task: tokio::spawn(ask_on(client.clone(), stopping)) }
    }

    /// Cancels the question that is worked on, and says what came of all of them.
    pub async fn end(self) -> Result<Asked> {
        // Where the task has ended, it says why.
        let _ = self.stop.send(true);
        self.task.await.context("the one who asks panicked")?
    }
}

async fn ask_on(client: Client, mut stopping: watch::Receiver<bool>) -> Result<Asked> {
    let mut asked = Asked::default();
    loop {
        let id = start(&client, 0).await?;
        tokio::select! {
            done = follow(&client, id, &mut asked.steps) => {
                let what_if = done?;
                asked.answered += 1;
                asked.alerts += what_if.rows_done;
                asked.running += Duration::from_millis(what_if.running_ms);
            }
            () = async { drop(stopping.wait_for(|stop| *stop).await) } => {
                asked.cancelled_after = cancel(&client, id).await?;
                ensure!(asked.steps > 0, "no question got on while alerts arrived");
                return Ok(asked);
            }
        }
    }
}

/// Asks what eight limits of 8F40 would have done, with the rules behind it; or a question again, if it is not 0. Gives
/// its number.
pub async fn start(client: &Client, again_id: u64) -> Result<u64> {
    let variant = |limit: &i32| WhatIfVariant {
        label: format!("below_dv={limit}"),
        parameters: Some(format!("{{\"codes\":[\"8F40\"],\"below_dv\":{limit}}}")),
        ..WhatIfVariant::default()
    };
    let question = WhatIfQuestion {
        rule: if again_id == 0 { RuleName::Voltage.text().to_owned() } else { String::new() },
        variants: if again_id == 0 { SWEEP_DV.iter().map(variant).collect() } else { Vec::new() },
        again_id,
        ..WhatIfQuestion::default()
    };
    let request = StartWhatIfRequest { question: Some(question), ..StartWhatIfRequest::default() };
    let answer = client.questions().start_what_if(tokio_stream::iter([request])).await;
    let started = answer.context("the question was refused")?.into_inner().what_if;
    Ok(started.context("the answer to a question names none")?.id)
}

/// Follows a question until it is answered. Adds how often its progress moved.
pub async fn follow(client: &Client, id: u64, steps: &mut u64) -> Result<WhatIf> {
    let messages = client.questions().watch_what_if(WatchWhatIfRequest { id }).await;
    let mut messages = messages.context("the question cannot be followed")?.into_inner();
    let mut rows_done = 0;
    while let Some(message) = messages.message().await.context("the question's progress broke off")? {
        let what_if = message.what_if.context("progress without a question")?;
        ensure!(what_if.rows_done >= rows_done, "the progress of question {id} went back");
        *steps += u64::from(what_if.rows_done > rows_done);
        rows_done = what_if.rows_done;
        match what_if.stage() {
            WhatIfStage::Waiting | WhatIfStage::Running => {}
            WhatIfStage::Done => {
                ensure!(what_if.rows_done == what_if.rows_total, "question {id} was done before its end");
                return Ok(what_if);
            }
            stage => bail!("question {id} ended as {}: {}", stage.as_str_name(), what_if.why),
        }
    }
    bail!("the progress of question {id} ended before it did")
}

/// Cancels a question; gives how long it went on.
async fn cancel(client: &Client, id: u64) -> Result<Duration> {
    let begun = Instant::now();
    client.questions().cancel_what_if(CancelWhatIfRequest { id }).await.context("a question cannot be cancelled")?;
    loop {
        match look(client, id).await?.stage() {
            WhatIfStage::Waiting | WhatIfStage::Running => {}
            WhatIfStage::Cancelled | WhatIfStage::Done => break,
            stage => bail!("question {id}, cancelled, ended as {}", stage.as_str_name()),
        }
        ensure!(begun.elapsed() < CANCEL_MAX, "question {id} went on for {CANCEL_MAX:?} after it was cancelled");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(begun.elapsed())
}

/// A question as it stands.
pub async fn look(client: &Client, id: u64) -> Result<WhatIf> {
    let answer = client.questions().get_what_if(GetWhatIfRequest { id }).await;
    answer.context("a question cannot be looked at")?.into_inner().what_if.context("an answer without its question")
}
