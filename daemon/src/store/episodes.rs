//! Episodes: proposals, and the only way their state changes.

use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::Value;

use super::row::{to_word, word};
use super::{Db, StoreError, now};
use crate::types::{Episode, EpisodeState, Proposal, Reward, Step};

/// Names one episode: a campaign's id and the episode's index in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpisodeKey {
    pub campaign: i64,
    pub index: u32,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {
    /// Its episode's id.
    New(i64),
    /// It was sent before.
    Known(i64),
}

/// What may happen to an episode.
#[derive(Debug, Clone, PartialEq)]
pub enum EpisodeEvent {
    /// Its agent wants it measured; once more, if boards or rig failed it.
    Measure,
    /// Every board type has an accepted measurement.
    Measured,
    /// The candidate itself cannot run; why.
    Infeasible(String),
    /// Boards or rig failed it; why.
    Failed(String),
    /// What it was worth to its agent.
    Rewarded(f64),
}

impl Db {
    /// Records a proposal once, however often it is sent.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the index holds another proposal, [`StoreError::Invalid`] when its image was not put.
    pub fn propose(&mut self, campaign: i64, proposal: &Proposal) -> Result<Proposed, StoreError> {
        let tx = self.immediate()?;
        let known: Option<(i64, String)> = tx
            .query_row(
                "SELECT id, client_key FROM episodes WHERE campaign = ?1 AND idx = ?2",
                params![campaign, proposal.index],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        match known {
            Some((id, key)) if key == proposal.client_key => return Ok(Proposed::Known(id)),
            Some((_, key)) => {
                let index = proposal.index;
                return Err(StoreError::Conflict(format!(
                    "episode {index} was proposed before, with client_key {key}"
                )));
            }
            None => {}
        }
        check_image(&tx, proposal)?;
        let id = insert(&tx, campaign, proposal)?;
        // What it was trained from is not needed again.
        tx.execute("DELETE FROM trainings WHERE campaign = ?1 AND episode = ?2", params![campaign, proposal.index])?;
        tx.commit()?;
        Ok(Proposed::New(id))
    }

    /// Every legal change of an episode's state, in one place. Returns the state it has afterwards; an event that has
    /// happened already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for any other change.
    pub fn episode_event(&mut self, id: i64, event: &EpisodeEvent) -> Result<EpisodeState, StoreError> {
        use EpisodeEvent as E;
        use EpisodeState as S;
        let tx = self.immediate()?;
        let (state, reward) = tx
            .query_row("SELECT state, reward FROM episodes WHERE id = ?1", [id], |row| {
                Ok((word::<S>(row, "state")?, row.get::<_, Option<f64>>("reward")?))
            })
            .optional()?
            .ok_or_else(|| StoreError::NotFound(format!("episode {id}")))?;
        let to = match (state, event) {
            (S::Proposed | S::Failed, E::Measure) => S::Measuring,
            (S::Measuring, E::Measured) => S::Measured,
            (S::Measuring, E::Infeasible(_)) => S::Infeasible,
            (S::Measuring, E::Failed(_)) => S::Failed,
            (S::Measured, E::Rewarded(_)) => S::Done,
            (S::Infeasible, E::Rewarded(_)) if reward.is_none() => S::Infeasible,
            (S::Done | S::Infeasible, E::Rewarded(again)) if reward == Some(*again) => return Ok(state),
            (S::Measuring | S::Measured | S::Done | S::Infeasible, E::Measure) => return Ok(state),
            (S::Measured, E::Measured) => return Ok(state),
            _ => return Err(StoreError::Conflict(format!("episode is {}: {event:?} is not possible", to_word(state)))),
        };
        write_event(&tx, id, to, event)?;
        tx.commit()?;
        Ok(to)
    }

    /// Gives an episode its reward, and its steps theirs.
    pub fn reward(&mut self, id: i64, reward: &Reward) -> Result<EpisodeState, StoreError> {
        let state = self.episode_event(id, &EpisodeEvent::Rewarded(reward.reward))?;
        let tx = self.immediate()?;
        for (step, value) in reward.step_rewards.iter().flatten().enumerate() {
            tx.execute(
                "UPDATE steps SET reward = ?3 WHERE episode = ?1 AND step = ?2",
                params![id, step as u32, value],
            )?;
        }
        tx.execute(
            "UPDATE episodes SET wall = json_patch(wall, ?2) WHERE id = ?1",
            params![id, reward.wall.to_string()],
        )?;
        tx.commit()?;
        Ok(state)
    }

    /// The id of an episode.
    pub fn episode_id(&mut self, key: EpisodeKey) -> Result<i64, StoreError> {
        let sql = "SELECT id FROM episodes WHERE campaign = ?1 AND idx = ?2";
        let id: Option<i64> = self.conn.query_row(sql, params![key.campaign, key.index], |r| r.get(0)).optional()?;
        id.ok_or_else(|| StoreError::NotFound(format!("episode {} in campaign {}", key.index, key.campaign)))
    }

    /// One episode as its agent sees it.
    pub fn episode(&mut self, id: i64) -> Result<Episode, StoreError> {
        let candidate = self.candidate(id)?;
        let (client_key, policy): (String, String) =
            self.conn.query_row("SELECT client_key, policy FROM episodes WHERE id = ?1", [id], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })?;
        let accepted = self.episode_measurements(id)?.into_iter().filter(|m| m.accepted);
        Ok(Episode {
            candidate,
            client_key,
            policy: serde_json::from_str(&policy)?,
            steps: self.steps(id)?,
            measurement: accepted.max_by_key(|m| (m.ticks.as_ref().map(|t| t.median), std::cmp::Reverse(m.id))),
            failure: self.episode_failures(id)?.pop(),
        })
    }

