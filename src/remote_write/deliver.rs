//! Delivering a batch: again what fails in passing, in parts what is refused, until only the refused samples are left.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use tokio::time::sleep;
use tracing::warn;

use super::{
    Batch, Receiver,
    receiver::{Verdict, WriteRefusal},
};

/// The longest wait that a receiver may ask for.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// So many samples of a batch are found out of order one by one; beyond, by halves, which may cost good ones.
const MOST_SINGLE: usize = 1_000;

/// So many samples refused for a cause of their own, and none taken, are a receiver that takes nothing at all.
const MOST_HOPELESS: u64 = 50;

/// The samples that a receiver has refused for a cause of its own since it last took anything, over all requests of a
/// sender: as long as it takes nothing, it may be the receiver that is wrong, and they are not lost.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Vec<Batch>);

impl Doubt {
    /// Whether there is any.
    pub(crate) const fn is_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// How many samples there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(count).sum()
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Samples that the receiver took.
    pub(crate) taken: u64,
    /// Samples that it never will take.
    pub(crate) refused: BTreeMap<WriteRefusal, u64>,
}

/// Why a batch was not delivered; parts of it may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The receiver is away, or has enough for now.
    #[error("{words}")]
    Away {
        /// What it answered, or why it did not.
        words: String,
        /// The wait that it asked for.
        asked: Option<Duration>,
    },
    /// It takes nothing from us at all.
    #[error("{0}; check the URL, and OURA_REMOTE_WRITE_USERNAME or OURA_REMOTE_WRITE_BEARER_TOKEN")]
    Denied(String),
}

impl Undelivered {
    /// The receiver refuses whatever it is sent.
    pub(crate) fn refuses_all() -> Self {
        Self::Denied("the receiver refuses every sample".to_owned())
    }

    /// The wait that the receiver asked for.
    pub(crate) fn asked_wait(&self) -> Option<Duration> {
        if let Self::Away { asked, .. } = self { *asked } else { None }
    }
}

impl Delivered {
    /// Adds what became of another batch.
    pub(crate) fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        for (refusal, count) in &other.refused {
            *self.refused.entry(*refusal).or_default() += count;
        }
    }

    /// How many samples were refused, for whatever cause.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl Receiver {
    /// Delivers `batch`; what fails in passing is sent again after each of `waits`, or after the wait that is asked for.
    /// What may have been refused wrongly is in `doubt`, until something is taken.
    ///
    /// # Errors
    /// Where the receiver stays away for longer than all waits, or takes nothing at all.
    pub(crate) async fn deliver(
        &self,
        batch: Batch,
        mut waits: impl Iterator<Item = Duration> + Send,
        doubt: &mut Doubt,
    ) -> Result<Delivered, Undelivered> {
        let waits = &mut waits;
        let mut delivery =
            Delivery { receiver: self, waits, doubt, delivered: Delivered::default(), left_out_singly: 0 };
        delivery.part(batch).await?;
        if delivery.delivered.taken > 0 {
            delivery.doubtful_again().await?;
        }
        Ok(delivery.delivered)
    }
}

struct Delivery<'a> {
    receiver: &'a Receiver,
    waits: &'a mut (dyn Iterator<Item = Duration> + Send),
    doubt: &'a mut Doubt,
    delivered: Delivered,
    /// How many samples were found out of order one by one.
    left_out_singly: usize,
}

/// Whether the first request with a part was refused, and why.
type Outcome = Result<Option<WriteRefusal>, Undelivered>;

