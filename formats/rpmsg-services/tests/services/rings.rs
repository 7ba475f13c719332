//! Clients and servers at the two ends of real rings, in one thread.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use embedded_hal::digital::{InputPin, StatefulOutputPin};
use embedded_hal::i2c::{I2c, SevenBitAddress};
use embedded_hal::spi::SpiDevice;
use rpmsg::{
    Coherence, Device, DeviceQueue, Driver, DriverQueue, Endpoint, Event, LinkLayout, Quirks,
    Session, SharedMemory, VringLayout, Window,
};
use rpmsg_services::gpio::{InputLine, OutputLine};
use rpmsg_services::{Failure, MAX_MESSAGE, Reply, Transport, gpio, i2c, spi};

use crate::devices::{ADDRESS, Loopback, Registers, Wire};

/// rpmsg-services.md 1.1 and 1.2.
#[test]
fn an_i2c_bus_is_used_over_real_rings() {
    let memory = Memory::new();
    let mut bus = Registers::default();
    let serve = |request: &[u8], room: &mut [u8; MAX_MESSAGE]| {
        owned(i2c::serve::<SevenBitAddress, _>(&mut bus, request, room))
    };
    let mut client = i2c::Client::new(Rings::new(&memory, serve));
    for round in 0..100_u8 {
        client
            .write(ADDRESS, &[round % 15, round, round + 1])
            .unwrap();
        let mut into = [0; 2];
        client
            .write_read(ADDRESS, &[round % 15], &mut into)
            .unwrap();
        assert_eq!(into, [round, round + 1]);
    }
    // The longest messages there are, both ways.
    let mut long = [0xff; 492];
    client.read(ADDRESS, &mut long).unwrap();
    client.write(ADDRESS, &[0; 484]).unwrap();
}

#[test]
fn lines_and_an_spi_device_are_used_over_real_rings() {
    let memory = Memory::new();
    let wire = Wire::default();
    let (mut output, mut input) = (OutputLine(wire.clone()), InputLine(wire.clone()));
    let serve = |request: &[u8], room: &mut [u8; MAX_MESSAGE]| {
        owned(gpio::serve(&mut [&mut output, &mut input], request, room))
    };
    let client = gpio::Client::new(Rings::new(&memory, serve));
    let (mut far_output, mut far_input) = (client.output(0).unwrap(), client.input(1).unwrap());
    for _ in 0..100 {
        let before = far_input.is_high().unwrap();
        far_output.toggle().unwrap();
        assert_eq!(far_input.is_low(), Ok(before));
        assert_eq!(wire.high.get(), !before);
    }

    let memory = Memory::new();
    let mut devices = [Loopback::default()];
    let serve = |request: &[u8], room: &mut [u8; MAX_MESSAGE]| {
        owned(spi::serve(&mut devices, request, room))
    };
    let mut client = spi::Client::new(Rings::new(&memory, serve), 0);
    for round in 0..100_usize {
        let sent: Vec<u8> = (0..round * 4).map(|at| (at + round) as u8).collect();
        let mut bytes = sent.clone();
        client.transfer_in_place(&mut bytes).unwrap();
        assert_eq!(bytes, sent);
    }
}

#[test]
fn a_core_that_takes_too_long_and_one_that_restarts_are_told_by_name() {
    let memory = Memory::new();
    let mut bus = Registers::default();
    bus.values[1] = 0x11;
    let serve = |request: &[u8], room: &mut [u8; MAX_MESSAGE]| {
        owned(i2c::serve::<SevenBitAddress, _>(&mut bus, request, room))
    };
    let mut client = i2c::Client::new(Rings::new(&memory, serve));
    let mut into = [0];
    client.transport().core_sleeps = true;
    let silence = Failure::TimeLimit { milliseconds: 0 };
    assert_eq!(client.write_read(ADDRESS, &[0], &mut into), Err(silence));
    client.transport().core_sleeps = false;
    // The answer to the first request comes before that to the second.
    assert_eq!(client.write_read(ADDRESS, &[1], &mut into), Ok(()));
    assert_eq!(into, [0x11]);

    client.transport().restart(2);
    let restarted = Failure::PeerRestarted {
        generation: Some(1),
    };
    assert_eq!(client.write(ADDRESS, &[0]), Err(restarted));
    assert_eq!(client.write(ADDRESS, &[0]), Err(restarted));
    client.transport().reopen();
    assert_eq!(client.write_read(ADDRESS, &[1], &mut into), Ok(()));
}

fn owned(reply: Reply<'_>) -> Vec<u8> {
    assert_eq!(reply.refused(), None);
    reply.bytes().unwrap().to_vec()
}

/// Linux' end of a link, and the core's, which serves whenever Linux waits.
struct Rings<'m, S> {
    memory: &'m Memory,
    linux: Session<&'m Memory, DriverQueue<8>, 1>,
    core: Session<&'m Memory, DeviceQueue<8>, 1>,
    client: Endpoint,
    server: Endpoint,
    serve: S,
    core_sleeps: bool,
}

