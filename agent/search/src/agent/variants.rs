//! By which variants of kernels a campaign's images are computed: chosen when it begins, and kept.

use super::AgentError;
use super::api::AgentStart;
use super::client::Client;
use super::latency::know_costs;
use super::queue::saved_variants;
use crate::candidate::{Builder, Pick};
use crate::env::LatencyModel;

/// Has images computed by the variants that were measured to be fastest, where all of a layer's were, if that is what the campaign asks
/// for. What has begun goes on with the same, whatever was measured since: its predictions and its checkpoint are of these.
///
/// # Errors
/// A damaged checkpoint, or the daemon's.
pub fn choose(client: &Client, start: &AgentStart, pick: Pick, builder: &mut Builder) -> Result<(), AgentError> {
    if pick != Pick::Measured {
        return Ok(());
    }
    let variants = match start.checkpoint {
        Some(_) => saved_variants(&client.checkpoint()?)?,
        None => {
            let boards = start.board_types.iter().map(|board| board.name.clone());
            let mut table = LatencyModel::new(&builder.space(), boards);
            know_costs(client, &mut table)?;
            table.fastest_variants()
        }
    };
    let told = variants.all_told().len();
    if told > 0 {
        tracing::info!(told, "other variants than the usual ones were measured to be faster");
    }
    builder.set_variants(variants);
    Ok(())
}
