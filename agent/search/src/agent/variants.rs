//! By which variants of kernels a campaign's images are computed: chosen when it begins, and kept.

use super::AgentError;
use super::api::AgentStart;
use super::client::Client;
use super::latency::know_costs;
use super::queue::{Begun, begun};
use crate::candidate::{Builder, Pick};
use crate::env::LatencyModel;

/// Has images computed by the variants that were measured to be fastest, where all of a layer's were, if that is what the campaign asks
/// for. The choice is a checkpoint before anything is measured: what has begun goes on with the same, whatever was measured since. `start`
/// has a checkpoint afterwards only if it is of a search.
///
/// # Errors
/// A damaged checkpoint, or the daemon's.
pub fn choose(client: &Client, start: &mut AgentStart, pick: Pick, builder: &mut Builder) -> Result<(), AgentError> {
    if pick != Pick::Measured {
        return Ok(());
    }
    let variants = match &start.checkpoint {
        Some(_) => {
            let Begun { variants, searches } = Begun::of(&client.checkpoint()?)?;
            start.checkpoint = start.checkpoint.take().filter(|_| searches);
            variants
        }
        None => {
            let boards = start.board_types.iter().map(|board| board.name.clone());
            let mut table = LatencyModel::new(&builder.space(), boards);
            know_costs(client, &mut table)?;
            let variants = table.fastest_variants();
            client.put_checkpoint(0, &begun(&variants))?;
            variants
        }
    };
    let told = variants.all_told().len();
    if told > 0 {
        tracing::info!(told, "other variants than the usual ones were measured to be faster");
    }
    builder.set_variants(variants);
    Ok(())
}
