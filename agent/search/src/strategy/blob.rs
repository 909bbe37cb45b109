//! A strategy's saved state: a JSON header and plain numbers, guarded by a checksum.

use super::StrategyError;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const MAGIC: &[u8; 8] = b"BTAGENT1";

/// Saved state. Numbers that must survive to the last bit are in `floats`, or as integers in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The strategy that wrote it.
    pub strategy: String,
    /// Everything but the long arrays, as JSON.
    pub header: String,
    /// The long arrays, as the bits of f32 numbers.
    pub floats: Vec<u32>,
}

impl Blob {
    /// Packs a header and numbers.
    pub fn new(strategy: &str, header: &impl Serialize, floats: &[f32]) -> Self {
        let header = serde_json::to_string(header).expect("headers hold only strings, integers and arrays of them");
        Self { strategy: strategy.into(), header, floats: floats.iter().map(|value| value.to_bits()).collect() }
    }

    /// The header, if it is `strategy`'s.
    ///
    /// # Errors
    /// [`StrategyError::Checkpoint`] when another strategy wrote it or the header is of another form.
    pub fn header<T: DeserializeOwned>(&self, strategy: &str) -> Result<T, StrategyError> {
        if self.strategy != strategy {
            let reason = format!("strategy `{}` wrote it, this is `{strategy}`", self.strategy);
            return Err(StrategyError::Checkpoint { reason });
        }
        serde_json::from_str(&self.header).map_err(|error| StrategyError::Checkpoint { reason: error.to_string() })
    }

    /// The numbers.
    pub fn floats(&self) -> Vec<f32> {
        self.floats.iter().map(|&bits| f32::from_bits(bits)).collect()
    }

    /// As bytes: magic, three lengths, the parts, CRC-32 of all before it. Little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for len in [self.strategy.len(), self.header.len(), self.floats.len()] {
            bytes.extend((len as u64).to_le_bytes());
        }
        bytes.extend(self.strategy.as_bytes());
        bytes.extend(self.header.as_bytes());
        bytes.extend(self.floats.iter().flat_map(|bits| bits.to_le_bytes()));
        bytes.extend(bitrack_image::crc32(&bytes).to_le_bytes());
        bytes
    }

    /// The inverse of [`Blob::to_bytes`].
    ///
    /// # Errors
    /// [`StrategyError::Checkpoint`] when the bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StrategyError> {
        parse(bytes).ok_or_else(|| StrategyError::Checkpoint { reason: "it is damaged".into() })
    }
}

fn parse(bytes: &[u8]) -> Option<Blob> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    if bitrack_image::crc32(body).to_le_bytes() != *crc {
        return None;
    }
    let (mut lens, mut rest) = body.strip_prefix(MAGIC)?.split_at_checked(24)?;
    let mut take = |unit: usize| -> Option<&[u8]> {
        let (len, more) = lens.split_first_chunk::<8>()?;
        lens = more;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?.checked_mul(unit)?;
        let (part, more) = rest.split_at_checked(len)?;
        rest = more;
        Some(part)
    };
    let (strategy, header, floats) = (take(1)?, take(1)?, take(4)?);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let floats = floats.as_chunks::<4>().0.iter().map(|&bits| u32::from_le_bytes(bits)).collect();
    Some(Blob { strategy: text(strategy)?, header: text(header)?, floats })
}

/// Where a random generator stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RngState {
    seed: [u8; 32],
    /// High and low half of the position in the stream, in 32-bit words.
    word_pos: [u64; 2],
}

impl RngState {
    /// The generator's present state.
    pub fn of(rng: &ChaCha8Rng) -> Self {
        let position = rng.get_word_pos();
        Self { seed: rng.get_seed(), word_pos: [(position >> 64) as u64, position as u64] }
    }

    /// A generator in this state.
    pub fn rng(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::from_seed(self.seed);
        rng.set_word_pos(u128::from(self.word_pos[0]) << 64 | u128::from(self.word_pos[1]));
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    #[test]
    fn a_generator_continues_where_it_stood() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..7 {
            let _: u32 = rng.random();
        }
        let mut copy = RngState::of(&rng).rng();
        for _ in 0..100 {
            assert_eq!(rng.random::<f64>(), copy.random::<f64>());
        }
    }

    #[test]
    fn another_strategys_state_is_refused() {
        let blob = Blob::new("random", &7u32, &[]);
        assert!(matches!(blob.header::<u32>("ddpg"), Err(StrategyError::Checkpoint { .. })));
        assert_eq!(blob.header::<u32>("random").expect("own"), 7);
    }

    proptest! {
        #[test]
        fn blobs_survive_and_damage_does_not(floats in prop::collection::vec(any::<u32>(), 0..20), at in any::<prop::sample::Index>()) {
            let blob = Blob { strategy: "toy".into(), header: "{}".into(), floats };
            let mut bytes = blob.to_bytes();
            prop_assert_eq!(&Blob::from_bytes(&bytes).expect("own bytes"), &blob);
            let at = at.index(bytes.len());
            prop_assert!(Blob::from_bytes(&bytes[..at]).is_err());
            bytes[at] ^= 1;
            prop_assert!(Blob::from_bytes(&bytes).is_err());
        }
    }
}
