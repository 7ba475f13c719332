//! Pins and buses over a hub, in both roles, and over the socket of a served service.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread;

use corewarden::client::Client;
use corewarden::hub::{Endpoint, Hub};
use corewarden::services::gpio::{InputLine, OutputLine};
use corewarden::services::{Channel, Failure, Rule, Status, answer, gpio, i2c, spi};
use corewarden::{Error, Limit};
use embedded_hal::digital::{self, InputPin, OutputPin, StatefulOutputPin};
use embedded_hal::i2c::{
    ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};
use embedded_hal::spi::SpiDevice;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::support::{Bench, LONG, Party, forever, long};

#[test]
fn a_bus_of_the_device_is_used_by_the_driver_and_the_other_way_round() {
    for bench in Bench::kinds() {
        let (driver, device) = (bench.driver(), bench.device());
        for (user, server) in [
            (driver.clone(), device.clone()),
            (device.clone(), driver.clone()),
        ] {
            let party = Party::start(move |flag| serve_bus(&server, flag));
            let mut bus = i2c::Client::new(Channel::new(connect(&user), LONG));
            bus.write(ADDRESS, &[3, 1, 2]).unwrap();
            let mut into = [0; 2];
            for _ in 0..100 {
                bus.write_read(ADDRESS, &[3], &mut into).unwrap();
                assert_eq!(into, [1, 2]);
            }
            let nobody = bus.read(0x49_u8, &mut into);
            let expected = Failure::Refused(Status::NoAcknowledgeAddress);
            assert_eq!(nobody, Err(expected));
            drop(bus);
            assert_eq!(party.end(), Err(Error::Interrupted));
        }
    }
}

#[test]
fn lines_and_an_spi_device_are_used_over_a_hub_at_once() {
    for bench in Bench::kinds() {
        let (driver, device) = (bench.driver(), bench.device());
        let lines = device.clone();
        let _lines = Party::start(move |flag| {
            let endpoint = lines.serve(gpio::SERVICE, long().unless(flag))?;
            let wire = Wire::default();
            let (mut output, mut input) = (OutputLine(wire.clone()), InputLine(wire));
            loop {
                answer(&endpoint, forever().unless(flag), |request, room| {
                    gpio::serve(&mut [&mut output, &mut input], request, room)
                })?;
            }
        });
        let _spi = Party::start(move |flag| {
            let endpoint = device.serve("rpmsg-spi-loop", long().unless(flag))?;
            loop {
                answer(&endpoint, forever().unless(flag), |request, room| {
                    spi::serve(&mut [Loopback], request, room)
                })?;
            }
        });
        thread::scope(|scope| {
            scope.spawn(|| {
                let endpoint = driver.connect(gpio::SERVICE, long()).unwrap();
                let client = gpio::Client::new(Channel::new(endpoint, LONG));
                let mut output = client.output(0).unwrap();
                let mut input = client.input(1).unwrap();
                for round in 0..200 {
                    output.set_state((round % 3 == 0).into()).unwrap();
                    assert_eq!(input.is_high(), Ok(round % 3 == 0));
                    assert_eq!(output.is_set_low(), Ok(round % 3 != 0));
                }
            });
            scope.spawn(|| {
                let endpoint = driver.connect("rpmsg-spi-loop", long()).unwrap();
                let mut device = spi::Client::new(Channel::new(endpoint, LONG), 0);
                for round in 0..200_u8 {
                    let mut bytes = [round; 100];
                    device.transfer_in_place(&mut bytes).unwrap();
                    assert_eq!(bytes, [round; 100]);
                }
            });
        });
    }
}

#[test]
fn a_server_that_is_silent_or_restarts_is_told_by_name_and_the_client_goes_on() {
    for bench in Bench::kinds() {
        let driver = bench.driver();
        let device = bench.device();
        let (go, silent) = std::sync::mpsc::channel::<()>();
        let first = Party::start(move |flag| {
            let endpoint = device.serve(i2c::SERVICE, long().unless(flag))?;
            silent.recv().unwrap();
            let mut bus = Registers::default();
            loop {
                answer(&endpoint, forever().unless(flag), |request, room| {
                    i2c::serve::<SevenBitAddress, _>(&mut bus, request, room)
                })?;
            }
        });
        let endpoint = driver.connect(i2c::SERVICE, long()).unwrap();
        let patience = std::time::Duration::from_millis(30);
        let mut bus = i2c::Client::new(Channel::new(endpoint, patience));
        let silence = Failure::TimeLimit { milliseconds: 30 };
        assert_eq!(bus.write(ADDRESS, &[5, 7]), Err(silence));
        go.send(()).unwrap();
        let mut into = [0];
        // The answer that is late by now is skipped, however slow the machine is.
        while let Err(error) = bus.write_read(ADDRESS, &[5], &mut into) {
            assert_eq!(error, silence);
        }
        assert_eq!(into, [7]);

        let generation = driver.generation().unwrap();
        drop(first);
        let device = bench.device();
        let _second = Party::start(move |flag| serve_bus(&device, flag));
        while driver.generation() == Some(generation) {
            driver.pump().unwrap();
        }
        let restarted = Failure::PeerRestarted {
            generation: Some(generation),
        };
        assert_eq!(bus.write(ADDRESS, &[0]), Err(restarted));
        bus.transport().way().reopen(long()).unwrap();
        while let Err(error) = bus.write_read(ADDRESS, &[5], &mut into) {
            assert_eq!(error, silence);
        }
        assert_eq!(into, [0], "the second bus is another one");
    }
}

