//! The task that looks after a link while all others sleep.

use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use corewarden::hub::Hub;
use corewarden::{DoorbellOperation, Error};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The task, which ends when this is dropped.
pub(crate) struct Attendant {
    task: AbortHandle,
    called: Arc<Notify>,
}

impl Attendant {
    pub(crate) fn start(hub: Hub) -> Result<Self, Error> {
        let bell = watch(&hub).map_err(|error| Error::Doorbell {
            operation: DoorbellOperation::Wait,
            errno: error.raw_os_error().unwrap_or_default(),
        })?;
        let called = Arc::new(Notify::new());
        let task = tokio::spawn(attend(hub, bell, Arc::clone(&called)));
        Ok(Attendant {
            task: task.abort_handle(),
            called,
        })
    }

    /// Has the task look once more: what a call did may be for it to go on with.
    pub(crate) fn call(&self) {
        self.called.notify_one();
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(
    deprecated,
    reason = "its successor asks for a promise that types keep their descriptor open; an OwnedFd does"
)]
fn watch(hub: &Hub) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(hub.as_fd().try_clone_to_owned()?, Interest::READABLE)
}

async fn attend(hub: Hub, bell: AsyncFd<OwnedFd>, called: Arc<Notify>) {
    loop {
        let armed = poll_fn(|context| {
            // First, so that no news between the two is missed.
            hub.wake_at_news(context.waker());
            Poll::Ready(hub.arm())
        });
        match armed.await {
            Ok(true) => rest(&hub, &bell, &called).await,
            Ok(false) => tokio::task::yield_now().await,
            // Whoever waits finds out by a call of its own.
            Err(_) => {
                hub.alarm();
                sleep(hub.patience()).await;
            }
        }
        if hub.heard().is_err() {
            hub.alarm();
            sleep(hub.patience()).await;
        }
    }
}

/// Sleeps until the peer rings, the link has news, or a peer that rings no bell may have come or gone.
async fn rest(hub: &Hub, bell: &AsyncFd<OwnedFd>, called: &Notify) {
    let mut patience = pin!(sleep(hub.patience()));
    let mut called = pin!(called.notified());
    let mut polled = false;
    poll_fn(|context| {
        if let Poll::Ready(guard) = bell.poll_read_ready(context) {
            if let Ok(mut guard) = guard {
                // Before the rings are taken: what comes in between rings again.
                guard.clear_ready();
            }
            return Poll::Ready(());
        }
        // Polled again: whoever woke this task has news.
        if polled
            || patience.as_mut().poll(context).is_ready()
            || called.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(());
        }
        polled = true;
        Poll::Pending
    })
    .await;
}
