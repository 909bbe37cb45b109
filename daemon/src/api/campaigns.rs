//! Campaigns as people see and steer them.

use axum::Json;
use serde::Deserialize;

use super::State;
use super::error::{ApiError, Asked, Body, Part};
use crate::compare;
use crate::store::CampaignEvent;
use crate::types::{Campaign, Candidate, CandidateDetail, Comparison, FinishRequest, StartRequest, VariantCosts};

type Answer<T> = Result<Json<T>, ApiError>;

/// The id behind a name or a number.
pub(super) async fn id(state: &State, name: String) -> Result<i64, ApiError> {
    Ok(state.store.read(move |db| db.campaign_id(&name)).await?)
}

/// `GET /api/campaigns`
pub async fn list(state: State) -> Answer<Vec<Campaign>> {
    Ok(Json(state.campaigns.views().await?))
}

/// `GET /api/campaigns/{c}`
pub async fn get(state: State, Part(name): Part<String>) -> Answer<Campaign> {
    let id = id(&state, name).await?;
    Ok(Json(state.campaigns.view(id).await?))
}

/// Only candidates behind this index.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct After {
    after: Option<u32>,
}

/// `GET /api/campaigns/{c}/candidates`
pub async fn candidates(state: State, Part(name): Part<String>, Asked(q): Asked<After>) -> Answer<Vec<Candidate>> {
    let id = id(&state, name).await?;
    Ok(Json(state.store.read(move |db| db.candidates(id, q.after)).await?))
}

/// `GET /api/campaigns/{c}/pareto`
pub async fn pareto(state: State, Part(name): Part<String>) -> Answer<Vec<Candidate>> {
    let id = id(&state, name).await?;
    Ok(Json(state.store.read(move |db| db.pareto(id)).await?))
}

/// `GET /api/campaigns/{c}/front`
pub async fn front(state: State, Part(name): Part<String>) -> Answer<Vec<Candidate>> {
    let id = id(&state, name).await?;
    Ok(Json(state.store.read(move |db| db.front(id)).await?))
}

/// `GET /api/campaigns/{c}/layer-variants`
pub async fn layer_variants(state: State, Part(name): Part<String>) -> Answer<Vec<VariantCosts>> {
    let id = id(&state, name).await?;
    Ok(Json(state.store.read(move |db| db.variant_costs(id)).await?))
}

/// Which campaigns to compare.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Names or ids, with commas in between.
    campaigns: String,
}

/// `GET /api/compare?campaigns=A,B`
pub async fn compare(state: State, Asked(q): Asked<Compared>) -> Answer<Comparison> {
    let names: Vec<String> = q.campaigns.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let runs = state.store.read(move |db| db.search_runs(&names)).await?;
    compare::compare(&runs).map(Json).map_err(ApiError::invalid)
}

/// `GET /api/candidates/{id}`
pub async fn candidate(state: State, Part(id): Part<i64>) -> Answer<CandidateDetail> {
    Ok(Json(state.store.read(move |db| db.candidate_detail(id)).await?))
}

/// `POST /api/campaigns/{name}/start`
pub async fn start(state: State, Part(name): Part<String>, Body(request): Body<StartRequest>) -> Answer<Campaign> {
    let id = state.campaigns.start(&name, request).await?;
    Ok(Json(state.campaigns.view(id).await?))
}

/// `POST /api/campaigns/{c}/stop`
pub async fn stop(state: State, Part(name): Part<String>) -> Answer<Campaign> {
    change(state, name, CampaignEvent::Stop).await
}

/// `POST /api/campaigns/{c}/resume`
pub async fn resume(state: State, Part(name): Part<String>) -> Answer<Campaign> {
    change(state, name, CampaignEvent::Resume).await
}

/// `POST /api/campaigns/{c}/finish`
pub async fn finish(state: State, Part(name): Part<String>, Body(request): Body<FinishRequest>) -> Answer<Campaign> {
    change(state, name, CampaignEvent::Finish(request.reason)).await
}

async fn change(state: State, name: String, event: CampaignEvent) -> Answer<Campaign> {
    let id = id(&state, name).await?;
    state.campaigns.change(id, event).await?;
    Ok(Json(state.campaigns.view(id).await?))
}
