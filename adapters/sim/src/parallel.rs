//! Runs independent jobs on several threads.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use crate::progress::Progress;

/// Runs all jobs on this many threads, and returns their results in the order of the jobs. `cost` estimates the time
/// that a job takes, in any unit: the longest jobs begin first, so that all threads end at about the same time, and
/// progress is shown as the part of all costs.
pub(crate) fn run_all<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    progress: Progress,
    cost: impl Fn(&J) -> f64 + Sync,
    run: impl Fn(&J) -> R + Sync,
) -> Vec<R> {
    let total: f64 = jobs.iter().map(&cost).sum();
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|a, b| cost(&jobs[*b]).total_cmp(&cost(&jobs[*a])));
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((progress, 0.0, jobs.iter().map(|_| None).collect::<Vec<Option<R>>>()));
    let work = || {
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let job = &jobs[*index];
            let result = run(job);
            if let Ok(mut shared) = shared.lock() {
                let (progress, done, results) = &mut *shared;
                results[*index] = Some(result);
                *done += cost(job);
                progress.at(*done / total);
            }
        }
    };
    std::thread::scope(|scope| (0..threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    let Ok((mut progress, _, results)) = shared.into_inner() else {
        return Vec::new();
    };
    progress.end();
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs_whatever_their_costs() {
        let double = |threads| run_all(&[1, 3, 2], threads, Progress::silent(), |job| f64::from(*job), |job| job * 2);
        assert_eq!([double(1), double(3)], [[2, 6, 4], [2, 6, 4]]);
    }
}
