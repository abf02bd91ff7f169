//! Concurrent requests on plain threads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use crate::provider::Deadline;

/// Runs the jobs on at most `width` threads and returns their results in the order of the jobs. A job that is not
/// finished at the deadline yields `None`; its thread is abandoned, so jobs must not borrow.
pub fn in_parallel<J, T>(
    jobs: Vec<J>,
    width: usize,
    deadline: Deadline,
    work: impl Fn(J) -> T + Send + Sync + 'static,
) -> Vec<Option<T>>
where
    J: Send + 'static,
    T: Send + 'static,
{
    let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let threads = width.min(jobs.len());
    let queue = Arc::new(Queue(Mutex::new(jobs.into_iter().enumerate().collect())));
    let (sender, receiver) = mpsc::channel();
    let work = Arc::new(work);
    let worker = || {
        let (queue, work, sender) = (Arc::clone(&queue), Arc::clone(&work), sender.clone());
        move || {
            while let Some((position, job)) = queue.next() {
                if deadline.has_passed() || sender.send((position, work(job))).is_err() {
                    return;
                }
            }
        }
    };
    let started = (0..threads).map_while(|_| thread::Builder::new().spawn(worker()).ok()).count();
    if started == 0 {
        // The kernel refused to create a thread. Run here; each request still ends at its own deadline.
        worker()();
    }
    drop(sender);
    while let Ok((position, result)) = receiver.recv_timeout(deadline.remaining()) {
        if let Some(place) = results.get_mut(position) {
            *place = Some(result);
        }
    }
    results
}

struct Queue<J>(Mutex<VecDeque<(usize, J)>>);

impl<J> Queue<J> {
    fn next(&self) -> Option<(usize, J)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs: Vec<u64> = (0..20).collect();
        let results = in_parallel(jobs, 4, soon(), |job| {
            thread::sleep(Duration::from_millis(20 - job));
            job * 2
        });
        assert_eq!(results, (0..20).map(|job| Some(job * 2)).collect::<Vec<_>>());
    }

    #[test]
    fn no_more_threads_run_than_the_width() {
        let running = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = Arc::clone(&running);
        in_parallel(vec![(); 12], 3, soon(), move |()| {
            let now = running.0.fetch_add(1, Ordering::SeqCst) + 1;
            running.1.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(5));
            running.0.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(seen.1.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_job_that_hangs_is_abandoned_at_the_deadline_and_the_others_count() {
        let started = Instant::now();
        let results = in_parallel(vec![0_u64, 3_600], 2, Deadline::after(Duration::from_millis(80)), |job| {
            thread::sleep(Duration::from_secs(job));
            job
        });
        assert_eq!(results, [Some(0), None]);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_job_that_panics_takes_no_other_with_it() {
        let results = in_parallel(vec![1, 0, 2], 2, soon(), |job| 2 / job);
        assert_eq!(results, [Some(2), None, Some(1)]);
    }

    #[test]
    fn no_jobs_need_no_thread() {
        assert!(in_parallel(Vec::<u8>::new(), 32, soon(), |job| job).is_empty());
    }
}
