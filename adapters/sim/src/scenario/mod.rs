//! Histories with a question: what is done to a network, and what is measured meanwhile.
//!
//! - [`Spec`] says what is to happen; [`run`] lets it happen and returns the [`Figures`].
//! - `lookups`: ideal tables, gets, dead nodes, loss; `joining`: a network that comes about; `churn`: nodes that come and go;
//!   `faults`: a split network, a storm of restarts; `versions`: records that change all the time.

mod churn;
mod faults;
mod figures;
mod joining;
mod lookups;
mod spec;
mod stage;
mod versions;

pub use figures::{Figures, peak_memory_bytes};
pub(crate) use lookups::VALUE;
pub use lookups::{halved_ring, small_links};
pub use spec::{Geometry, Impossible, Lifetime, Mode, Scenario, Spec};
pub use stage::Stage;
pub use versions::versions;

use kadlet::Kademlia;

use crate::progress::Progress;
use crate::{ChordTable, Make, Overlay, PastryTable, Peer, SmallPeer, WidePeer};

/// Lets what is specified happen.
///
/// # Errors
///
/// [`Impossible`]: a parameter that can't be; nothing was done.
pub fn run(spec: &Spec, progress: &mut Progress) -> Result<Figures, Impossible> {
    spec.check()?;
    let began = std::time::Instant::now();
    let mut figures = match spec.geometry {
        Geometry::Kademlia => run_on::<Kademlia<u32, 192>, Kademlia<u32, 192, 8>>(spec, progress),
        Geometry::Chord => run_on::<ChordTable, ChordTable>(spec, progress),
        Geometry::Pastry => run_on::<PastryTable, PastryTable>(spec, progress),
    };
    figures.wall_seconds = began.elapsed().as_secs_f64();
    figures.peak_memory_bytes = peak_memory_bytes();
    Ok(figures)
}

/// On tables `R`, or, where there are very many, on `Small` ones.
fn run_on<R: Overlay, Small: Overlay>(spec: &Spec, progress: &mut Progress) -> Figures {
    if spec.nodes > spec::MOST_WITH_RECORDS {
        run_with::<SmallPeer<Small>>(spec, progress)
    } else if spec.k > spec::MOST_K_OF_PEER {
        run_with::<WidePeer<R>>(spec, progress)
    } else {
        run_with::<Peer<R>>(spec, progress)
    }
}

fn run_with<M: Make>(spec: &Spec, progress: &mut Progress) -> Figures {
    let stage = Stage::<M>::new(spec, progress);
    match spec.scenario {
        Scenario::Static | Scenario::Loss => lookups::run(stage),
        Scenario::Gets => lookups::gets(stage),
        Scenario::Stale => lookups::stale(stage),
        Scenario::Join => joining::run(stage),
        Scenario::Churn => churn::run(stage),
        Scenario::Replace => churn::replace(stage),
        Scenario::Partition => faults::partition(stage),
        Scenario::Storm => faults::storm(stage),
    }
}
