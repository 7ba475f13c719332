//! What the machine runs: flash images, Linux with our programs in it, and bundles.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use firmware_signing::{
    Options,
    key::Algorithm,
    sign,
    sign::{Slot, sign_in_parts},
};
use platform::{File, Platform};
use testbed::{
    Assets, Builder, Cache, Initramfs, Lock, OpteeVariant, Progress, Ta, TaVariant, fetch,
    machine::{Config, Machine},
};

use crate::{
    board::Kind,
    bundles::{Identity, scope},
    mutants,
};

/// Where the core sees its private memory on this machine.
pub const PRIVATE: Range<u64> = 0x2100_0000..0x2120_0000;

/// Everything that has been fetched, and the way to build the rest.
pub struct Workshop<'a> {
    assets: Assets,
    workspace: PathBuf,
    progress: Progress<'a>,
}

impl<'a> Workshop<'a> {
    /// Fetches what is not in the cache yet.
    ///
    /// # Errors
    /// Where something cannot be had.
    pub fn open(progress: Progress<'a>) -> Result<Self> {
        let cache = Cache::open()?;
        for folder in [cache.path(), &workspace()] {
            testbed::host::fit_for_make(folder)?;
        }
        let assets = fetch::obtain(&cache, &Lock::committed()?, progress)?;
        Ok(Self {
            assets,
            workspace: workspace(),
            progress,
        })
    }

    /// Builds the Trusted Application for a platform file, relative to the workspace.
    ///
    /// # Errors
    /// Where it does not build or does not pass the gate.
    pub fn ta(&self, platform: &Path, test_build: bool) -> Result<Ta> {
        let name = platform.file_stem().context("a platform file has a name")?;
        let path = self.workspace.join(platform).display().to_string();
        let mut environment = vec![("COREWARDEN_PLATFORM".to_owned(), path)];
        if test_build {
            environment.push(("COREWARDEN_TEST_BUILD".to_owned(), "1".to_owned()));
        }
        self.builder()?.ta(&TaVariant {
            name: name.to_string_lossy().into_owned(),
            environment,
        })
    }

    /// Builds what boards of these kinds need.
    ///
    /// # Errors
    /// Where something does not build.
    pub fn images(&self, kinds: &[Kind]) -> Result<Images> {
        let builder = self.builder()?;
        let mut flashes = Vec::new();
        for kind in kinds {
            flashes.push((*kind, self.flash(&builder, *kind)?));
        }
        let bundles = Bundles::make(&builder, &self.workspace)?;
        self.with_linux(&builder, flashes, bundles, "tests")
    }

    /// Builds a product board with these bundles and nothing else.
    ///
    /// # Errors
    /// Where something does not build.
    pub fn demo(&self, bundles: &BTreeMap<&str, Vec<u8>>) -> Result<Images> {
        let builder = self.builder()?;
        let flashes = vec![(Kind::Product, self.flash(&builder, Kind::Product)?)];
        let files = bundles
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
        let bundles = Bundles {
            files: files.collect(),
        };
        self.with_linux(&builder, flashes, bundles, "demo")
    }

    fn with_linux(
        &self,
        builder: &Builder<'_>,
        flashes: Vec<(Kind, PathBuf)>,
        bundles: Bundles,
        name: &str,
    ) -> Result<Images> {
        let runs = builder.folder().join("runs");
        forget_old_runs(&runs)?;
        Ok(Images {
            assets: self.assets.clone(),
            flashes,
            initrd: self.linux(builder, &bundles, name)?,
            bundles: Arc::new(bundles),
            runs,
        })
    }

    /// A product board with a shell for a person.
    ///
    /// # Errors
    /// Where an image does not build or the machine does not start.
    pub fn interactive(&self, limit: Duration) -> Result<Machine> {
        let images = self.images(&[Kind::Product])?;
        let mut config = images.config(Kind::Product)?;
        config.append = String::new();
        config.limit = limit;
        Ok(Machine::start(config)?)
    }

