//! What shall go wrong next, what has gone wrong, and which connections there are to cut.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::link::Link;

/// The state that a proxy shares with its threads.
#[derive(Debug, Default)]
pub(super) struct Faults {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    lost: u64,
    accepting: bool,
    links: HashMap<u64, Arc<Link>>,
    next_link: u64,
}

#[derive(Debug)]
enum Fault {
    AfterRequests(u64),
    ReplyTo(Vec<u8>),
    AfterReplyBytes(usize),
}

impl Faults {
    pub(super) fn lose_after_requests(&self, passed: u64) {
        self.state().fault = Some(Fault::AfterRequests(passed));
    }

    pub(super) fn lose_reply_to(&self, needle: &[u8]) {
        self.state().fault = Some(Fault::ReplyTo(needle.to_owned()));
    }

    pub(super) fn cut_after_reply_bytes(&self, passed: usize) {
        self.state().fault = Some(Fault::AfterReplyBytes(passed));
    }

    pub(super) fn disarm(&self) {
        self.state().fault = None;
    }

    pub(super) fn set_accepting(&self, accepting: bool) {
        self.state().accepting = accepting;
    }

    pub(super) fn accepting(&self) -> bool {
        self.state().accepting
    }

    /// Says whether the reply to `request` shall be lost; the answer yes is given once.
    pub(super) fn dooms(&self, request: &[u8]) -> bool {
        let mut state = self.state();
        let doomed = match &mut state.fault {
            Some(Fault::AfterRequests(passed)) if *passed > 0 => {
                *passed -= 1;
                false
            }
            Some(Fault::AfterRequests(_)) => true,
            Some(Fault::ReplyTo(needle)) => contains(request, needle),
            Some(Fault::AfterReplyBytes(_)) | None => false,
        };
        if doomed {
            state.fault = None;
        }
        doomed
    }

    /// Says how many of the next `count` reply bytes may pass; fewer than all means: then cut.
    pub(super) fn passing(&self, count: usize) -> usize {
        let mut state = self.state();
        let Some(Fault::AfterReplyBytes(left)) = &mut state.fault else {
            return count;
        };
        if *left >= count {
            *left -= count;
            return count;
        }
        let passing = *left;
        state.fault = None;
        passing
    }

    pub(super) fn count_loss(&self) {
        self.state().lost += 1;
        self.changed.notify_all();
    }

    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    pub(super) fn wait_until_lost(&self, count: u64, within: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), within, |state| state.lost < count)
            .unwrap_or_else(PoisonError::into_inner);
        state.lost >= count
    }

    pub(super) fn enter(&self, link: &Arc<Link>) -> u64 {
        let mut state = self.state();
        let number = state.next_link;
        state.next_link += 1;
        state.links.insert(number, Arc::clone(link));
        number
    }

    pub(super) fn leave(&self, number: u64) {
        self.state().links.remove(&number);
    }

    pub(super) fn cut_all(&self) -> usize {
        let links = std::mem::take(&mut self.state().links);
        for link in links.values() {
            link.cut();
        }
        links.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code under the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn contains(request: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || request.windows(needle.len()).any(|part| part == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_by_requests_happens_once_after_those_that_pass() {
        let faults = Faults::default();
        faults.lose_after_requests(2);
        let doomed: Vec<bool> = (0..4).map(|_| faults.dooms(b"PING")).collect();
        assert_eq!(doomed, [false, false, true, false]);
    }

    #[test]
    fn a_fault_by_content_waits_for_its_request() {
        let faults = Faults::default();
        faults.lose_reply_to(b"ff_complete");
        assert!(!faults.dooms(b"FCALL ff_claim"));
        assert!(faults.dooms(b"FCALL ff_complete"));
        assert!(!faults.dooms(b"FCALL ff_complete"));
    }

    #[test]
    fn a_fault_by_bytes_lets_exactly_those_pass() {
        let faults = Faults::default();
        faults.cut_after_reply_bytes(7);
        assert_eq!(faults.passing(5), 5);
        assert_eq!(faults.passing(5), 2);
        assert_eq!(faults.passing(5), 5);
    }

    #[test]
    fn a_disarmed_fault_does_not_happen() {
        let faults = Faults::default();
        faults.lose_after_requests(0);
        faults.disarm();
        assert!(!faults.dooms(b"PING"));
    }

    #[test]
    fn waiting_for_a_loss_that_does_not_come_ends() {
        assert!(!Faults::default().wait_until_lost(1, Duration::from_millis(1)));
    }
}
