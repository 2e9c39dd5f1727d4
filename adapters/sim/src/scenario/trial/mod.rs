//! Trials: attacks that are not measured by what gets find, and honest nodes that are many in few places.
//!
//! | file | what it has |
//! |---|---|
//! | `eclipse` | colluders in a network whose nodes come and go |
//! | `third_party` | attackers name an address that has nothing to do with the network |
//! | `replication` | a holder claims to have replicated a record |
//! | `stores` | one node is sent more records than it can hold |
//! | `takeover` | an identity is used by another node |
//! | `flapping` | nodes next to one come and go |
//! | `limits` | one node is sent more requests than it may serve |
//! | `crowd` | honest nodes that share few address prefixes, or have none |
//! | `place` | what several of them use |
//! | `spec` | the input, and the output |

mod crowd;
mod eclipse;
mod flapping;
mod limits;
mod place;
mod replication;
mod spec;
mod stores;
mod takeover;
mod third_party;

pub use spec::{Crowd, Flood, Measure, Trial, TrialSpec};

use crate::progress::Progress;
use crate::scenario::spec::InvalidSpec;

/// Runs a trial in a network with Kademlia tables, and returns its measures. Anything but 0 in `violations` is a fault
/// of kadlet.
///
/// ```
/// use kadlet_sim::progress::Progress;
/// use kadlet_sim::scenario::{self, Measure, Scenario, Spec, Trial, TrialSpec};
///
/// let network = Spec { nodes: 60, ..Spec::new(Scenario::Gets) };
/// let spec = TrialSpec { network, trial: Trial::Forgeries, attackers: 4 };
/// let measures = scenario::trial(&spec, &mut Progress::silent())?;
/// assert!(measures.contains(&Measure { figure: "events_in_a_minute", value: 1.0 }));
/// # Ok::<(), scenario::InvalidSpec>(())
/// ```
///
/// # Errors
///
/// [`InvalidSpec`]: a parameter is out of its range. Nothing was run.
pub fn trial(spec: &TrialSpec, progress: &mut Progress) -> Result<Vec<Measure>, InvalidSpec> {
    spec.check()?;
    Ok(match spec.trial {
        Trial::Eclipse { spread } => eclipse::run(spec, spread, progress),
        Trial::ThirdParty { one_prefix, wide, named } => third_party::run(spec, one_prefix, wide, named, progress),
        Trial::ClaimedReplication => replication::run(spec, progress),
        Trial::Handovers { small } => stores::hand_over(spec, small, progress),
        Trial::Stuffing { small } => stores::stuff(spec, small, progress),
        Trial::TakenOver { same_prefix } => takeover::take_over(spec, same_prefix, progress),
        Trial::Forgeries => takeover::forge(spec, progress),
        Trial::Flapping => flapping::run(spec, progress),
        Trial::Limits { flood, private } => limits::run(spec, flood, private, progress),
        Trial::Crowd(crowd) => crowd::run(spec, crowd, progress),
    })
}
