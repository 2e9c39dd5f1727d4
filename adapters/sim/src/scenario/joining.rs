//! A network that comes about.

use core::time::Duration;

use super::{Figures, Stage};
use crate::{Ending, Make};

/// What is measured begins so long after the last node joined.
const CALM: Duration = Duration::from_secs(60);
/// A node that has not joined after so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nodes join through the first. Then those at every hundredth address look up, and what each node serves is counted.
pub(super) fn run<M: Make>(mut stage: Stage<'_, M>) -> Figures {
    let nodes = stage.spec.nodes;
    let first = stage.network.join(&[]);
    stage.begin("joining", Duration::ZERO);
    for joined in 1..nodes {
        let address = stage.network.join(&[first]);
        if !stage.spec.burst {
            stage.play_until_joined(address);
        }
        stage.progress_at(f64::from(joined) / f64::from(nodes));
    }
    let patience = stage.network.now() + PATIENCE;
    while stage.network.not_joined() > 0 && stage.network.now() < patience {
        stage.play(Duration::from_secs(1));
    }
    stage.ended.clear();
    let measured = stage.spec.measured();
    stage.begin("looking up", CALM + measured);
    stage.play(CALM);
    stage.network.count_from_now();
    stage.look_up_from(100, measured);
    stage.play(measured);
    stage.play_until_judged();
    stage.figures()
}

impl<M: Make> Stage<'_, M> {
    fn play_until_joined(&mut self, address: u32) {
        let patience = self.network.now() + PATIENCE;
        while self.network.step(patience) {
            while let Some(ended) = self.network.next_ended() {
                if ended.address == address && ended.ending == Ending::Joined {
                    return;
                }
            }
        }
    }
}
