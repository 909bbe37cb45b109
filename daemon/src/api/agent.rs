//! What an agent asks and says.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::State;
use super::campaigns::id;
use super::error::{ApiError, Asked, Body, Part};
use crate::config::{BoardType, Config};
use crate::rack::sha256;
use crate::store::{Db, EpisodeEvent, EpisodeKey, Proposed, StoreError};
use crate::types::{
    AgentStart, BoardTypeInfo, Campaign, Episode, EpisodeState, Event, LayerCost, Limits, Proposal, Reward, Training,
    TrainingProgress,
};

/// Longest that one request waits for a measurement.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

type Answer<T> = Result<Json<T>, ApiError>;

/// What an agent may know of a board type.
pub fn board_type_info(t: &BoardType) -> BoardTypeInfo {
    BoardTypeInfo {
        name: t.name.clone(),
        unit: t.unit.name().to_owned(),
        clock_hz: t.clock_hz,
        slot_bytes: t.slot_bytes(),
        arena_bytes: t.arena,
        sector_bytes: t.sector,
    }
}

/// `GET /api/campaigns/{c}/agent`
pub async fn start(state: State, Part(name): Part<String>) -> Answer<AgentStart> {
    let id = id(&state, name).await?;
    let config = state.campaigns.config().clone();
    Ok(Json(state.store.read(move |db| agent_start(db, id, &config)).await?))
}

fn agent_start(db: &mut Db, id: i64, config: &Config) -> Result<AgentStart, StoreError> {
    let c = db.campaign(id)?;
    let known = |name: &String| {
        let missing = || StoreError::Conflict(format!("board type {name} is no longer in hil.toml"));
        config.board_type(name).map(board_type_info).ok_or_else(missing)
    };
    let episodes = db.episodes(id)?;
    let taken: std::collections::BTreeSet<u32> = episodes.iter().map(|e| e.candidate.index).collect();
    Ok(AgentStart {
        board_types: c.board_types.iter().map(known).collect::<Result<_, _>>()?,
        next_index: (0..).find(|i| !taken.contains(i)).expect("there are fewer episodes than numbers"),
        checkpoint: db.checkpoint_info(id)?,
        training: db.training_info(id)?,
        episodes,
        id: c.id,
        name: c.name,
        model: c.model,
        data: c.data,
        strategy: c.strategy,
        objective: c.objective,
        seed: c.seed,
        origin: c.origin,
        budget: c.budget,
        measured: c.progress.measured,
        warmup: c.warmup,
        repeats: c.repeats,
        limits_asked: c.limits_asked,
        limits: c.limits,
        options: c.options,
    })
}

/// `GET /api/campaigns/{c}/layer-costs`
pub async fn layer_costs(state: State, Part(name): Part<String>) -> Answer<Vec<LayerCost>> {
    let id = id(&state, name).await?;
    let costs = state.store.read(move |db| {
        let board_types = db.campaign(id)?.board_types;
        let costs = board_types.iter().map(|board_type| db.layer_costs(board_type));
        costs.collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(costs.await?.concat()))
}

/// `PUT /api/campaigns/{c}/limits`
pub async fn put_limits(state: State, Part(name): Part<String>, Body(limits): Body<Limits>) -> Answer<Campaign> {
    let id = id(&state, name).await?;
    state.store.write(move |db| db.set_limits(id, limits)).await?;
    state.campaigns.announce(id).await;
    Ok(Json(state.campaigns.view(id).await?))
}

/// Which episode a checkpoint was made after.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointQuery {
    episode: u32,
}

