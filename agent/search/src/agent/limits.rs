//! From the limits asked for to the limits in force.

use super::AgentError;
use super::api::{BoardType, LimitAsked, LimitsAsked};
use crate::env::{Footprint, Limits};

/// Resolves percentages against the same network with 8 bits everywhere. `ticks` is its latency, or why there is none.
///
/// # Errors
/// [`AgentError::NoReference`] when a latency is relative to one that does not exist.
pub fn resolve(asked: &LimitsAsked, reference: Footprint, ticks: Result<u64, String>) -> Result<Limits, AgentError> {
    let of = |asked: LimitAsked, reference: u64| match asked {
        LimitAsked::Bytes(limit) | LimitAsked::Ticks(limit) => limit,
        // Rounded down: a limit is not exceeded by rounding.
        LimitAsked::Percent(percent) => (reference as f64 * percent / 100.0).floor() as u64,
    };
    let latency_ticks = match (asked.latency, ticks) {
        (None, _) => None,
        (Some(asked @ LimitAsked::Percent(_)), ticks) => {
            Some(of(asked, ticks.map_err(|reason| AgentError::NoReference { reason })?))
        }
        (Some(asked), _) => Some(of(asked, 0)),
    };
    Ok(Limits {
        flash_bytes: asked.flash.map(|asked| of(asked, reference.flash_bytes)),
        ram_bytes: asked.ram.map(|asked| of(asked, reference.ram_bytes)),
        latency_ticks,
    })
}

/// The limits a search projects onto: the campaign's, and what every board type can hold at all.
/// `vectors` are the bytes that test vectors add to an image.
pub fn with_boards(limits: &Limits, boards: &[BoardType], vectors: u64) -> Limits {
    let least = |limit: Option<u64>, of: &dyn Fn(&BoardType) -> u64| boards.iter().map(of).chain(limit).min();
    Limits {
        flash_bytes: least(limits.flash_bytes, &|board| board.slot_bytes.saturating_sub(vectors)),
        ram_bytes: least(limits.ram_bytes, &|board| board.arena_bytes),
        latency_ticks: limits.latency_ticks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: Footprint = Footprint { flash_bytes: 1000, ram_bytes: 333 };

    fn asked(json: &str) -> LimitsAsked {
        serde_json::from_str(json).expect("valid")
    }

    #[test]
    fn percentages_refer_to_eight_bits_everywhere() {
        let asked = asked(r#"{"flash": {"percent": 60.0}, "ram": {"percent": 50.0}, "latency": {"percent": 100.0}}"#);
        let limits = resolve(&asked, REFERENCE, Ok(77)).expect("resolved");
        assert_eq!((limits.flash_bytes, limits.ram_bytes, limits.latency_ticks), (Some(600), Some(166), Some(77)));
        let error = resolve(&asked, REFERENCE, Err("it does not fit".into())).expect_err("no reference").to_string();
        assert!(error.contains("it does not fit"), "{error}");
    }

    #[test]
    fn absolute_limits_need_no_reference() {
        let asked = asked(r#"{"flash": {"bytes": 5}, "ram": null, "latency": {"ticks": 9}}"#);
        let limits = resolve(&asked, REFERENCE, Err("unmeasured".into())).expect("resolved");
        assert_eq!((limits.flash_bytes, limits.ram_bytes, limits.latency_ticks), (Some(5), None, Some(9)));
    }

    #[test]
    fn no_board_is_asked_to_hold_more_than_it_can() {
        let boards = [("a", 100, 50), ("b", 80, 90)].map(|(name, slot_bytes, arena_bytes)| BoardType {
            name: name.into(),
            unit: "cycles".into(),
            slot_bytes,
            arena_bytes,
        });
        let limits = with_boards(&Limits { ram_bytes: Some(40), ..Limits::default() }, &boards, 10);
        assert_eq!((limits.flash_bytes, limits.ram_bytes), (Some(70), Some(40)));
    }
}
