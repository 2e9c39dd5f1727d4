//! Nodes that come and go.

use core::time::Duration;

use kadlet::Key;

use super::stage::Act;
use super::{Figures, Stage};
use crate::Make;

/// Each node dies when its session ends, and a new one joins through some other. A third of the time that is measured goes before.
pub(super) fn run<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    // In calm until now, they would not notice in time that most of whom they know are gone.
    stage.network.alert = true;
    stage.add_ideal();
    let measured = stage.spec.measured();
    stage.begin("nodes come and go", measured + measured / 3);
    for address in 0..stage.spec.nodes {
        stage.schedule_death(address);
    }
    stage.play(measured / 3);
    stage.network.count_from_now();
    stage.look_up(stage.spec.lookups, measured);
    stage.play(measured);
    let counts = stage.network.counts();
    stage.play_until_judged();
    stage.figures_of(&counts)
}

/// The part of the nodes that is replaced (OpenDHT's claim).
const REPLACED: f64 = 0.85;

/// A network holds as many records as it has nodes; 85 % of its nodes are replaced, evenly; then every record is got.
pub(super) fn replace<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    let (nodes, measured) = (stage.spec.nodes, stage.spec.measured());
    let names: Vec<[u8; 4]> = (0..nodes).map(u32::to_be_bytes).collect();
    stage.begin("putting records", Duration::ZERO);
    stage.put_all(&names, 64, Duration::from_millis(20));
    stage.begin("replacing nodes", measured);
    let replaced = (f64::from(nodes) * REPLACED) as u32;
    let mut doomed: Vec<u32> = (0..nodes).collect();
    for place in 0..replaced {
        let other = place as usize + stage.random().below((nodes - place) as usize);
        doomed.swap(place as usize, other);
        let at = stage.network.now() + measured.mul_f64(f64::from(place) / f64::from(replaced));
        stage.at(at, Act::Replace { address: doomed[place as usize], for_ever: false });
    }
    stage.network.count_from_now();
    stage.look_up(stage.spec.lookups, measured);
    stage.play(measured);
    let counts = stage.network.counts();
    stage.play_until_judged();
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    stage.begin("getting records", Duration::ZERO);
    let lost = stage.get_all(&keys, Duration::from_millis(5)).iter().filter(|got| got.is_none()).count();
    Figures { records: u64::from(nodes), records_lost: lost as u64, ..stage.figures_of(&counts) }
}