    /// The way to build things.
    ///
    /// # Errors
    /// Where the workspace is gone.
    pub fn builder(&self) -> Result<Builder<'_>> {
        Builder::new(&self.workspace, &self.assets, self.progress)
    }

    fn flash(&self, builder: &Builder<'_>, kind: Kind) -> Result<PathBuf> {
        let (platform, test_build, defines, name) = match kind {
            Kind::Product => (PRODUCT, false, None, "product"),
            Kind::Test => (TEST, true, Some("PTA_VARIANT_COUNTERS"), "test"),
            Kind::NoIsolation => (
                PRODUCT,
                false,
                Some("PTA_VARIANT_NO_ISOLATION"),
                "no-isolation",
            ),
            Kind::RegionInWindow => (
                PRODUCT,
                false,
                Some("PTA_VARIANT_REGION_IN_WINDOW"),
                "region-in-window",
            ),
            Kind::TwoSlots => (TWO_SLOTS, false, None, "two-slots"),
        };
        let ta = self.ta(Path::new(platform), test_build)?;
        builder.flash(&OpteeVariant {
            name: name.to_owned(),
            pta_defines: defines.into_iter().map(str::to_owned).collect(),
            ta: Some(ta.elf),
        })
    }

    /// The initramfs: our command, the attacks, the bundles and the TAs that must never run.
    fn linux(&self, builder: &Builder<'_>, bundles: &Bundles, name: &str) -> Result<PathBuf> {
        let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
        let mut linux = Initramfs::new(&self.assets)?
            .file(
                "/bin/corewarden",
                0o755,
                read(&builder.program("corewarden", "corewarden")?)?,
            )
            .file(
                "/bin/probe",
                0o755,
                read(&builder.program("guest", "probe")?)?,
            )
            .file(
                "/etc/corewarden/platform.toml",
                0o644,
                read(&self.workspace.join(PRODUCT))?,
            )
            .file(
                "/etc/corewarden/serve.toml",
                0o644,
                include_bytes!("scenarios/serve.toml").to_vec(),
            )
            .file("/etc/passwd", 0o644, PASSWD.to_vec())
            .file("/etc/group", 0o644, GROUP.to_vec())
            .file("/attack/c.ta", 0o644, read(&self.assets.c_ta)?)
            .file("/attack/fake.ta", 0o644, read(&self.fake_ta(builder)?)?);
        for (name, bytes) in &bundles.files {
            linux = linux.file(&format!("/fw/{name}"), 0o644, bytes.clone());
        }
        let path = builder.folder().join(format!("initrd-{name}.gz"));
        let scratch = path.with_extension(format!("{}", std::process::id()));
        fs::write(&scratch, linux.build()?)?;
        fs::rename(&scratch, &path)?;
        Ok(path)
    }

    /// A TA of our UUID, signed by somebody else.
    fn fake_ta(&self, builder: &Builder<'_>) -> Result<PathBuf> {
        let folder = builder.folder().join("fake-ta");
        let (key, signed) = (folder.join("key.pem"), folder.join("fake.ta"));
        if !signed.exists() {
            let ta = self.ta(Path::new(PRODUCT), false)?;
            builder.new_ta_key(&key)?;
            builder.sign_ta(
                &ta.elf,
                "80a4c275-0a47-4905-8285-1486a9771a08",
                &key,
                &signed,
            )?;
        }
        Ok(signed)
    }
}

/// What boards are made of.
pub struct Images {
    assets: Assets,
    flashes: Vec<(Kind, PathBuf)>,
    initrd: PathBuf,
    bundles: Arc<Bundles>,
    runs: PathBuf,
}

impl Images {
    /// How to start a board of this kind.
    ///
    /// # Errors
    /// Where no flash image of this kind was built.
    pub fn config(&self, kind: Kind) -> Result<Config> {
        let flash = self.flashes.iter().find(|(built, _)| *built == kind);
        let (_, flash) = flash.with_context(|| format!("no flash image for {kind:?}"))?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let logs = self.runs.join(format!(
            "{}-{kind:?}-{}",
            now.as_millis(),
            std::process::id()
        ));
        let mut config = Config::new(
            self.assets.qemu.clone(),
            self.assets.kernel.clone(),
            flash.clone(),
            self.initrd.clone(),
            logs,
        );
        config.extra = vec!["-device".into(), "virtio-rng-device".into()];
        config.limit = LIMIT;
        config.successor = kind == Kind::Product;
        Ok(config)
    }

    /// The bundles, shared by all boards.
    pub fn bundles(&self) -> Arc<Bundles> {
        Arc::clone(&self.bundles)
    }
}

/// The files of /fw, by name.
pub struct Bundles {
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundles {
    /// One of them.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn file(&self, name: &str) -> Result<&[u8]> {
        let file = self.files.get(name);
        Ok(file.with_context(|| format!("no bundle {name}"))?)
    }

    /// The names of all of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    fn make(builder: &Builder<'_>, workspace: &Path) -> Result<Self> {
        let keys = workspace.join("keys");
        let platform = platform(&workspace.join(PRODUCT))?;
        let developer = Identity::development(&keys)?;
        let sign_as =
            |elf: &[u8], who: &Identity, version: u32, display: &str| -> Result<Vec<u8>> {
                let options = Options {
                    platform: &platform,
                    cores: &[0],
                    security_version: version,
                    display_version: display,
                    build_id: None,
                    sbom: None,
                    keep_all: false,
                    at: None,
                    roots: &[],
                };
                Ok(sign(elf, &options, &who.key, &who.chain)?)
            };
        let mut files = BTreeMap::new();
        let mut add = |name: &str, bytes: Vec<u8>| files.insert(name.to_owned(), bytes);

