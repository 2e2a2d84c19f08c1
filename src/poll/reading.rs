//! An answer's documents read, for the page and for the record, apart from all that waits for other answers.

use super::{account::size, fetch::Fetched, follower::Follower};
use crate::{defect::caught_in, oura::apart, problem::Problem, state::Answer};

impl Follower {
    /// Reads what the collection in `place` answered; a defect is a failure of this collection alone.
    pub(super) async fn read(&self, place: usize, answer: Fetched, looks_back: bool) -> Result<Answer, Problem> {
        let Fetched { documents, days, whole } = answer;
        let (whole, lacking) = match whole {
            Ok(whole) => (whole, None),
            Err(problem) => (vec![], Some(problem)),
        };
        let (kind, now) = (self.poller.kinds[place], self.poller.clock.now());
        let known = self.state.known.clone();
        // The record of now: the account may be another person's before all is read.
        let record = self.poller.samples.clone().zip(self.record.clone());
        let is_all = looks_back || record.is_none();
        let bytes = size(&documents) + size(&whole);
        let read = move || {
            let reading = kind.read(&documents, &known, now, record.as_ref().map(|_| days));
            if let Some((samples, record)) = record {
                samples.learn(&record, kind, &reading, days, now);
                let moment = reading.known.moment(now);
                let dense = if kind.is_series() { &documents } else { &whole };
                samples.learn_dense(&record, kind, |take| kind.samples(dense, &moment, take), now);
            }
            reading
        };
        let reading = caught_in(apart(bytes, read)).await.map_err(|defect| Problem::of_defect(&defect))?;
        Ok(Answer { reading, is_all, lacking })
    }
}