/// `PUT /api/campaigns/{c}/checkpoint`
pub async fn put_checkpoint(
    state: State,
    Part(name): Part<String>,
    Asked(query): Asked<CheckpointQuery>,
    content: Bytes,
) -> Result<StatusCode, ApiError> {
    let id = id(&state, name).await?;
    let hash = sha256(&content);
    state.store.write(move |db| db.put_checkpoint(id, query.episode, &hash, &content)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/campaigns/{c}/checkpoint`
pub async fn checkpoint(state: State, Part(name): Part<String>) -> Result<Vec<u8>, ApiError> {
    let id = id(&state, name).await?;
    let content = state.store.read(move |db| db.checkpoint(id)).await?;
    content.ok_or_else(|| ApiError::not_found("the campaign has no checkpoint yet"))
}

/// `PUT /api/campaigns/{c}/episodes/{n}/training`
pub async fn put_training(
    state: State,
    Part((name, index)): Part<(String, u32)>,
    Body(progress): Body<TrainingProgress>,
) -> Result<StatusCode, ApiError> {
    let campaign = id(&state, name).await?;
    state.store.read(move |db| db.not_proposed(EpisodeKey { campaign, index })).await?;
    state.campaigns.set_training(campaign, Some(Training { episode: index, progress }));
    state.campaigns.announce(campaign).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /api/campaigns/{c}/episodes/{n}/training/checkpoint`
pub async fn put_training_checkpoint(
    state: State,
    Part((name, index)): Part<(String, u32)>,
    content: Bytes,
) -> Result<StatusCode, ApiError> {
    let campaign = id(&state, name).await?;
    let hash = sha256(&content);
    state.store.write(move |db| db.put_training(EpisodeKey { campaign, index }, &hash, &content)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/campaigns/{c}/episodes/{n}/training/checkpoint`
pub async fn training_checkpoint(state: State, Part((name, index)): Part<(String, u32)>) -> Result<Vec<u8>, ApiError> {
    let campaign = id(&state, name).await?;
    let content = state.store.read(move |db| db.training(EpisodeKey { campaign, index })).await?;
    content.ok_or_else(|| ApiError::not_found(format!("no training of episode {index} was cut short")))
}

/// `POST /api/campaigns/{c}/episodes`
pub async fn propose(
    state: State,
    Part(name): Part<String>,
    Body(proposal): Body<Proposal>,
) -> Result<(StatusCode, Json<Episode>), ApiError> {
    check(&proposal)?;
    let campaign = id(&state, name).await?;
    let proposed = state.store.write(move |db| db.propose(campaign, &proposal)).await?;
    state.campaigns.set_training(campaign, None);
    let (status, episode) = match proposed {
        Proposed::New(id) => (StatusCode::CREATED, id),
        Proposed::Known(id) => (StatusCode::OK, id),
    };
    Ok((status, Json(tell(&state, campaign, episode).await?)))
}

fn check(proposal: &Proposal) -> Result<(), ApiError> {
    let accuracy = proposal.accuracy.is_none_or(|a| (0.0..=1.0).contains(&a));
    let bits = |b: u8| matches!(b, 2 | 4 | 8);
    let layers = proposal.policy.layers.iter();
    let widths = layers.flat_map(|l| [Some(l.input_bits), Some(l.output_bits), l.weight_bits]).flatten().all(bits);
    match (accuracy, widths) {
        (true, true) => Ok(()),
        (false, _) => Err(ApiError::invalid("accuracy is a fraction between 0 and 1")),
        (_, false) => Err(ApiError::invalid("bit widths are 2, 4 or 8")),
    }
}

/// `POST /api/campaigns/{c}/episodes/{n}/measure`
pub async fn measure(
    state: State,
    Part((name, index)): Part<(String, u32)>,
) -> Result<(StatusCode, Json<Episode>), ApiError> {
    let campaign = id(&state, name).await?;
    let (before, after, episode) = state
        .store
        .write(move |db| {
            let episode = db.episode_id(EpisodeKey { campaign, index })?;
            let before = db.candidate(episode)?.state;
            Ok((before, db.episode_event(episode, &EpisodeEvent::Measure)?, episode))
        })
        .await?;
    if after == EpisodeState::Measuring {
        state.campaigns.measure(campaign, episode);
    }
    let begins = before != after && after == EpisodeState::Measuring;
    let status = if begins { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(tell(&state, campaign, episode).await?)))
}

/// How long to wait for a measurement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Seconds.
    #[serde(default)]
    wait: u64,
}

/// `GET /api/campaigns/{c}/episodes/{n}`
pub async fn episode(
    state: State,
    Part((name, index)): Part<(String, u32)>,
    Asked(query): Asked<Wait>,
) -> Answer<Episode> {
    let campaign = id(&state, name).await?;
    let deadline = Instant::now() + Duration::from_secs(query.wait).min(LONGEST_WAIT);
    // Subscribed before the first look: nothing that happens in between is missed.
    let mut events = state.events.subscribe();
    loop {
        let episode = state.store.read(move |db| {
            let id = db.episode_id(EpisodeKey { campaign, index })?;
            db.episode(id)
        });
        let episode = episode.await?;
        if episode.candidate.state != EpisodeState::Measuring {
            return Ok(Json(episode));
        }
        let changed = async {
            loop {
                match events.recv().await {
                    Ok(Event::Candidate(c)) if c.id == episode.candidate.id => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        if tokio::time::timeout_at(deadline, changed).await.is_err() {
            return Ok(Json(episode));
        }
    }
}

/// `POST /api/campaigns/{c}/episodes/{n}/reward`
pub async fn reward(
    state: State,
    Part((name, index)): Part<(String, u32)>,
    Body(reward): Body<Reward>,
) -> Answer<Episode> {
    let campaign = id(&state, name).await?;
    let episode = state
        .store
        .write(move |db| {
            let episode = db.episode_id(EpisodeKey { campaign, index })?;
            db.reward(episode, &reward)?;
            Ok(episode)
        })
        .await?;
    Ok(Json(tell(&state, campaign, episode).await?))
}

/// Tells everybody what became of an episode, and gives it.
async fn tell(state: &State, campaign: i64, episode: i64) -> Result<Episode, ApiError> {
    let episode = state.store.read(move |db| db.episode(episode)).await?;
    // Nobody listening is fine.
    let _ = state.events.send(Event::Candidate(Box::new(episode.candidate.clone())));
    state.campaigns.announce(campaign).await;
    Ok(episode)
}
