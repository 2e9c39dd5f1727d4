//! A split network, and a storm of restarts.

use core::time::Duration;

use kadlet::{Instant, Key};

use super::{Figures, Stage};
use crate::{Disorder, Make};

/// How often it is looked whether the network is as it should be again.
const LOOK: Duration = Duration::from_secs(5);

/// The network splits in halves for the time that is measured. Both are written to, half of what they write under the same names.
/// It is healed, and watched for as long again.
pub(super) fn partition<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    let (nodes, measured) = (stage.spec.nodes, stage.spec.measured());
    stage.begin("a split network", measured * 2);
    for address in (1..nodes).step_by(2) {
        stage.network.links.put_in_part(address, 1);
    }
    stage.network.links.cut(0, 1);
    stage.network.links.cut(1, 0);
    let records = (nodes / 10).max(2);
    let mut keys = Vec::new();
    for record in 0..records {
        let (half, number) = (record % 2, record / 2);
        // Every other name is written to on both sides.
        let name = [number, if number % 2 == 0 { 0 } else { half }].map(u32::to_be_bytes).concat();
        let writer = stage.random().below((nodes / 2) as usize) as u32 * 2 + half;
        stage.put(writer, &name, &record.to_be_bytes(), false);
        keys.push(Key::plain(&name));
        stage.play(measured.mul_f64(0.9 / f64::from(records)));
    }
    stage.play(measured.mul_f64(0.1));
    stage.network.links.heal();
    let healed = stage.network.now();
    stage.network.count_from_now();
    let settled = stage.play_until_settled(healed, measured);
    let minute = Duration::from_secs(60);
    stage.look_up(stage.spec.lookups, minute);
    stage.play(minute);
    stage.play_until_judged();
    let counts = stage.network.counts();
    keys.sort_unstable();
    keys.dedup();
    let lost = stage.get_all(&keys, Duration::from_millis(50)).iter().filter(|got| got.is_none()).count();
    Figures {
        records: keys.len() as u64,
        records_lost: lost as u64,
        settled_seconds: settled,
        ..stage.figures_of(&counts)
    }
}

/// How many records of its own each node that restarts has.
const OWN: u32 = 20;

/// A fifth of the nodes puts 20 records each, then restarts within a second with all it had, and publishes them again.
pub(super) fn storm<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    stage.add_ideal();
    let restarting = (stage.spec.nodes / 5).max(1);
    stage.begin("putting records", Duration::ZERO);
    for number in 0..OWN {
        for address in 0..restarting {
            stage.put(address, &name(address, number), &number.to_be_bytes(), true);
            stage.play(Duration::from_millis(20));
        }
        stage.progress_at(f64::from(number) / f64::from(OWN));
    }
    stage.play_out();
    let measured = stage.spec.measured();
    stage.begin("a storm of restarts", measured);
    stage.network.count_from_now();
    let began = stage.network.now();
    stage.look_up(stage.spec.lookups, Duration::from_secs(60));
    for address in 0..restarting {
        if let Some(disk) = stage.network.crash(address) {
            let known: Vec<u32> = stage.network.any_member().into_iter().collect();
            stage.network.restart(address, Some(&disk), &known);
        }
        stage.play(Duration::from_secs(1) / restarting);
    }
    let settled = stage.play_until_settled(began, measured);
    let minute = (began + Duration::from_secs(60)).since(stage.network.now());
    stage.play(minute);
    stage.play_until_judged();
    let counts = stage.network.counts();
    let keys: Vec<Key> =
        (0..restarting).flat_map(|address| (0..OWN).map(move |number| Key::plain(&name(address, number)))).collect();
    let lost = stage.get_all(&keys, Duration::from_millis(5)).iter().filter(|got| got.is_none()).count();
    Figures {
        records: keys.len() as u64,
        records_lost: lost as u64,
        settled_seconds: settled,
        ..stage.figures_of(&counts)
    }
}

fn name(address: u32, number: u32) -> [u8; 8] {
    (u64::from(address) << 32 | u64::from(number)).to_be_bytes()
}

impl<M: Make> Stage<'_, M> {
    /// Plays for so long at most, and tells how long after `since` the network was first as it should be.
    pub(super) fn play_until_settled(&mut self, since: Instant, most: Duration) -> Option<f64> {
        let end = self.network.now() + most;
        while self.network.now() < end {
            self.play(LOOK);
            if self.network.not_joined() == 0 && self.network.disorder() == Disorder::default() {
                return Some(self.network.now().since(since).as_secs_f64());
            }
        }
        None
    }
}
