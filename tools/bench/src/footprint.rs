//! What the ring engine costs a Cortex-M4: the smallest echo device, built for size, seen to work, and counted.
//!
//! Counted is what the core loads and what its program writes, as `size` counts it: text is everything of the image that stays
//! as it is (code, constants, vectors), RAM is data and bss. Neither the stack nor shared memory is in it, as in the peers'
//! figures; ours has its start-up code in it too.

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, process};

use anyhow::{Context, Result, ensure};
use corewarden::shared_memory::Window as Mapping;
use goblin::elf::{Elf, program_header::PT_LOAD, section_header};
use rpmsg::{
    Driver, DriverLife, DriverQueue, Event, LinkLayout, Quirks, Session, SharedMemory, StatusWord,
    VringLayout, Window,
};
use testbed::{Builder, Cache, Lock, Progress, Qemu, fetch};
use tests::images::workspace;

use crate::Row;

/// Text and RAM of an echo device with all checks.
///
/// # Errors
/// Where it does not build, or does not answer.
pub fn footprint(progress: Progress<'_>) -> Result<Vec<Row>> {
    let assets = fetch::obtain(&Cache::open()?, &Lock::committed()?, progress)?;
    let path = Builder::new(&workspace(), &assets, progress)?.smallest_firmware()?;
    let image = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = Size::of(&image)?;
    answers(&assets.qemu, &image)?;
    Ok(vec![
        Row {
            name: "rpmsg_footprint_text",
            what: format!(
                "smallest echo device on a Cortex-M4, start-up included; {ECHOES} echoes in QEMU"
            ),
            figure: size.text,
            unit: "B",
            target: 2000.0,
            beside: "rpmsg-lite 2252, open-amp 4204 (published, gcc -Os)".to_owned(),
        },
        Row {
            name: "rpmsg_footprint_ram",
            what: "its data and bss, with rings of 8 descriptors".to_owned(),
            figure: size.ram,
            unit: "B",
            target: 300.0,
            beside: "rpmsg-lite 304, open-amp 708".to_owned(),
        },
    ])
}

/// Bytes of an image.
struct Size {
    text: f64,
    ram: f64,
}

impl Size {
    fn of(image: &[u8]) -> Result<Self> {
        let elf = Elf::parse(image).context("the firmware is no ELF")?;
        let (mut text, mut ram) = (0, 0);
        for section in &elf.section_headers {
            if !section.is_alloc() {
                continue;
            }
            if section.is_writable() {
                ram += section.sh_size;
            } else {
                ensure!(
                    section.sh_type != section_header::SHT_NOBITS,
                    "a constant without bytes"
                );
                text += section.sh_size;
            }
        }
        ensure!(text > 0 && ram > 0, "the image was not read");
        Ok(Self {
            text: text as f64,
            ram: ram as f64,
        })
    }
}

/// Runs the image on an emulated core and has it echo messages of every length.
fn answers(qemu: &Qemu, image: &[u8]) -> Result<()> {
    let (ram, descriptor) = Mapping::memfd(RAM_SIZE)?;
    load(image, &ram)?;
    let window = Mapping::map(&descriptor, WINDOW - RAM, usize::try_from(WINDOW_SIZE)?)?;
    let mut core = Core::start(qemu, &descriptor)?;
    echoes(&window, &mut core)
}

/// Puts an image's segments where the core executes them.
fn load(image: &[u8], ram: &Mapping) -> Result<()> {
    for part in Elf::parse(image)?.program_headers {
        if part.p_type != PT_LOAD || part.p_filesz == 0 {
            continue;
        }
        let at = part
            .p_vaddr
            .checked_sub(RAM)
            .filter(|at| *at < WINDOW - RAM);
        let at = u32::try_from(at.context("a segment lies outside of the core's memory")?)?;
        let bytes = image.get(part.file_range()).context("a segment is cut")?;
        ram.copy_in(at, bytes);
    }
    Ok(())
}

/// An emulated core, which ends with this value.
struct Core(Child);

impl Core {
    fn start(qemu: &Qemu, ram: &OwnedFd) -> Result<Self> {
        let path = format!("/proc/{}/fd/{}", process::id(), ram.as_raw_fd());
        let ram = format!("memory-backend-file,id=psram,size={RAM_SIZE},mem-path={path},share=on");
        let mut command = qemu.arm();
        command
            .args(["-nodefaults", "-display", "none", "-monitor", "none"])
            .args(["-accel", "tcg", "-object", &ram])
            .args(["-M", "mps2-an386,memory-backend=psram"])
            .args(["-global", &format!("armv7m.init-nsvtor={RAM:#x}")])
            .stdin(Stdio::null());
        let child = command.spawn().context("qemu-system-arm does not start")?;
        Ok(Self(child))
    }

    fn ensure_alive(&mut self) -> Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "the emulated core ended: {ended:?}");
        Ok(())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn echoes(window: &Mapping, core: &mut Core) -> Result<()> {
    let geometry = Window::new(WINDOW, WINDOW_SIZE)?;
    let ring = |at| VringLayout::new(&geometry, WINDOW + at, 8, 16);
    let layout = LinkLayout::new(
        geometry,
        ring(0x1000)?,
        ring(0x1200)?,
        WINDOW + 0x2000,
        0x2000,
    )?;
    let status = StatusWord::new(&geometry, WINDOW, 24, 2)?;
    let mut life = DriverLife::begin(window, status, 1);
    // This device speaks no generations, and leaves the rings alone until it is told that they are ready.
    life.wait_no_longer(window);
    let link = Driver::<_, 8>::attach(window, layout, 512, life.generation(), Quirks::default())?;
    let mut session = Session::<_, _, 1>::new(link);
    life.ready(window);
    let own = session.open(None)?;
    let mut into = [0; 512];
    let Event::Service(service) = next(&mut session, &mut into, core)? else {
        anyhow::bail!("a message before the announcement")
    };
    ensure!(service.name.as_str() == "corewarden-echo", "{service:?}");
    for number in 0..ECHOES {
        let message: Vec<u8> = (0..number % 497).map(|at| (at ^ number) as u8).collect();
        session.send(&own, service.address, &message)?;
        let _ = session.flush();
        let Event::Message { copied, .. } = next(&mut session, &mut into, core)? else {
            anyhow::bail!("an announcement instead of echo {number}")
        };
        ensure!(into[..copied] == message, "echo {number} differs");
        let _ = session.flush();
    }
    Ok(())
}

/// The next thing that comes; the core polls, so no doorbell is needed.
fn next(
    session: &mut Session<&Mapping, DriverQueue<8>, 1>,
    into: &mut [u8],
    core: &mut Core,
) -> Result<Event> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(event) = session.poll(into)? {
            return Ok(event);
        }
        core.ensure_alive()?;
        std::thread::yield_now();
    }
    anyhow::bail!("the echo device does not answer")
}

/// Where the core sees its memory; the first two mebibytes are the image's.
const RAM: u64 = 0x2100_0000;
const RAM_SIZE: usize = 16 << 20;
/// The window as the firmware has it, `tools/testbed/firmware/src/bin/smallest`.
const WINDOW: u64 = 0x2120_0000;
const WINDOW_SIZE: u32 = 0x4000;
const ECHOES: u32 = 1000;
const LIMIT: Duration = Duration::from_secs(120);