#[test]
fn an_answer_of_a_service_that_is_none_of_ours_breaks_a_rule() {
    for bench in Bench::kinds() {
        let _echo = bench.echo();
        let hub = bench.driver();
        let endpoint = hub.connect("echo", long()).unwrap();
        let mut bus = i2c::Client::new(Channel::new(endpoint, LONG));
        let rule = Rule::AnswerLength {
            found: 12,
            expected: 4,
        };
        assert_eq!(bus.read(ADDRESS, &mut [0]), Err(Failure::Broken(rule)));
    }
}

#[test]
fn a_bus_is_used_over_the_socket_of_a_service_without_any_right_to_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpmsg-i2c");
    let flags = SocketFlags::CLOEXEC;
    let listener =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let server = thread::spawn(move || {
        let client = rustix::net::accept(&listener).unwrap();
        let mut bus = Registers::default();
        let mut request = [0; 1024];
        loop {
            let length = rustix::io::read(&client, &mut request).unwrap();
            if length == 0 {
                return;
            }
            let mut room = [0; 496];
            let reply = i2c::serve::<SevenBitAddress, _>(&mut bus, &request[..length], &mut room);
            rustix::io::write(&client, reply.bytes().unwrap()).unwrap();
        }
    });
    let client = Client::connect(&path).unwrap();
    let mut bus = i2c::Client::new(Channel::new(client, LONG));
    let mut into = [0; 3];
    bus.write(ADDRESS, &[1, 10, 20, 30]).unwrap();
    bus.write_read(ADDRESS, &[1], &mut into).unwrap();
    assert_eq!(into, [10, 20, 30]);
    drop(bus);
    server.join().unwrap();
}

fn connect(hub: &Hub) -> Endpoint {
    hub.connect(i2c::SERVICE, long()).unwrap()
}

fn serve_bus(hub: &Hub, flag: &AtomicBool) -> Result<(), Error> {
    let limit = |limit: Limit<'static>| limit.unless(flag);
    let endpoint = hub.serve(i2c::SERVICE, limit(long()))?;
    let mut bus = Registers::default();
    loop {
        answer(&endpoint, limit(forever()), |request, room| {
            i2c::serve::<SevenBitAddress, _>(&mut bus, request, room)
        })?;
    }
}

/// A device with 16 registers, the first byte written being the number of one.
#[derive(Default)]
struct Registers {
    values: [u8; 16],
    at: usize,
}

impl ErrorType for Registers {
    type Error = ErrorKind;
}

impl I2c for Registers {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if address != ADDRESS {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Read(into) => {
                    for byte in into.iter_mut() {
                        *byte = self.values[self.at % 16];
                        self.at += 1;
                    }
                }
                Operation::Write(bytes) => {
                    let (first, rest) = bytes.split_first().unwrap();
                    self.at = usize::from(*first);
                    for byte in rest {
                        self.values[self.at % 16] = *byte;
                        self.at += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Two pins at one wire.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<bool>>);

impl digital::ErrorType for Wire {
    type Error = Infallible;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(*self.0.lock().unwrap())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        self.is_high().map(|high| !high)
    }
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Infallible> {
        *self.0.lock().unwrap() = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        *self.0.lock().unwrap() = true;
        Ok(())
    }
}

impl StatefulOutputPin for Wire {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        self.is_high()
    }

    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        self.is_low()
    }
}

/// Sends back what it is sent.
struct Loopback;

impl embedded_hal::spi::ErrorType for Loopback {
    type Error = Infallible;
}

impl SpiDevice for Loopback {
    fn transaction(
        &mut self,
        operations: &mut [embedded_hal::spi::Operation<'_, u8>],
    ) -> Result<(), Infallible> {
        for operation in operations {
            if let embedded_hal::spi::Operation::Transfer(into, bytes) = operation {
                into.copy_from_slice(bytes);
            }
        }
        Ok(())
    }
}

/// Where the registers are.
const ADDRESS: u8 = 0x48;
