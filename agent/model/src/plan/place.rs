//! Places buffers in as few bytes as it can.
//!
//! Finding the smallest arena is NP-hard (dynamic storage allocation); networks have few buffers, so that a greedy placement
//! improved by trying other orders is optimal in practice, and provably so whenever it meets the lower bound.

use bitrack_kernels::Overlay;

/// Buffers start at multiples of this many bytes.
pub const ALIGN: usize = 4;
/// How often what sticks out is moved to the front of an order.
const MAX_RAISES: usize = 40;
/// Orders tried when the greedy placement is above the lower bound.
const MAX_TRIES: usize = 400;

/// Offsets of all buffers, and the peak.
type Placed = (Vec<usize>, usize);

/// Bytes alive during the steps `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

impl Buffer {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Buffer `over` may lie over buffer `under`, which dies when `over` is born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cover {
    pub under: usize,
    pub over: usize,
    pub overlay: Overlay,
}

impl Cover {
    /// With distances that keep both buffers aligned.
    pub fn aligned(under: usize, over: usize, overlay: Overlay) -> Self {
        let step = if overlay.step.is_multiple_of(ALIGN) { overlay.step } else { overlay.step * ALIGN };
        let round = |distance: usize| distance.next_multiple_of(step);
        let overlay = Overlay { before: round(overlay.before), behind: overlay.behind.map(round), step };
        Self { under, over, overlay }
    }
}

/// What a buffer may do with one that is alive when it is.
#[derive(Debug, Clone, Copy)]
enum Terms {
    Apart,
    Under(Overlay),
    Over(Overlay),
}

/// Buffers and who is alive with whom.
pub struct Placer<'a> {
    buffers: &'a [Buffer],
    neighbours: Vec<Vec<(usize, Terms)>>,
}

impl<'a> Placer<'a> {
    pub fn new(buffers: &'a [Buffer], covers: &[Cover]) -> Self {
        let alive = |one: usize, other: usize| {
            one != other && buffers[one].len > 0 && buffers[other].len > 0 && buffers[one].meets(&buffers[other])
        };
        let of =
            |one: usize| (0..buffers.len()).filter(move |&other| alive(one, other)).map(|other| (other, Terms::Apart));
        let mut neighbours: Vec<Vec<(usize, Terms)>> = (0..buffers.len()).map(|one| of(one).collect()).collect();
        let mut agree = |one: usize, other: usize, terms: Terms| {
            neighbours[one].iter_mut().filter(|(neighbour, _)| *neighbour == other).for_each(|(_, old)| *old = terms);
        };
        for Cover { under, over, overlay } in covers {
            agree(*under, *over, Terms::Under(*overlay));
            agree(*over, *under, Terms::Over(*overlay));
        }
        Self { buffers, neighbours }
    }

    /// Offsets and peak: greedy in a few orders, each improved by moving what sticks out to its front; then with pairs exchanged.
    pub fn place(&self, lower_bound: usize) -> Placed {
        let mut best: Option<(Vec<usize>, Placed)> = None;
        for mut order in self.orders() {
            for _ in 0..MAX_RAISES {
                let placed = self.place_in_order(&order);
                let peak = placed.1;
                let top = order.iter().position(|&i| placed.0[i] + self.buffers[i].len == peak);
                if best.as_ref().is_none_or(|(_, best)| peak < best.1) {
                    best = Some((order.clone(), placed));
                }
                if peak == lower_bound || top == Some(0) {
                    break;
                }
                order[..=top.unwrap_or(0)].rotate_right(1);
            }
        }
        let (order, best) = best.unwrap_or_default();
        self.exchange(order, best, lower_bound)
    }

    /// Orders to start from: the largest first, the earlier or the later of two alike; along time, either way.
    fn orders(&self) -> [Vec<usize>; 4] {
        let by = |key: &dyn Fn(&Buffer) -> (usize, usize)| {
            let mut order: Vec<usize> = (0..self.buffers.len()).filter(|&i| self.buffers[i].len > 0).collect();
            order.sort_by_key(|&i| key(&self.buffers[i]));
            order
        };
        let (small, early) = (|b: &Buffer| usize::MAX - b.len, |b: &Buffer| usize::MAX - b.first);
        [
            by(&|b| (small(b), b.first)),
            by(&|b| (small(b), early(b))),
            by(&|b| (early(b), small(b))),
            by(&|b| (b.first, small(b))),
        ]
    }

