//! HTTP: the only module that knows it. `docs/api.md` is its manual, [`crate::types`] its words.

mod agent;
mod campaigns;
mod error;
mod events;
mod page;
mod rack;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use tokio::sync::broadcast;

use crate::campaign::Campaigns;
use crate::images::Images;
use crate::measuring::Measuring;
use crate::rack::Rack;
use crate::store::Store;
use crate::types::Event;

/// Checkpoints are the largest bodies; images and proposals are far smaller.
const BODY_LIMIT: usize = 256 << 20;

/// What the handlers need.
pub struct App {
    pub store: Arc<Store>,
    pub rack: Arc<Rack>,
    pub campaigns: Arc<Campaigns>,
    pub measuring: Measuring,
    pub images: Images,
    pub events: broadcast::Sender<Event>,
    pub started_at: String,
}

type State = axum::extract::State<Arc<App>>;

/// Every route.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/rack", get(rack::get))
        .route("/boards/{name}/recover", post(rack::recover))
        .route("/measure", post(rack::measure))
        .route("/images/{sha256}", get(rack::image).put(rack::put_image))
        .route("/events", get(events::stream))
        .route("/candidates/{id}", get(campaigns::candidate))
        .route("/compare", get(campaigns::compare))
        .route("/campaigns", get(campaigns::list))
        .route("/campaigns/{c}", get(campaigns::get))
        .route("/campaigns/{c}/candidates", get(campaigns::candidates))
        .route("/campaigns/{c}/pareto", get(campaigns::pareto))
        .route("/campaigns/{c}/front", get(campaigns::front))
        .route("/campaigns/{c}/layer-variants", get(campaigns::layer_variants))
        .route("/campaigns/{c}/start", post(campaigns::start))
        .route("/campaigns/{c}/stop", post(campaigns::stop))
        .route("/campaigns/{c}/resume", post(campaigns::resume))
        .route("/campaigns/{c}/finish", post(campaigns::finish))
        .route("/campaigns/{c}/agent", get(agent::start))
        .route("/campaigns/{c}/layer-costs", get(agent::layer_costs))
        .route("/campaigns/{c}/limits", put(agent::put_limits))
        .route("/campaigns/{c}/checkpoint", get(agent::checkpoint).put(agent::put_checkpoint))
        .route("/campaigns/{c}/episodes", post(agent::propose))
        .route("/campaigns/{c}/episodes/{n}", get(agent::episode))
        .route("/campaigns/{c}/episodes/{n}/training", put(agent::put_training))
        .route(
            "/campaigns/{c}/episodes/{n}/training/checkpoint",
            get(agent::training_checkpoint).put(agent::put_training_checkpoint),
        )
        .route("/campaigns/{c}/episodes/{n}/measure", post(agent::measure))
        .route("/campaigns/{c}/episodes/{n}/reward", post(agent::reward))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(axum::middleware::from_fn(error::own_page_only))
        .fallback(error::no_such_route)
        .with_state(app);
    Router::new().nest("/api", api).fallback(page::serve)
}
