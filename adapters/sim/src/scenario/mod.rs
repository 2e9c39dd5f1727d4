//! Scenarios: what happens to a network, and what is measured while it happens.
//!
//! | file | what it has |
//! |---|---|
//! | `lookups` | ideal tables, gets, dead nodes, loss |
//! | `join`, `churn`, `partition`, `storm`, `versions` | one kind of scenario each |
//! | `attack` | an attack, from the folder of this name |
//! | `trial` | attacks that are not measured by gets, from the folder of this name |
//! | `runner` | a network, a schedule of actions, and the lookups that were evaluated |
//! | `forwarded` | lookups without acknowledgements, for comparison |
//! | `spec`, `figures` | the input, and the output |
//!
//! ```
//! use kadlet_sim::progress::Progress;
//! use kadlet_sim::scenario::{self, Scenario, Spec};
//!
//! // Of 100 nodes 30 die at once.
//! let spec = Spec { nodes: 100, lookups: 50, dead: 0.3, seed: 7, ..Spec::new(Scenario::Stale) };
//! let figures = scenario::run(&spec, &mut Progress::silent())?;
//! assert!(figures.success > 0.9 && figures.timeouts_mean > 0.0);
//! assert_eq!(figures.violations, 0);
//! # Ok::<(), scenario::InvalidSpec>(())
//! ```

mod attack;
mod churn;
mod figures;
mod forwarded;
mod join;
mod lookups;
mod partition;
mod runner;
mod spec;
mod storm;
mod trial;
mod versions;

pub use attack::{Attack, AttackFigures, AttackSpec, attack};
pub use figures::{Figures, peak_memory_bytes};
#[cfg(feature = "cli")]
pub(crate) use lookups::VALUE;
pub use lookups::{half_dead_chord, small_datagrams};
pub use spec::{Geometry, InvalidSpec, Lifetime, LookupMode, Scenario, Spec};
pub use trial::{Crowd, Flood, Measure, Trial, TrialSpec, trial};
pub use versions::versions;

use kadlet::Kademlia;

use crate::address::HostAddress;
use crate::node::{ChordTable, PastryTable, Peer, SimulatedNode, SmallPeer, WidePeer};
use crate::overlay::Overlay;
use crate::progress::Progress;
use runner::Runner;
use spec::{MOST_K_OF_PEER, MOST_WITH_RECORDS};

/// Runs a scenario.
///
/// # Errors
///
/// [`InvalidSpec`]: a parameter is out of its range. Nothing was run.
pub fn run(spec: &Spec, progress: &mut Progress) -> Result<Figures, InvalidSpec> {
    spec.check()?;
    let began = std::time::Instant::now();
    let mut figures = match spec.geometry {
        Geometry::Kademlia => {
            run_with_table::<Kademlia<HostAddress, 192>, Kademlia<HostAddress, 192, 8>>(spec, progress)
        }
        Geometry::Chord => run_with_table::<ChordTable, ChordTable>(spec, progress),
        Geometry::Pastry => run_with_table::<PastryTable, PastryTable>(spec, progress),
    };
    figures.wall_seconds = began.elapsed().as_secs_f64();
    figures.peak_memory_bytes = peak_memory_bytes();
    Ok(figures)
}

/// Chooses the node's type. Its table is `R`, or `Small` in very large networks.
fn run_with_table<R: Overlay, Small: Overlay>(spec: &Spec, progress: &mut Progress) -> Figures {
    if spec.nodes > MOST_WITH_RECORDS {
        run_with_node::<SmallPeer<Small>>(spec, progress)
    } else if spec.k > MOST_K_OF_PEER {
        run_with_node::<WidePeer<R>>(spec, progress)
    } else {
        run_with_node::<Peer<R>>(spec, progress)
    }
}

fn run_with_node<M: SimulatedNode>(spec: &Spec, progress: &mut Progress) -> Figures {
    let runner = Runner::<M>::new(spec, progress);
    match spec.scenario {
        Scenario::Static | Scenario::Loss => lookups::run(runner),
        Scenario::Gets => lookups::gets(runner),
        Scenario::Stale => lookups::stale(runner),
        Scenario::Join => join::run(runner),
        Scenario::Churn => churn::run(runner),
        Scenario::Replace => churn::replace(runner),
        Scenario::Partition => partition::run(runner),
        Scenario::Storm => storm::run(runner),
    }
}
