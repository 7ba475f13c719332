//! RPMsg endpoints of corewarden for tokio.
//!
//! An [`AsyncHub`] gives a [`corewarden::hub::Hub`] to the tasks of a runtime: one task of its own sleeps at the doorbell
//! (by tokio's `AsyncFd`) and looks after the link, and every other task gets [`AsyncEndpoint`]s, which are a `Stream` of messages
//! and a `Sink` for them, or [`ByteStream`]s for services that speak bytes. A task that waits holds up no thread. What an
//! endpoint says when the peer restarts is what it says without tokio.
//!
//! # Example
//!
//! An echo between two hubs of one program; each could as well be alone in its process.
//!
//! ```
//! use std::time::Duration;
//!
//! use corewarden::hub::Options;
//! use corewarden::peer::{Meeting, Role, join};
//! use corewarden::place::Geometry;
//! use corewarden::{Error, Limit};
//! use corewarden_async::AsyncHub;
//! use futures_util::{SinkExt, StreamExt};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("echo.link");
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! let meeting = Meeting::at(&path, Geometry::default(), Default::default())?;
//! # let place = path.clone();
//! let sides = std::thread::spawn(move || {
//!     let soon = Limit::after(Duration::from_secs(20));
//!     [Role::Device, Role::Driver].map(|role| join(&place, role, Options::default(), soon))
//! });
//! while !sides.is_finished() {
//!     meeting.attend(Duration::from_millis(10))?;
//! }
//! let [device, driver] = sides.join().unwrap();
//!
//! # runtime.block_on(async {
//! let (device, driver) = (AsyncHub::new(device?)?, AsyncHub::new(driver?)?);
//! tokio::spawn(async move {
//!     let (answers, questions) = device.serve("echo").await?.split();
//!     let answer = |message: Result<corewarden::hub::Message, Error>| message.map(|m| m.payload);
//!     questions.map(answer).forward(answers).await
//! });
//! let mut echo = driver.connect("echo").await?;
//! echo.send(b"hello".to_vec()).await?;
//! let answer = echo.next().await.unwrap()?;
//! assert_eq!(answer.payload, b"hello");
//! # Ok::<(), Error>(())
//! # })?;
//! # Ok::<(), Error>(())
//! ```

mod attendant;
mod bytes;
mod call;
mod endpoint;

use std::sync::Arc;
use std::task::{Context, Poll};

use corewarden::Error;
use corewarden::hub::{Endpoint, Hub};

use self::attendant::Attendant;
pub use self::bytes::ByteStream;
use self::call::Call;
pub use self::endpoint::AsyncEndpoint;

/// A link whose endpoints are for tasks; clones are the same link.
#[derive(Clone)]
pub struct AsyncHub {
    hub: Hub,
    attendant: Arc<Attendant>,
    /// Changes of the link, of the services, of free buffers.
    news: Arc<Call>,
}

impl AsyncHub {
    /// Gives a hub to the tasks of the runtime in which this is called.
    ///
    /// # Errors
    /// [`Error::Doorbell`] where the runtime cannot watch the doorbell.
    ///
    /// # Panics
    /// Outside of a runtime, or in one whose drivers for I/O and time are not enabled, as tokio does.
    pub fn new(hub: Hub) -> Result<Self, Error> {
        let attendant = Arc::new(Attendant::start(hub.clone())?);
        let news = Arc::new(Call::new());
        Ok(AsyncHub {
            hub,
            attendant,
            news,
        })
    }

    /// The hub itself.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Waits until a link is up; its generation. A time limit is the runtime's business.
    ///
    /// # Errors
    /// [`Error::Displaced`], [`Error::Doorbell`].
    pub async fn up(&self) -> Result<u32, Error> {
        self.until(|hub| {
            hub.pump()?;
            Ok(hub.generation())
        })
        .await
    }

    /// Opens an endpoint for a service of the peer, once that is announced.
    ///
    /// # Errors
    /// As [`Hub::connect`], without its time limit.
    pub async fn connect(&self, service: &str) -> Result<AsyncEndpoint, Error> {
        let endpoint = self
            .until(|hub| {
                hub.pump()?;
                hub.try_connect(service)
            })
            .await?;
        Ok(self.endpoint(endpoint))
    }

    /// Opens an endpoint and announces it as a service.
    ///
    /// # Errors
    /// As [`Hub::serve`], without its time limit.
    pub async fn serve(&self, service: &str) -> Result<AsyncEndpoint, Error> {
        let endpoint = self
            .until(|hub| {
                hub.pump()?;
                hub.try_serve(service)
            })
            .await?;
        Ok(self.endpoint(endpoint))
    }

    fn endpoint(&self, endpoint: Endpoint) -> AsyncEndpoint {
        AsyncEndpoint::new(endpoint, self.clone())
    }

    async fn until<T>(
        &self,
        mut call: impl FnMut(&Hub) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let look = |context: &mut Context<'_>| {
            // First, so that no change between the call and this is missed.
            self.hub.wake_at_news(context.waker());
            match call(&self.hub) {
                Ok(Some(value)) => Poll::Ready(Ok(value)),
                Ok(None) => {
                    self.attendant.call();
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            }
        };
        self.news.until(look).await
    }
}
