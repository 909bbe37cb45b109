//! Boards, images, and measurements asked for directly.

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use bitrack_image::Header;

use super::State;
use super::error::{ApiError, Body, Part};
use crate::measuring::Order;
use crate::rack::{Counts, sha256};
use crate::store::{ImageRow, StoreError};
use crate::types::{Board, MeasureRequest, Measurement, Rack};

/// `GET /api/rack`
pub async fn get(state: State) -> Json<Rack> {
    Json(rack(&state))
}

pub(super) fn rack(state: &State) -> Rack {
    Rack {
        tool_revision: crate::revision().to_owned(),
        started_at: state.started_at.clone(),
        boards: state.rack.boards(),
    }
}

/// `POST /api/boards/{name}/recover`
pub async fn recover(state: State, Part(name): Part<String>) -> Result<(StatusCode, Json<Board>), ApiError> {
    let unknown = || ApiError::not_found(format!("no board {name} in the rack"));
    if !state.rack.recover(&name).await {
        return Err(unknown());
    }
    Ok((StatusCode::ACCEPTED, Json(state.rack.board(&name).ok_or_else(unknown)?)))
}

/// `PUT /api/images/{sha256}`
pub async fn put_image(state: State, Part(name): Part<String>, bytes: Bytes) -> Result<StatusCode, ApiError> {
    let actual = sha256(&bytes);
    if actual != name {
        return Err(ApiError::invalid(format!("the bytes hash to {actual}, not to {name}")));
    }
    let header = Header::parse(&bytes).map_err(ApiError::invalid)?;
    let row = ImageRow {
        sha256: name.clone(),
        bytes: bytes.len() as u32,
        model_len: header.model_len,
        arena: header.arena_len,
        ops: header.n_ops,
        vectors: header.n_vectors,
        model_id: header.model_id,
    };
    let images = state.images.clone();
    let written = tokio::task::spawn_blocking(move || images.put(&name, &bytes)).await;
    written.map_err(ApiError::rig)?.map_err(not_written)?;
    let new = state.store.write(move |db| db.put_image(&row)).await?;
    Ok(if new { StatusCode::CREATED } else { StatusCode::OK })
}

/// `GET /api/images/{sha256}`
pub async fn image(state: State, Part(name): Part<String>) -> Result<Vec<u8>, ApiError> {
    let sought = name.clone();
    if !state.store.read(move |db| db.has_image(&sought)).await? {
        return Err(ApiError::not_found(format!("no image {name} was ever put")));
    }
    let (images, file) = (state.images.clone(), name.clone());
    let read = tokio::task::spawn_blocking(move || images.read(&file)).await.map_err(ApiError::rig)?;
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ApiError::not_found(format!("image {name} is gone from the cache")),
        _ => ApiError::rig(format!("image {name} cannot be read: {error}")),
    })
}

/// A full disk is worth trying again, like a full store.
fn not_written(error: std::io::Error) -> ApiError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full.into(),
        _ => ApiError::rig(format!("the image cache cannot be written: {error}")),
    }
}

/// `POST /api/measure`
pub async fn measure(state: State, Body(request): Body<MeasureRequest>) -> Result<Json<Measurement>, ApiError> {
    let image = request.image_sha256.clone();
    if !state.store.read(move |db| db.has_image(&image)).await? {
        return Err(ApiError::not_found(format!("no image {}: put it first", request.image_sha256)));
    }
    let (warmup, repeats) = (request.warmup.unwrap_or(1), request.repeats.unwrap_or(3));
    if !(1..=100).contains(&repeats) || warmup > 100 {
        return Err(ApiError::invalid("use 1 to 100 repeats and at most 100 warm-up runs"));
    }
    let order = Order {
        image: request.image_sha256,
        board: request.board,
        board_type: request.board_type,
        counts: Counts { warmup, repeats },
        episode: None,
        holder: "hil measure".into(),
        fresh: request.fresh,
        patient: false,
    };
    let id = state.measuring.measure(&order).await?;
    Ok(Json(state.store.read(move |db| db.measurement(id)).await?))
}
