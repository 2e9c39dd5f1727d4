//! Networks whose tables are ideal to begin with.

use core::time::Duration;

use kadlet::{Chord, Key};

use super::stage::value_of;
use super::{Figures, Scenario, Spec, Stage};
use crate::progress::Progress;
use crate::{Ending, Make, Peer, WidePeer};

/// Lookups a second: a hundredth of the nodes at least, so that large networks need not be simulated for long.
fn pace(spec: &Spec) -> Duration {
    let a_second = (spec.nodes / 100).clamp(100, 10_000);
    Duration::from_secs(1).mul_f64(f64::from(spec.lookups) / f64::from(a_second))
}

/// Lookups in a network where nothing happens, but that datagrams may get lost.
pub(super) fn run<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    measure(stage)
}

/// A part of the nodes dies at once; all lookups begin within ten seconds.
pub(super) fn stale<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    kill(&mut stage);
    measure(stage)
}

/// The same of a Chord of 20 successors, which is watched then for up to an hour: the figures' `settled_seconds` tell when the ring was whole again.
pub fn halved_ring(spec: &Spec, progress: &mut Progress) -> Figures {
    let mut stage = Stage::<WidePeer<Chord<u32, 20, 192>>>::new(spec, progress);
    stage.add_ideal();
    kill(&mut stage);
    let died = stage.network.now();
    look_up(&mut stage);
    let counts = stage.network.counts();
    let settled = stage.play_until_settled(died, Duration::from_secs(3_600));
    Figures { settled_seconds: settled, ..stage.figures_of(&counts) }
}

fn kill<M: Make>(stage: &mut Stage<'_, M>) {
    let mut doomed: Vec<u32> = (0..stage.spec.nodes).collect();
    for place in 0..doomed.len() {
        let other = place + stage.random().below(doomed.len() - place);
        doomed.swap(place, other);
    }
    for address in &doomed[stage.spec.survivors() as usize..] {
        stage.network.crash(*address);
    }
}

fn measure<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    look_up(&mut stage);
    stage.figures()
}

fn look_up<M: Make>(stage: &mut Stage<'_, M>) {
    let longest = if stage.spec.scenario == Scenario::Stale { Duration::from_secs(10) } else { Duration::MAX };
    let time = pace(&stage.spec).min(longest);
    stage.network.count_from_now();
    stage.begin("looking up", time);
    stage.look_up(stage.spec.lookups, time);
    stage.play(time);
    stage.play_until_judged();
}

/// What is put has so many bytes.
pub(crate) const VALUE: usize = 64;
/// So long after a put begins the next.
const PAUSE: Duration = Duration::from_millis(20);
/// So long after a get begins the next of the same value: what two at once cause could not be told apart.
const ROUND: Duration = Duration::from_secs(5);

/// A static network in which every node has a value put (or as many as are got), and then they are got in turn. Only what the gets cause is
/// counted as theirs: not the puts, which are over, nor what holders tell each other, which no operation causes.
pub(super) fn gets<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    let Spec { nodes, lookups, .. } = stage.spec;
    let names: Vec<[u8; 4]> = (0..nodes.min(lookups)).map(u32::to_be_bytes).collect();
    stage.begin("putting values", PAUSE * names.len() as u32);
    stage.put_all(&names, VALUE, PAUSE);
    let pause = ROUND / names.len() as u32;
    let names: Vec<[u8; 4]> = names.into_iter().cycle().take(lookups as usize).collect();
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    stage.begin("getting values", pause * lookups);
    stage.network.count_from_now();
    for (got, name) in stage.get_each(&keys, pause).into_iter().zip(names) {
        // One that nobody could begin is wrong.
        let stats = got.as_ref().map(|got| got.stats).unwrap_or_default();
        let right =
            got.is_some_and(|got| matches!(got.ending, Ending::Value { value, .. } if value == value_of(&name, VALUE)));
        stage.tally.add(&stats, right, None);
    }
    stage.figures()
}

/// A static network whose links take datagrams of at most so many bytes: so many values that fit are put and got, each by any node.
/// The figures' `records_lost` are those that could not be put, or not be got.
pub fn small_links(spec: &Spec, progress: &mut Progress, records: u32, value: usize) -> Figures {
    let mut stage = Stage::<Peer>::new(spec, progress);
    stage.add_ideal();
    let names: Vec<[u8; 4]> = (0..records).map(u32::to_be_bytes).collect();
    stage.put_all(&names, value, Duration::from_millis(20));
    let keys: Vec<Key> = names.iter().map(|name| Key::plain(name)).collect();
    let got = stage.get_all(&keys, Duration::from_millis(20));
    let lost = got.iter().filter(|got| got.as_ref().is_none_or(|got| got.len() != value)).count();
    Figures { records: u64::from(records), records_lost: lost as u64, ..measure(stage) }
}
