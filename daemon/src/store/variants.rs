//! What the layers of a campaign take by each variant of their kernels.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;

use super::{Db, StoreError};
use crate::types::{LayerCost, VariantCost, VariantCosts};

/// A geometry, and the bits of weights, input and output.
type Site = (String, Option<u8>, u8, u8);

impl Db {
    /// For each of a campaign's board types and each of its geometries and bits, what was measured by each variant, where that is more than
    /// one: in its own candidates or any other's with the same runner. In the order of the layers.
    pub fn variant_costs(&mut self, campaign: i64) -> Result<Vec<VariantCosts>, StoreError> {
        let layers = self.layers_by_geometry(campaign)?;
        let latest = self.latest_variants(campaign)?;
        let mut all = Vec::new();
        for board_type in self.campaign(campaign)?.board_types {
            let mut sites: BTreeMap<Site, Vec<VariantCost>> = BTreeMap::new();
            for cost in self.layer_costs(&board_type)? {
                let LayerCost { variant: Some(variant), samples, ticks, .. } = cost else { continue };
                let site = (cost.geometry, cost.weight_bits, cost.input_bits, cost.output_bits);
                sites.entry(site).or_default().push(VariantCost { variant, samples, ticks });
            }
            let of_campaign = |(site, mut costs): (Site, Vec<VariantCost>)| {
                costs.sort_by(|a, b| a.ticks.total_cmp(&b.ticks));
                let (first, names) = layers.get(&site.0).filter(|_| costs.len() > 1)?;
                let latest = latest.get(&site).cloned();
                let (geometry, weight_bits, input_bits, output_bits) = site;
                let (board_type, layers) = (board_type.clone(), names.clone());
                let row =
                    VariantCosts { board_type, layers, geometry, weight_bits, input_bits, output_bits, costs, latest };
                Some((*first, row))
            };
            let mut rows: Vec<(u32, VariantCosts)> = sites.into_iter().filter_map(of_campaign).collect();
            rows.sort_by_key(|(first, _)| *first);
            all.extend(rows.into_iter().map(|(_, row)| row));
        }
        Ok(all)
    }

    /// The index of the first layer of each geometry, and the names of all, from the campaign's latest candidate.
    fn layers_by_geometry(&mut self, campaign: i64) -> Result<HashMap<String, (u32, Vec<String>)>, StoreError> {
        let sql = "SELECT key, value ->> '$.name', value ->> '$.geometry' FROM json_each(
                     (SELECT policy FROM episodes WHERE campaign = ?1 ORDER BY idx DESC LIMIT 1), '$.layers')
                   WHERE value ->> '$.geometry' IS NOT NULL ORDER BY key";
        let mut query = self.conn.prepare_cached(sql)?;
        let mut rows = query.query([campaign])?;
        let mut layers: HashMap<String, (u32, Vec<String>)> = HashMap::new();
        while let Some(row) = rows.next()? {
            let (index, name): (u32, String) = (row.get(0)?, row.get(1)?);
            layers.entry(row.get(2)?).or_insert((index, Vec::new())).1.push(name);
        }
        Ok(layers)
    }

    /// By which variant the campaign's latest candidate computes what it has of a geometry at these bits.
    fn latest_variants(&mut self, campaign: i64) -> Result<HashMap<Site, String>, StoreError> {
        let sql = "SELECT l.value ->> '$.geometry', l.value ->> '$.weight_bits', l.value ->> '$.input_bits',
                     l.value ->> '$.output_bits', l.value ->> '$.variant'
                   FROM episodes e, json_each(e.policy, '$.layers') l
                   WHERE e.campaign = ?1 AND l.value ->> '$.variant' IS NOT NULL AND l.value ->> '$.geometry' IS NOT NULL
                   ORDER BY e.idx, l.key";
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map(params![campaign], |row| {
            Ok(((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?), row.get(4)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