    /// All episodes of a campaign, by index.
    pub fn episodes(&mut self, campaign: i64) -> Result<Vec<Episode>, StoreError> {
        let ids: Vec<i64> = {
            let mut query = self.conn.prepare_cached("SELECT id FROM episodes WHERE campaign = ?1 ORDER BY idx")?;
            query.query_map([campaign], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        ids.into_iter().map(|id| self.episode(id)).collect()
    }

    /// Episodes that wait for a measurement, oldest first: what a restarted daemon takes up again.
    pub fn measuring_episodes(&mut self) -> Result<Vec<(EpisodeKey, i64)>, StoreError> {
        let sql = "SELECT campaign, idx, id FROM episodes WHERE state = 'measuring' ORDER BY id";
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map([], |r| Ok((EpisodeKey { campaign: r.get(0)?, index: r.get(1)? }, r.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The steps of an episode, in order.
    pub fn steps(&mut self, episode: i64) -> Result<Vec<Step>, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT * FROM steps WHERE episode = ?1 ORDER BY step")?;
        let rows = query.query_map([episode], |row| {
            Ok(Step {
                tensor: row.get("tensor")?,
                state: super::row::json(row, "state")?,
                raw_action: row.get("raw_action")?,
                bits_asked: row.get("bits_asked")?,
                bits: row.get("bits")?,
                reward: row.get("reward")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Milliseconds by phase, as the agent reported them.
    pub fn episode_wall(&mut self, id: i64) -> Result<Value, StoreError> {
        let text: String = self.conn.query_row("SELECT wall FROM episodes WHERE id = ?1", [id], |row| row.get(0))?;
        Ok(serde_json::from_str(&text)?)
    }
}

fn check_image(tx: &Transaction<'_>, proposal: &Proposal) -> Result<(), StoreError> {
    let Some(sha256) = &proposal.image_sha256 else { return Ok(()) };
    let there: bool = tx.query_row("SELECT count(*) > 0 FROM images WHERE sha256 = ?1", [sha256], |r| r.get(0))?;
    let missing = || StoreError::Invalid(format!("image {sha256} was not put: PUT /api/images/{sha256} first"));
    there.then_some(()).ok_or_else(missing)
}

fn insert(tx: &Transaction<'_>, campaign: i64, p: &Proposal) -> Result<i64, StoreError> {
    let no_image = p.image_sha256.is_none().then(|| "no image was made of it".to_owned());
    let reason = p.infeasible.clone().or(no_image);
    let state = if reason.is_some() { EpisodeState::Infeasible } else { EpisodeState::Proposed };
    tx.execute(
        "INSERT INTO episodes (campaign, idx, client_key, label, strategy, policy, accuracy, accuracy_split, accuracy_samples,
           flash_bytes, ram_bytes, image_sha256, state, reason, wall, created_at, finished_at, predicted_ticks)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            campaign,
            p.index,
            p.client_key,
            p.label,
            p.strategy,
            serde_json::to_string(&p.policy)?,
            p.accuracy,
            p.accuracy_split,
            p.accuracy_samples,
            p.flash_bytes,
            p.ram_bytes,
            p.image_sha256,
            to_word(state),
            reason,
            p.wall.to_string(),
            now(),
            reason.is_some().then(now),
            p.predicted_ticks,
        ],
    )?;
    let id = tx.last_insert_rowid();
    for (step, s) in p.steps.iter().enumerate() {
        tx.execute(
            "INSERT INTO steps (episode, step, tensor, state, raw_action, bits_asked, bits, reward)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id,
                step as u32,
                s.tensor,
                serde_json::to_string(&s.state)?,
                s.raw_action,
                s.bits_asked,
                s.bits,
                s.reward
            ],
        )?;
    }
    Ok(id)
}

fn write_event(tx: &Transaction<'_>, id: i64, to: EpisodeState, event: &EpisodeEvent) -> Result<(), StoreError> {
    let (reason, reward) = match event {
        EpisodeEvent::Infeasible(reason) | EpisodeEvent::Failed(reason) => (Some(reason), None),
        EpisodeEvent::Rewarded(reward) => (None, Some(*reward)),
        EpisodeEvent::Measure | EpisodeEvent::Measured => (None, None),
    };
    if *event == EpisodeEvent::Measure {
        // Why an earlier attempt failed is kept among the failures.
        tx.execute("UPDATE episodes SET reason = NULL, finished_at = NULL WHERE id = ?1", [id])?;
    }
    let ended = !matches!(event, EpisodeEvent::Measure | EpisodeEvent::Rewarded(_));
    tx.execute(
        "UPDATE episodes SET state = ?2, reason = coalesce(?3, reason), reward = coalesce(?4, reward),
           finished_at = coalesce(finished_at, ?5) WHERE id = ?1",
        params![id, to_word(to), reason, reward, ended.then(now)],
    )?;
    Ok(())
}