impl Delivery<'_> {
    fn part(&mut self, batch: Batch) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            match self.post(&batch).await? {
                None => {
                    self.delivered.taken += count(&batch);
                    Ok(None)
                }
                Some(split) => {
                    let refusal = split.refusal();
                    self.split(batch, split).await.map(|()| Some(refusal))
                }
            }
        })
    }

    /// Of one series, what is older than its newest is refused, and what is newer than that taken; taken first, it would
    /// make the rest of the good ones out of order. So the oldest is left out, one after the other, as long as that is
    /// not too many requests.
    async fn leave_out_oldest(&mut self, mut batch: Batch) -> Result<(), Undelivered> {
        while self.left_out_singly < MOST_SINGLE && count(&batch) > 1 {
            self.left_out_singly += 1;
            self.refuse(WriteRefusal::OutOfOrder, 1);
            batch[0].1.remove(0);
            match self.post(&batch).await? {
                None => {
                    self.delivered.taken += count(&batch);
                    return Ok(());
                }
                Some(Split::FromBelow) => {}
                Some(other) => return Box::pin(self.split(batch, other)).await,
            }
        }
        self.by_age(batch, WriteRefusal::OutOfOrder).await
    }

    /// What is older than a sample that is too old is too old as well, and need not be tried.
    async fn by_age(&mut self, batch: Batch, refusal: WriteRefusal) -> Result<(), Undelivered> {
        let Some((older, newer)) = halves_by_time(&batch) else {
            self.refuse(refusal, count(&batch));
            return Ok(());
        };
        match self.part(newer).await? {
            Some(again) if again == refusal => self.refuse(refusal, count(&older)),
            _ => drop(self.part(older).await?),
        }
        Ok(())
    }

    async fn split(&mut self, batch: Batch, split: Split) -> Result<(), Undelivered> {
        match split {
            Split::FromBelow => self.leave_out_oldest(batch).await,
            Split::ByAge => self.by_age(batch, WriteRefusal::TooOld).await,
            Split::InHalves(refusal) => self.in_halves(batch, refusal).await,
        }
    }

    async fn in_halves(&mut self, mut batch: Batch, refusal: WriteRefusal) -> Result<(), Undelivered> {
        if batch.len() > 1 {
            let rest = batch.split_off(batch.len() / 2);
            self.part(batch).await?;
            self.part(rest).await?;
        } else if let Some((older, newer)) = halves_by_time(&batch) {
            self.part(older).await?;
            self.part(newer).await?;
        } else {
            self.refuse_one(refusal, batch);
            if self.is_hopeless() {
                return Err(Undelivered::refuses_all());
            }
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: WriteRefusal, count: u64) {
        *self.delivered.refused.entry(refusal).or_default() += count;
    }

    /// Of a receiver that has taken nothing of the request, a cause of its own may be its own fault.
    fn refuse_one(&mut self, refusal: WriteRefusal, batch: Batch) {
        if refusal == WriteRefusal::Other && self.delivered.taken == 0 {
            self.doubt.0.push(batch);
        } else {
            self.refuse(refusal, count(&batch));
        }
    }

    /// Sends again what was in doubt: of a receiver that takes others, it is the samples that are wrong.
    async fn doubtful_again(&mut self) -> Result<(), Undelivered> {
        for batch in std::mem::take(&mut self.doubt.0) {
            match self.post(&batch).await? {
                None => self.delivered.taken += count(&batch),
                Some(split) => self.refuse(split.refusal(), count(&batch)),
            }
        }
        Ok(())
    }

    /// Whether nothing is taken, for no cause that has to do with the samples: then it is not they that are wrong.
    fn is_hopeless(&self) -> bool {
        self.delivered.taken == 0 && self.doubt.count() >= MOST_HOPELESS
    }

    /// Sends until there is an answer that counts; none: it was taken.
    async fn post(&mut self, batch: &Batch) -> Result<Option<Split>, Undelivered> {
        loop {
            match self.receiver.post(batch).await {
                Verdict::Taken => return Ok(None),
                Verdict::Refused(WriteRefusal::TooOld) => return Ok(Some(Split::ByAge)),
                Verdict::Refused(WriteRefusal::OutOfOrder) if batch.len() == 1 => return Ok(Some(Split::FromBelow)),
                Verdict::Refused(refusal) => return Ok(Some(Split::InHalves(refusal))),
                Verdict::TooLarge => return Ok(Some(Split::InHalves(WriteRefusal::Other))),
                Verdict::Denied(words) => return Err(Undelivered::Denied(words)),
                Verdict::Later(asked, words) => {
                    let Some(wait) = self.waits.next() else { return Err(Undelivered::Away { words, asked }) };
                    let wait = asked.map_or(wait, |asked| asked.max(wait)).min(LONGEST_ASKED);
                    warn!("remote write: {words}; trying again in {} s", wait.as_secs());
                    sleep(wait).await;
                }
            }
        }
    }
}

/// How to go on with a part that was refused.
enum Split {
    ByAge,
    FromBelow,
    InHalves(WriteRefusal),
}

impl Split {
    const fn refusal(&self) -> WriteRefusal {
        match self {
            Self::ByAge => WriteRefusal::TooOld,
            Self::FromBelow => WriteRefusal::OutOfOrder,
            Self::InHalves(refusal) => *refusal,
        }
    }
}

fn count(batch: &Batch) -> u64 {
    batch.iter().map(|(_, points)| points.len() as u64).sum()
}

/// The points before the middle of their times, and the others; none if all are of one time.
fn halves_by_time(batch: &Batch) -> Option<(Batch, Batch)> {
    let mut times: Vec<i64> = batch.iter().flat_map(|(_, points)| points.iter().map(|(time, _)| *time)).collect();
    times.sort_unstable();
    let (first, middle) = (*times.first()?, times[times.len() / 2]);
    let middle = if middle > first { middle } else { *times.iter().find(|time| **time > first)? };
    let part = |older: bool| {
        let cut = batch.iter().map(|(series, points)| {
            let points: Vec<_> = points.iter().copied().filter(|(time, _)| (*time < middle) == older).collect();
            (series.clone(), points)
        });
        cut.filter(|(_, points)| !points.is_empty()).collect::<Batch>()
    };
    Some((part(true), part(false)))
}
