//! What changes, as it changes: server-sent events.

use std::convert::Infallible;

use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use serde::Serialize;
use serde_json::json;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::{Stream, StreamExt};

use super::{State, rack};
use crate::types::Event;

/// `hello` with the rack, then every change.
pub async fn stream(state: State) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    // Subscribed before the rack is read: what changes in between is sent twice rather than never.
    let changes = BroadcastStream::new(state.events.subscribe()).map(change);
    let hello = tokio_stream::once(event("hello", &rack::rack(&state)));
    Sse::new(hello.chain(changes).map(Ok)).keep_alive(KeepAlive::default())
}

fn change(change: Result<Event, BroadcastStreamRecvError>) -> SseEvent {
    match change {
        Ok(change) => event(change.name(), &change),
        Err(BroadcastStreamRecvError::Lagged(missed)) => event("lagged", &json!({ "missed": missed })),
    }
}

fn event(name: &str, data: &impl Serialize) -> SseEvent {
    let event = SseEvent::default().event(name).json_data(data);
    event.expect("our types have string keys and no line breaks outside strings")
}
