//! What a campaign has found.

use super::api::{Episode, EpisodeState};

/// The measured candidates within all limits: highest accuracy first, then fewest ticks, then the earlier one.
pub fn feasible(episodes: &[Episode]) -> Vec<&Episode> {
    let mut found: Vec<&Episode> = episodes.iter().filter(|episode| is_feasible(episode)).collect();
    found.sort_by(|a, b| {
        let key = |e: &Episode| (e.candidate.accuracy.unwrap_or(0.0), e.candidate.ticks.unwrap_or(u64::MAX));
        let ((accuracy_a, ticks_a), (accuracy_b, ticks_b)) = (key(a), key(b));
        accuracy_b.total_cmp(&accuracy_a).then(ticks_a.cmp(&ticks_b)).then(a.candidate.index.cmp(&b.candidate.index))
    });
    found
}

/// Those of them that no other beats in accuracy, ticks, flash and RAM; of equal ones the earliest.
pub fn front(episodes: &[Episode]) -> Vec<&Episode> {
    let found = feasible(episodes);
    let beaten = |one: &&Episode| found.iter().any(|other| beats(other, one));
    found.iter().copied().filter(|one| !beaten(one)).collect()
}

fn is_feasible(episode: &Episode) -> bool {
    let row = &episode.candidate;
    matches!(row.state, EpisodeState::Measured | EpisodeState::Done) && row.feasible == Some(true)
}

fn beats(a: &Episode, b: &Episode) -> bool {
    let costs = |episode: &Episode| {
        let row = &episode.candidate;
        [
            -row.accuracy.unwrap_or(0.0),
            row.ticks.map_or(f64::MAX, |t| t as f64),
            row.flash_bytes as f64,
            row.ram_bytes as f64,
        ]
    };
    let (x, y) = (costs(a), costs(b));
    let pairs = || x.iter().zip(&y);
    pairs().all(|(x, y)| x <= y) && (pairs().any(|(x, y)| x < y) || a.candidate.index < b.candidate.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn episode(index: u32, accuracy: f64, costs: [u64; 3], feasible: Option<bool>) -> Episode {
        let [ticks, flash, ram] = costs;
        serde_json::from_value(json!({
            "candidate": {
                "index": index, "label": null, "state": "done", "reason": null, "accuracy": accuracy, "ticks": ticks,
                "flash_bytes": flash, "ram_bytes": ram, "reward": 0.0, "feasible": feasible,
            },
            "client_key": "", "measurement": null, "failure": null,
        }))
        .expect("an episode")
    }

    fn indices(episodes: &[&Episode]) -> Vec<u32> {
        episodes.iter().map(|episode| episode.candidate.index).collect()
    }

    #[test]
    fn the_front_is_what_nothing_beats_in_all_four() {
        let episodes = [
            episode(0, 0.9, [10, 10, 10], Some(true)),
            episode(1, 0.9, [10, 10, 11], Some(true)),
            episode(2, 0.8, [10, 10, 9], Some(true)),
            episode(3, 0.7, [10, 9, 10], Some(true)),
            episode(4, 0.9, [10, 10, 10], Some(true)),
            episode(5, 0.99, [1, 1, 1], Some(false)),
            episode(6, 0.99, [1, 1, 1], None),
        ];
        assert_eq!(indices(&feasible(&episodes)), [0, 1, 4, 2, 3]);
        assert_eq!(
            indices(&front(&episodes)),
            [0, 2, 3],
            "1 is beaten, 4 is 0 again, 5 and 6 are not within the limits"
        );
    }
}
