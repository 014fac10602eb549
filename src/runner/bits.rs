//! Numbers as their bits, for events that travel as lines of JSON: it has no NaN, and reading it may cost a last bit.

pub mod score {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::record::{Goal, Metric};
    use crate::train::Score;

    pub fn serialize<S: Serializer>(score: &Score, serializer: S) -> Result<S::Ok, S::Error> {
        ([score.loss, score.value].map(f64::to_bits), score.goal.metric).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Score, D::Error> {
        let (numbers, metric) = <([u64; 2], Metric)>::deserialize(deserializer)?;
        let [loss, value] = numbers.map(f64::from_bits);
        Ok(Score { loss, value, goal: Goal::of(metric) })
    }
}

pub mod progress {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::train::Progress;

    pub fn serialize<S: Serializer>(at: &Progress, serializer: S) -> Result<S::Ok, S::Error> {
        ([at.epoch, at.step, at.steps], [at.loss, at.seconds].map(f64::to_bits)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Progress, D::Error> {
        let ([epoch, step, steps], numbers) = <([usize; 3], [u64; 2])>::deserialize(deserializer)?;
        let [loss, seconds] = numbers.map(f64::from_bits);
        Ok(Progress { epoch, step, steps, loss, seconds })
    }
}
