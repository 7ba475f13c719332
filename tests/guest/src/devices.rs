//! A program of Linux that uses the pins and buses of the core's firmware, and then lies to it.

use anyhow::{Context, Result, ensure};
use corewarden::{
    Limit,
    hub::Hub,
    services::{Channel, Failure, Status, Transport, gpio, i2c, spi},
};
use embedded_hal::{
    digital::{InputPin, OutputPin, StatefulOutputPin},
    i2c::{I2c, Operation},
    spi::{Operation as SpiOperation, SpiDevice},
};

use crate::{
    link::{PATIENCE, features, hub},
    memory::number,
};

/// Uses each service `count` times and lies to each of them in between; one line of output for each.
pub(crate) fn run(core: &str, count: &str) -> Result<()> {
    let (core, count) = (u32::try_from(number(core)?)?, number(count)?);
    let hub = hub(core, features())?;
    for round in ["before", "after"] {
        lines(&hub, count)?;
        println!("gpio {count} right {round} the lies");
        registers(&hub, count)?;
        println!("i2c {count} right {round} the lies");
        loopback(&hub, count)?;
        println!("spi {count} right {round} the lies");
        if round == "before" {
            for service in [gpio::SERVICE, i2c::SERVICE, spi::SERVICE] {
                println!("{service} answered {} lies", lie(&hub, service)?);
            }
        }
    }
    Ok(())
}

fn channel(hub: &Hub, service: &str) -> Result<Channel<corewarden::hub::Endpoint>> {
    let endpoint = hub.connect(service, Limit::after(PATIENCE));
    let endpoint = endpoint.with_context(|| service.to_owned())?;
    Ok(Channel::new(endpoint, PATIENCE))
}

/// Lines 0 and 1 are driven; 2 and 3 read what they drive.
fn lines(hub: &Hub, count: u64) -> Result<()> {
    let client = gpio::Client::new(channel(hub, gpio::SERVICE)?);
    let (mut one, mut other) = (client.output(0)?, client.output(1)?);
    let (mut reads_one, mut reads_other) = (client.input(2)?, client.input(3)?);
    for round in 0..count {
        one.set_state((round % 2 == 0).into())?;
        other.set_state((round % 3 == 0).into())?;
        ensure!(
            reads_one.is_high()? == (round % 2 == 0),
            "line 2 in {round}"
        );
        ensure!(
            reads_other.is_low()? == (round % 3 != 0),
            "line 3 in {round}"
        );
        ensure!(one.is_set_high()? == (round % 2 == 0), "line 0 in {round}");
    }
    let missing = client.input(4).map(drop);
    ensure!(
        missing == Err(Failure::Refused(Status::LineUnknown)),
        "{missing:?}"
    );
    let wrong = client.output(2).map(drop);
    ensure!(matches!(wrong, Err(Failure::Broken(_))), "{wrong:?}");
    Ok(())
}

/// A device with 16 registers at 0x48, and nobody elsewhere.
fn registers(hub: &Hub, count: u64) -> Result<()> {
    let mut bus = i2c::Client::new(channel(hub, i2c::SERVICE)?);
    for round in 0..count {
        let [low, ..] = round.to_le_bytes();
        let values = [low & 0x7f, low >> 1, 0x55];
        let [one, two, three] = values;
        bus.write(0x48_u8, &[low % 13, one, two, three])?;
        let mut into = [0; 3];
        bus.write_read(0x48_u8, &[low % 13], &mut into)?;
        ensure!(into == values, "registers in {round}: {into:x?}");
        let (mut first, mut rest) = ([0; 1], [0; 2]);
        let mut operations = [
            Operation::Write(&[low % 13]),
            Operation::Read(&mut first),
            Operation::Read(&mut rest),
        ];
        bus.transaction(0x48_u8, &mut operations)?;
        ensure!(
            first == [one] && rest == [two, three],
            "one by one in {round}"
        );
    }
    for address in (0..0x78_u8).filter(|address| *address != 0x48) {
        let nobody = bus.read(address, &mut [0]);
        let expected = Failure::Refused(Status::NoAcknowledgeAddress);
        ensure!(nobody == Err(expected), "{address:#x}: {nobody:?}");
    }
    let unwilling = bus.write(0x48_u8, &[0, 0x80]);
    let expected = Failure::Refused(Status::NoAcknowledgeData);
    ensure!(unwilling == Err(expected), "{unwilling:?}");
    let mut longest = [0; 492];
    bus.read(0x48_u8, &mut longest)?;
    Ok(())
}

/// A device that sends back what it is sent.
fn loopback(hub: &Hub, count: u64) -> Result<()> {
    let mut device = spi::Client::new(channel(hub, spi::SERVICE)?, 0);
    for round in 0..count {
        let length = usize::try_from(round % 400)?;
        let sent: Vec<u8> = (0..length).map(|at| (at * 7) as u8 ^ round as u8).collect();
        let mut bytes = sent.clone();
        device.transfer_in_place(&mut bytes)?;
        ensure!(bytes == sent, "transfer in {round}");
        let (mut read, mut both) = ([0; 3], [0; 2]);
        let mut operations = [
            SpiOperation::Write(&[1, 2]),
            SpiOperation::DelayNs(1000),
            SpiOperation::Read(&mut read),
            SpiOperation::Transfer(&mut both, &[9, 8]),
        ];
        device.transaction(&mut operations)?;
        ensure!(
            read == [0xff; 3] && both == [9, 8],
            "transaction in {round}"
        );
    }
    let mut nobody = spi::Client::new(channel(hub, spi::SERVICE)?, 1);
    let missing = nobody.write(&[0]);
    ensure!(
        missing == Err(Failure::Refused(Status::LineUnknown)),
        "{missing:?}"
    );
    Ok(())
}

/// Sends a request with each byte changed, and cut everywhere; so many had an answer, each in its form.
fn lie(hub: &Hub, service: &str) -> Result<u64> {
    let mut channel = channel(hub, service)?;
    let right: &[u8] = match service {
        gpio::SERVICE => &[1, 1, 7, 7, 5, 0, 0, 0, 1, 0, 0, 0],
        i2c::SERVICE => &[1, 1, 7, 7, 0x90, 0, 1, 0, 0, 0, 0, 0, 3],
        _ => &[1, 1, 7, 7, 0, 8, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 3],
    };
    let mut answered = 0;
    for at in 0..right.len() {
        for bit in 0..8 {
            let mut lie = right.to_vec();
            lie[at] ^= 1 << bit;
            answered += u64::from(told(&mut channel, &lie)?);
        }
        // One without a head has no answer, and one with half of the rest a refusal.
        if at >= 4 {
            ensure!(
                told(&mut channel, &right[..at])?,
                "a cut request had no answer"
            );
            answered += 1;
        } else {
            channel.send(&right[..at])?;
        }
    }
    Ok(answered)
}

/// Whether a message is answered with its own number, in form.
fn told(channel: &mut Channel<corewarden::hub::Endpoint>, request: &[u8]) -> Result<bool> {
    channel.send(request)?;
    let mut answer = [0; 496];
    let length = channel.receive(&mut answer)?;
    ensure!(
        length >= 4 && answer[0] == 1,
        "{request:x?}: {:x?}",
        &answer[..length]
    );
    ensure!(
        answer[2..4] == request[2..4],
        "{request:x?}: {:x?}",
        &answer[..length]
    );
    ensure!(
        Status::from_number(answer[1]).is_some(),
        "status {:#x}",
        answer[1]
    );
    Ok(true)
}