        let echo_elf = firmware(builder, "echo", None)?;
        let echo = sign_as(&echo_elf, &developer, 7, "1.0.0")?;
        for (name, binary, size, display) in [
            ("echo-v2.cwfw", "echo-v2", None, "2.0.0"),
            ("poison.cwfw", "poison", None, "1.0.0"),
            ("devices.cwfw", "devices", None, "1.0.0"),
            ("large.cwfw", "large", None, "1.0.0"),
            ("packed.cwfw", "packed", None, "1.0.0"),
            ("pool.cwfw", "pool", None, "1.0.0"),
            ("echo-64k.cwfw", "echo", Some(0x1_0000), "1.0.0"),
            ("echo-1m.cwfw", "echo", Some(0x10_0000), "1.0.0"),
            ("echo-largest.cwfw", "echo", Some(LARGEST), "1.0.0"),
        ] {
            add(
                name,
                sign_as(&firmware(builder, binary, size)?, &developer, 7, display)?,
            );
        }

        files.extend(mutants::of(&echo_elf, &echo, &developer, &platform)?);
        for (name, bytes) in of_other_signers(&echo_elf, &platform, &keys)? {
            files.insert(name.to_owned(), bytes);
        }
        files.insert("echo.cwfw".to_owned(), echo);
        Ok(Self { files })
    }
}

/// The echo firmware signed by other algorithms, and by two signers.
fn of_other_signers(
    elf: &[u8],
    platform: &Platform,
    keys: &Path,
) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (p384, ed25519) = (Algorithm::EcdsaP384, Algorithm::Ed25519);
    let scope = scope(platform, 1000)?;
    let below = |root, algorithms| Identity::under_root(keys, root, algorithms, &scope);
    let sign = |slots: &[(u8, &Identity)]| -> Result<Vec<u8>> {
        let options = Options {
            platform,
            cores: &[0],
            security_version: 7,
            display_version: "1.0.0",
            build_id: None,
            sbom: None,
            keep_all: false,
            at: None,
            roots: &[],
        };
        let slots: Vec<Slot<'_>> = slots
            .iter()
            .map(|(number, who)| Slot {
                number: *number,
                signer: &who.key,
                certificates: &who.chain,
            })
            .collect();
        Ok(sign_in_parts(elf, &options, &slots)?.into_bytes())
    };
    let first = Identity::development(keys)?;
    let all_p384 = below("dev-root-p384", [p384; 2])?;
    let all_ed25519 = below("dev-root-ed25519", [ed25519; 2])?;
    // A mixed chain, strong above.
    let second = below("dev-root-p384", [p384, ed25519])?;
    let foreign = Identity::foreign(&scope)?;

    let two_slots = sign(&[(0, &first), (1, &second)])?;
    let mut wrong_second = two_slots.clone();
    let second_signature = wrong_second.len() - firmware_bundle::FOOTER_SIZE - 64;
    wrong_second[second_signature] ^= 1;
    Ok(vec![
        ("p384.cwfw", sign(&[(0, &all_p384)])?),
        ("ed25519.cwfw", sign(&[(0, &all_ed25519)])?),
        ("two-slots.cwfw", two_slots),
        ("two-slots-p384.cwfw", sign(&[(0, &first), (1, &all_p384)])?),
        ("wrong-second.cwfw", wrong_second),
        ("only-second.cwfw", sign(&[(1, &second)])?),
        ("foreign-second.cwfw", sign(&[(0, &first), (1, &foreign)])?),
    ])
}

/// The platform file at a path.
///
/// # Errors
/// Where it cannot be read or breaks a rule.
pub fn platform(path: &Path) -> Result<Platform> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Platform::try_from(file)?)
}

/// The folder of the workspace that cargo runs this program in. Cargo does not build anew in a clone that was copied or
/// moved with its target folder, so where the program was built says less.
pub fn workspace() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let folders = running.iter().map(PathBuf::as_path).chain([built]);
    folders
        .flat_map(Path::ancestors)
        .find(|folder| folder.join(PRODUCT).is_file())
        .unwrap_or(built)
        .to_path_buf()
}

/// Removes the consoles of old runs, whose names begin with the time, so that years of work do not fill the disk.
fn forget_old_runs(runs: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(runs) else {
        return Ok(());
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let old = folders.len().saturating_sub(KEPT_RUNS);
    for folder in folders.iter().take(old) {
        match fs::remove_dir_all(folder) {
            // A run beside this one may do the same.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| folder.display().to_string())?,
        }
    }
    Ok(())
}

/// A firmware ELF; with a size, one whose loaded bytes are that many.
fn firmware(builder: &Builder<'_>, name: &str, size: Option<u64>) -> Result<Vec<u8>> {
    let path = builder.firmware(size)?.join(name);
    fs::read(&path).with_context(|| path.display().to_string())
}

/// Who there is in Linux: root, and users without rights.
const PASSWD: &[u8] =
    b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\nother:x:1001:1001::/:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\ndialout:x:20:\napp:x:1000:\nother:x:1001:\n";
const PRODUCT: &str = "ta/platforms/qemu-virt.toml";
const TEST: &str = "ta/platforms/qemu-virt-test.toml";
const TWO_SLOTS: &str = "ta/platforms/qemu-virt-two-slots.toml";
/// Private memory less what the firmware needs for its stack and data.
const LARGEST: u64 = 0x1f_0000;
/// Runs whose consoles are kept.
const KEPT_RUNS: usize = 50;
/// A board that is still there after this time hangs.
const LIMIT: Duration = Duration::from_secs(1800);