    /// Exchanges two of an order as long as that helps.
    fn exchange(&self, mut order: Vec<usize>, mut best: Placed, lower_bound: usize) -> Placed {
        let mut tries = 0;
        let mut improved = true;
        while improved && best.1 > lower_bound {
            improved = false;
            for (from, to) in swaps(order.len()) {
                tries += 1;
                if tries > MAX_TRIES || best.1 == lower_bound {
                    return best;
                }
                order.swap(from, to);
                let placed = self.place_in_order(&order);
                if placed.1 < best.1 {
                    (best, improved) = (placed, true);
                } else {
                    order.swap(from, to);
                }
            }
        }
        best
    }

    /// Puts each buffer at the lowest offset where it is on terms with all that are already placed.
    fn place_in_order(&self, order: &[usize]) -> Placed {
        let mut offsets = vec![None; self.buffers.len()];
        let mut peak = 0;
        for &index in order {
            let at = self.lowest(index, &offsets);
            offsets[index] = Some(at);
            peak = peak.max(at + self.buffers[index].len);
        }
        (offsets.into_iter().map(Option::unwrap_or_default).collect(), peak)
    }

    fn lowest(&self, index: usize, offsets: &[Option<usize>]) -> usize {
        let placed = self.neighbours[index].iter().filter_map(|&(other, terms)| Some((other, offsets[other]?, terms)));
        let placed: Vec<(usize, usize, Terms)> = placed.collect();
        let fits = |at: &usize| {
            placed.iter().all(|&(other, other_at, terms)| self.on_terms(index, *at, other, other_at, terms))
        };
        let candidates = self.candidates(&placed);
        let fitting = candidates.into_iter().filter(fits).min();
        fitting.unwrap_or_else(|| placed.iter().map(|&(other, at, _)| at + self.buffers[other].len).max().unwrap_or(0))
    }

    /// Where a buffer could start: at the bottom, behind another, or over or under one that bears it.
    fn candidates(&self, placed: &[(usize, usize, Terms)]) -> Vec<usize> {
        let mut at = vec![0];
        at.extend(placed.iter().map(|&(other, other_at, _)| other_at + self.buffers[other].len));
        for &(_, other_at, terms) in placed {
            let (overlay, ahead, back) = match terms {
                Terms::Apart => continue,
                Terms::Under(overlay) => (overlay, Some(overlay.before), overlay.behind),
                Terms::Over(overlay) => (overlay, overlay.behind, Some(overlay.before)),
            };
            // In step with this one, from each place that the others leave.
            let in_step =
                |&from: &usize| from + (other_at % overlay.step + overlay.step - from % overlay.step) % overlay.step;
            let stepped: Vec<usize> = at.iter().map(in_step).collect();
            at.extend(stepped);
            at.extend(ahead.map(|distance| other_at + distance));
            at.extend(back.and_then(|distance| other_at.checked_sub(distance)));
        }
        at
    }

    fn on_terms(&self, index: usize, at: usize, other: usize, other_at: usize, terms: Terms) -> bool {
        let apart = at + self.buffers[index].len <= other_at || other_at + self.buffers[other].len <= at;
        apart
            || match terms {
                Terms::Apart => false,
                Terms::Under(overlay) => overlay.bears(at, other_at),
                Terms::Over(overlay) => overlay.bears(other_at, at),
            }
    }

    /// The fewest bytes in which the buffers of an op that may cover each other can lie.
    pub fn least(&self, mut group: Vec<usize>) -> usize {
        let mut least = usize::MAX;
        permute(&mut group, 0, &mut |order| least = least.min(self.place_in_order(order).1));
        least
    }
}

/// All orders of a few buffers.
fn permute(order: &mut [usize], from: usize, each: &mut dyn FnMut(&[usize])) {
    if from == order.len() {
        return each(order);
    }
    for next in from..order.len() {
        order.swap(from, next);
        permute(order, from + 1, each);
        order.swap(from, next);
    }
}