impl<'m, S: FnMut(&[u8], &mut [u8; MAX_MESSAGE]) -> Vec<u8>> Rings<'m, S> {
    fn new(memory: &'m Memory, serve: S) -> Self {
        let (mut linux, mut core) = memory.link(1);
        Rings {
            memory,
            client: linux.open(None).unwrap(),
            server: core.open(Some(SERVER)).unwrap(),
            linux,
            core,
            serve,
            core_sleeps: false,
        }
    }

    /// Both begin anew, and Linux' endpoint is still the old one.
    fn restart(&mut self, generation: u32) {
        (self.linux, self.core) = self.memory.link(generation);
        self.server = self.core.open(Some(SERVER)).unwrap();
    }

    fn reopen(&mut self) {
        self.client = self.linux.open(None).unwrap();
    }

    fn core_serves(&mut self) {
        let mut request = [0; 512];
        while let Some(event) = self.core.poll(&mut request).unwrap() {
            let Event::Message { header, copied } = event else {
                panic!("nobody announces anything");
            };
            let answer = (self.serve)(&request[..copied], &mut [0xee; MAX_MESSAGE]);
            self.core
                .send(&self.server, header.source, &answer)
                .unwrap();
        }
        // Each side looks at its rings when it is its turn: nobody is rung.
        let _ = self.core.flush();
    }
}

impl<S: FnMut(&[u8], &mut [u8; MAX_MESSAGE]) -> Vec<u8>> Transport for Rings<'_, S> {
    type Error = rpmsg::Error;

    fn send(&mut self, request: &[u8]) -> Result<(), Failure<rpmsg::Error>> {
        let sent = self.linux.send(&self.client, SERVER, request);
        sent.map_err(failure)?;
        let _ = self.linux.flush();
        Ok(())
    }

    fn receive(&mut self, answer: &mut [u8]) -> Result<usize, Failure<rpmsg::Error>> {
        if !self.core_sleeps {
            self.core_serves();
        }
        let event = self.linux.poll(answer).map_err(failure)?;
        let _ = self.linux.flush();
        match event {
            Some(Event::Message { header, .. }) => Ok(header.len.into()),
            Some(Event::Service(_)) => panic!("nobody announces anything"),
            None => Err(Failure::TimeLimit { milliseconds: 0 }),
        }
    }
}

fn failure(error: rpmsg::Error) -> Failure<rpmsg::Error> {
    match error {
        rpmsg::Error::PeerRestarted { handle, .. } => Failure::PeerRestarted {
            generation: Some(handle),
        },
        error => Failure::Transport(error),
    }
}

/// A window of plain memory.
struct Memory(RefCell<Vec<u8>>);

impl Memory {
    fn new() -> Self {
        Memory(RefCell::new(vec![0; 0x8000]))
    }

    /// Rings of 8 descriptors and buffers of 512 bytes, prepared by one side and joined by the other.
    fn link(
        &self,
        generation: u32,
    ) -> (
        Session<&Memory, DriverQueue<8>, 1>,
        Session<&Memory, DeviceQueue<8>, 1>,
    ) {
        let window = Window::new(0x2120_0000, 0x8000).unwrap();
        let ring = |at| VringLayout::new(&window, at, 8, 64).unwrap();
        let layout = LinkLayout::new(
            window,
            ring(0x2120_1000),
            ring(0x2120_2000),
            0x2120_3000,
            0x4000,
        )
        .unwrap();
        let driver = Driver::attach(self, layout, 512, generation, Quirks::default());
        let device = Device::attach(self, layout, generation, Quirks::default());
        (Session::new(driver.unwrap()), Session::new(device.unwrap()))
    }

    fn bytes<const N: usize>(&self, at: u32) -> [u8; N] {
        self.0.borrow()[at as usize..][..N].try_into().unwrap()
    }
}

impl Coherence for Memory {}

impl SharedMemory for Memory {
    fn load_u16(&self, at: u32, _: Ordering) -> u16 {
        u16::from_le_bytes(self.bytes(at))
    }

    fn load_u32(&self, at: u32, _: Ordering) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn store_u16(&self, at: u32, value: u16, _: Ordering) {
        self.copy_in(at, &value.to_le_bytes());
    }

    fn store_u32(&self, at: u32, value: u32, _: Ordering) {
        self.copy_in(at, &value.to_le_bytes());
    }

    fn copy_in(&self, at: u32, from: &[u8]) {
        self.0.borrow_mut()[at as usize..][..from.len()].copy_from_slice(from);
    }

    fn copy_out(&self, at: u32, into: &mut [u8]) {
        into.copy_from_slice(&self.0.borrow()[at as usize..][..into.len()]);
    }
}

/// The server's address.
const SERVER: u32 = 77;
