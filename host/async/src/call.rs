//! Waking whoever still waits, and keeping nothing of whoever does not.
//!
//! A hub keeps a waker until it wakes it, which may be long where the peer is silent: those of tasks that gave up (a time limit,
//! the other branch of a select) would gather there. So all that wait for the same thing give the hub one waker, and each
//! leaves tokio's list of who is to be told when its future is dropped.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Something that tasks wait for, such as messages of one endpoint.
pub(crate) struct Call {
    notify: Arc<Notify>,
    waker: Waker,
}

/// The wait of one who is polled, from one poll to the next.
pub(crate) type Wait = Option<Pin<Box<OwnedNotified>>>;

impl Call {
    pub(crate) fn new() -> Self {
        let notify = Arc::new(Notify::new());
        Call {
            waker: Arc::new(Everybody(Arc::clone(&notify))).into(),
            notify,
        }
    }

    /// Looks again after each call, until a look has something.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        loop {
            // First, so that no call between the look and the wait is missed.
            let called = self.notify.notified();
            if let Poll::Ready(found) = look(&mut Context::from_waker(&self.waker)) {
                return found;
            }
            called.await;
        }
    }

    /// [`Call::until`] for whoever is polled.
    pub(crate) fn poll<T>(
        &self,
        wait: &mut Wait,
        context: &mut Context<'_>,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            // First, so that no call between the look and the wait is missed; an older wait does as well.
            let called = wait.get_or_insert_with(|| Box::pin(self.notify.clone().notified_owned()));
            if let Poll::Ready(found) = look(&mut Context::from_waker(&self.waker)) {
                return Poll::Ready(found);
            }
            ready!(called.as_mut().poll(context));
            *wait = None;
        }
    }
}

struct Everybody(Arc<Notify>);

impl Wake for Everybody {
    fn wake(self: Arc<Self>) {
        self.0.notify_waiters();
    }
}