fn swaps(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(buffers: &[Buffer], covers: &[Cover]) -> (Vec<usize>, usize) {
        Placer::new(buffers, covers).place(0)
    }

    /// Whether all buffers that meet are apart or covered as they may be, told without the placer.
    fn is_sound(buffers: &[Buffer], covers: &[Cover], offsets: &[usize], peak: usize) -> bool {
        let apart = |i: usize, j: usize| {
            let (a, b) = (offsets[i]..offsets[i] + buffers[i].len, offsets[j]..offsets[j] + buffers[j].len);
            !buffers[i].meets(&buffers[j]) || a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start
        };
        let covered = |i: usize, j: usize| {
            let pair = |c: &&Cover| (c.under, c.over) == (i, j) || (c.under, c.over) == (j, i);
            covers.iter().find(pair).is_some_and(|c| c.overlay.bears(offsets[c.under], offsets[c.over]))
        };
        let on_terms = (0..buffers.len()).all(|i| (0..i).all(|j| apart(i, j) || covered(i, j)));
        on_terms && (0..buffers.len()).all(|i| offsets[i] + buffers[i].len <= peak || buffers[i].len == 0)
    }

    #[test]
    fn the_check_of_these_tests_sees_an_overlap() {
        let buffers = [Buffer { len: 8, first: 0, last: 1 }, Buffer { len: 8, first: 1, last: 2 }];
        assert!(!is_sound(&buffers, &[], &[0, 4], 12));
        assert!(is_sound(&buffers, &[], &[0, 8], 16));
        let covers = [Cover { under: 0, over: 1, overlay: Overlay::forward(4) }];
        assert!(!is_sound(&buffers, &covers, &[0, 4], 12));
        assert!(is_sound(&buffers, &covers, &[4, 0], 12));
    }

    #[test]
    fn a_chain_needs_its_largest_neighbours_only() {
        let chain: Vec<Buffer> = [400, 100, 300, 200]
            .into_iter()
            .enumerate()
            .map(|(i, len)| Buffer { len, first: i, last: i + 1 })
            .collect();
        let (offsets, peak) = place(&chain, &[]);
        assert_eq!(peak, 500);
        assert!(is_sound(&chain, &[], &offsets, peak));
    }

    #[test]
    fn a_chain_that_moves_to_and_fro_needs_one_distance() {
        let chain: Vec<Buffer> = (0..9).map(|i| Buffer { len: 400, first: i, last: i + 1 }).collect();
        let overlay = Overlay { before: 20, behind: Some(20), step: 20 };
        let covers: Vec<Cover> = (1..9).map(|over| Cover { under: over - 1, over, overlay }).collect();
        let (offsets, peak) = place(&chain, &covers);
        assert_eq!(peak, 420);
        assert!(is_sound(&chain, &covers, &offsets, peak));
    }

    proptest! {
        #[test]
        fn plans_are_sound(raw in prop::collection::vec((1usize..2000, 0usize..20, 0usize..8), 1..25)) {
            let buffers: Vec<Buffer> =
                raw.into_iter().map(|(len, first, more)| Buffer { len: len * 4, first, last: first + more }).collect();
            let (offsets, peak) = place(&buffers, &[]);
            prop_assert!(is_sound(&buffers, &[], &offsets, peak));
            prop_assert!(peak <= buffers.iter().map(|b| b.len).sum());
        }

        #[test]
        fn covered_plans_are_sound(
            raw in prop::collection::vec((1usize..500, 0usize..3, 0usize..600, 0usize..600, 1usize..40), 2..20),
        ) {
            let buffers: Vec<Buffer> = raw
                .iter()
                .enumerate()
                .map(|(i, &(len, more, ..))| Buffer { len: len * 4, first: i, last: i + 1 + more / 2 })
                .collect();
            let cover = |over: usize| {
                let (_, _, before, behind, step) = raw[over];
                let behind = (behind % 3 > 0).then_some(behind);
                let overlay = Overlay { before, behind, step };
                (buffers[over - 1].last == over).then(|| Cover::aligned(over - 1, over, overlay))
            };
            let covers: Vec<Cover> = (1..buffers.len()).filter_map(cover).collect();
            let (offsets, peak) = place(&buffers, &covers);
            prop_assert!(is_sound(&buffers, &covers, &offsets, peak));
            prop_assert!(offsets.iter().all(|at| at % ALIGN == 0));
        }
    }
}
