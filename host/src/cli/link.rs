//! A link of a running core, as the commands use it.

use std::time::Duration;

use rpmsg::ServiceName;

use super::report::Strange;
use crate::agreement::{Agreed, KNOWN};
use crate::doorbell::Doorbell;
use crate::error::{Error, Waiting};
use crate::hub::{Endpoint, Hub, Options, Service};
use crate::limit::Limit;
use crate::place::{Place, Target};
use crate::shared_memory::Window;

pub(super) struct Link {
    pub(super) hub: Hub,
    /// The generation when it was taken into use.
    pub(super) generation: u32,
    /// What was agreed on with the firmware.
    pub(super) agreed: Agreed,
    table_changed_at: Option<u32>,
}

impl Link {
    /// Takes the link into use. Whatever is loaded later is for another command to look at, so the place stays.
    pub(super) fn attach(
        target: &Target<'_>,
        window: Window,
        doorbell: Box<dyn Doorbell>,
        limit: Limit<'_>,
    ) -> Result<Self, Error> {
        let place = Place::find(target, &window)?;
        let options = Options {
            features: KNOWN,
            handshake: target.handshake,
            queue: QUEUE,
            ..Options::default()
        };
        let hub = Hub::driver(move |_| Ok(place), window, doorbell, options)?;
        let generation = loop {
            // Why there is no link is told before the time is over: nothing here is tried twice.
            match hub.up(limit.again(LOOK)) {
                Err(Error::TimeLimit { .. }) => limit.slice(LOOK, Waiting::Link)?,
                up => break up?,
            };
        };
        Ok(Link {
            generation,
            agreed: hub.counters().agreed,
            hub,
            table_changed_at: place.table_changed_at(),
        })
    }

    /// Waits for a service, and opens an endpoint to it. What begins after a restart is another link than the one that is
    /// reported, so the restart is told.
    pub(super) fn service(
        &self,
        name: &str,
        limit: Limit<'_>,
    ) -> Result<(Endpoint, Service), Error> {
        let generation = self.generation;
        let endpoint = loop {
            match self.hub.connect(name, limit.again(LOOK)) {
                Err(error) if !matches!(error, Error::TimeLimit { .. }) => return Err(error),
                _ if self.hub.generation() != Some(generation) => {
                    let sign = None;
                    return Err(Error::PeerRestarted { generation, sign });
                }
                Err(_) => limit.slice(LOOK, Waiting::Service)?,
                Ok(endpoint) => break endpoint,
            };
        };
        let service = Service {
            name: ServiceName::new(name).map_err(Error::Rpmsg)?,
            // It is connected, so it has one.
            address: endpoint.peer().unwrap_or_default(),
        };
        Ok((endpoint, service))
    }

    /// What was odd so far, endpoints that are closed by now left out.
    pub(super) fn oddities(&self) -> Strange {
        Strange::new(&self.hub.counters(), self.table_changed_at)
    }
}

/// How often it is asked why there is no link, and whether it is another one.
const LOOK: Duration = Duration::from_millis(50);
/// Messages that wait for one endpoint; more are lost and counted.
const QUEUE: usize = 1024;
