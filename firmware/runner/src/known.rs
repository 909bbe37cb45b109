//! The images that a build of the runner is bound to.

use bitrack_engine::Engine;
use bitrack_image::Known;

use crate::report::Refusal;

/// None in a runner for any image.
const KNOWN: &[Known] = &include!(concat!(env!("OUT_DIR"), "/known.rs"));

/// Loads what lies in a slot.
///
/// # Errors
/// As [`Engine::load`], and in a runner that is bound to images, that it is none of them.
#[inline(always)]
pub fn load(bytes: &'static [u8], arena_bytes: usize) -> Result<Engine<'static>, Refusal> {
    if KNOWN.is_empty() {
        return Engine::load(bytes, arena_bytes).map_err(Refusal::from);
    }
    // SAFETY: `cargo xtask firmware --for` names images here that it has checked with this engine and all kernels, and compiles in those
    // that they need.
    unsafe { Engine::load_known(bytes, arena_bytes, KNOWN) }
}
