//! The packages for build pipelines, tried: their steps run as they are written.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use firmware_signing::{key::PrivateKey, sample::Elf};
use tempfile::TempDir;
use tests::images::workspace;
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn the_steps_of_the_github_action_sign_and_verify_as_written() {
    let desk = Desk::new();
    let action = yaml("packaging/github/action.yml");
    let mut context: BTreeMap<String, String> = BTreeMap::new();
    for (name, input) in entries(&action["inputs"]) {
        let value = INPUTS.iter().find(|(input, _)| *input == name);
        let value = value.map(|(_, value)| *value).or(input["default"].as_str());
        let value = value.unwrap_or_else(|| panic!("{name} is required and not given"));
        context.insert(format!("inputs.{name}"), value.to_owned());
    }
    assert_eq!(text(&action["runs"]["using"]), "composite");
    let steps = action["runs"]["steps"].as_vec().expect("steps");
    for step in steps {
        assert_eq!(text(&step["shell"]), "bash");
        let outputs = desk.path("outputs");
        fs::write(&outputs, "").expect("written");
        let mut command = desk.command("bash");
        // GitHub's own way to start `shell: bash`.
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c"])
            .arg(text(&step["run"]))
            .env("GITHUB_OUTPUT", &outputs);
        for (name, value) in entries(&step["env"]) {
            command.env(name, evaluate(text(value), &context));
        }
        succeed(&mut command, text(&step["name"]));
        for line in fs::read_to_string(&outputs).expect("outputs").lines() {
            let (name, value) = line.split_once('=').expect("name=value");
            let id = text(&step["id"]);
            context.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
        }
    }
    let output = |name: &str| evaluate(text(&action["outputs"][name]["value"]), &context);
    assert_eq!(output("bundle"), "motor.cwfw");
    assert_eq!(output("digest"), desk.digest("motor.cwfw"));
}

#[test]
fn the_github_action_fails_where_signing_fails() {
    let desk = Desk::new();
    let action = yaml("packaging/github/action.yml");
    let steps = action["runs"]["steps"].as_vec().expect("steps");
    let step = steps
        .iter()
        .find(|step| step["id"].as_str() == Some("sign"));
    let step = step.expect("a step `sign`");
    let mut command = desk.command("bash");
    command
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c"])
        .arg(text(&step["run"]))
        .env("GITHUB_OUTPUT", desk.path("outputs"));
    for (name, value) in entries(&step["env"]) {
        let context = INPUTS
            .iter()
            .map(|(name, value)| (format!("inputs.{name}"), (*value).to_owned()))
            .collect();
        command.env(name, evaluate(text(value), &context));
    }
    command.env("SECURITY_VERSION", "1001");
    let output = command.output().expect("bash starts");
    assert_eq!(output.status.code(), Some(5), "above the signer's ceiling");
    assert!(!desk.path("motor.cwfw").exists());
    assert!(!desk.path("outputs").exists(), "no output is claimed");
}

#[test]
fn the_script_of_the_gitlab_template_signs_and_verifies_as_written() {
    let desk = Desk::new();
    let template = yaml("packaging/gitlab/corewarden-sign.gitlab-ci.yml");
    let job = &template[".corewarden-sign"];
    let script: Vec<_> = job["script"]
        .as_vec()
        .expect("a script")
        .iter()
        .map(text)
        .collect();
    let given = [
        ("SIGN_ELF", "motor.elf"),
        ("SIGN_OUT", "motor.cwfw"),
        ("SIGN_PLATFORM", "board.toml"),
        ("SIGN_CORES", "m4"),
        ("SIGN_SECURITY_VERSION", "3"),
        ("SIGN_KEY", "locked.key"),
        ("SIGN_CERTIFICATES", "signer.pem product-ca.pem"),
        ("SIGN_ROOT", "root.pem"),
        ("SIGN_PASSPHRASE", PASSPHRASE),
    ];
    let variables = entries(&job["variables"])
        .into_iter()
        .map(|(name, value)| (name, text(value).to_owned()))
        .chain(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut command = desk.command("bash");
    // As GitLab's runner does: one script of all lines, which ends at the first failure.
    command
        .args(["-c", &format!("set -eo pipefail\n{}", script.join("\n"))])
        .envs(variables.clone());
    succeed(&mut command, "script");
    let report = fs::read_to_string(desk.path("motor.cwfw.json")).expect("the report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["digest"], desk.digest("motor.cwfw").as_str());
    let declared: BTreeSet<_> = variables.map(|(name, _)| name).collect();
    for path in job["artifacts"]["paths"].as_vec().expect("paths") {
        let name = text(path).trim_start_matches('$').replace(".json", "");
        assert!(declared.contains(&name), "{name} is a variable of the job");
    }
}

#[test]
fn the_yocto_class_signs_in_its_task() {
    let desk = Desk::new();
    let output = desk.bitbake("run", &[]);
    assert!(output.status.success(), "{}", talk(&output));
    assert!(desk.path("motor.cwfw").is_file());
    // A task runs again after its inputs changed, so its output is there already.
    assert!(desk.bitbake("run", &[]).status.success());
    let output = desk.bitbake("run", &["COREWARDEN_SIGN_SECURITY_VERSION=1001"]);
    assert_eq!(output.status.code(), Some(5), "{}", talk(&output));
}

#[test]
fn the_yocto_tasks_hash_follows_the_content_of_key_and_certificates() {
    let desk = Desk::new();
    let hash = |more: &[&str]| {
        let output = desk.bitbake("hash", more);
        assert!(output.status.success(), "{}", talk(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        let (hash, files) = text.trim().split_once(' ').expect("hash and files");
        (hash.to_owned(), files.to_owned())
    };
    let (first, files) = hash(&[]);
    for name in [
        "signer.key",
        "signer.pem",
        "product-ca.pem",
        "root.pem",
        "board.toml",
    ] {
        assert!(files.contains(&format!("{name}:True")), "{files}");
        let path = desk.path(name);
        let before = fs::read(&path).expect("there");
        fs::write(&path, [&before[..], b"\n"].concat()).expect("written");
        assert_ne!(hash(&[]).0, first, "{name} has other content");
        fs::write(&path, before).expect("written");
        assert_eq!(hash(&[]).0, first, "{name} is as it was");
    }
    assert_ne!(hash(&["COREWARDEN_SIGN_SECURITY_VERSION=4"]).0, first);
    assert_eq!(
        hash(&["COREWARDEN_SIGN_PASSPHRASE_FILE=elsewhere"]).0,
        first
    );
}

#[test]
fn the_yocto_class_passes_a_token_uri_through_and_does_not_take_it_for_a_file() {
    let desk = Desk::new();
    let uri = "COREWARDEN_SIGN_KEY=pkcs11:token=signing;object=motor?module-name=softhsm2";
    let output = desk.bitbake("hash", &[uri]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!text.contains("pkcs11"), "no file: {text}");
    assert_ne!(
        text,
        String::from_utf8_lossy(&desk.bitbake("hash", &[]).stdout)
    );
    // A signer of its own says what it was given, with which environment.
    let spy = desk.path("spy");
    fs::create_dir(&spy).expect("a folder");
    let program =
        "#!/bin/sh\nprintf '%s\\n' \"$@\" \"pin=$COREWARDEN_PIN\" \"other=$OTHER\" > said\n";
    fs::write(spy.join("corewarden-sign"), program).expect("written");
    succeed(
        Command::new("chmod")
            .arg("755")
            .arg(spy.join("corewarden-sign")),
        "chmod",
    );
    let mut command = desk.bitbake_command("run", &[uri]);
    command
        .env("PATH", format!("{}:/usr/bin:/bin", spy.display()))
        .env("COREWARDEN_PIN", "1234")
        .env("OTHER", "kept away");
    succeed(&mut command, "run");
    let said = fs::read_to_string(desk.path("said")).expect("it ran");
    let said: Vec<_> = said.lines().collect();
    let key = said
        .iter()
        .position(|word| *word == "--key")
        .expect("--key");
    assert_eq!(said[key + 1], uri.split_once('=').expect("a value").1);
    assert!(
        said.contains(&"pin=1234") && said.contains(&"other="),
        "{said:?}"
    );
    // Neither the scripts nor the logs of the build know the PIN.
    for entry in fs::read_dir(desk.path("temp")).expect("scripts") {
        let script = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        assert!(script.contains("pkcs11:") && !script.contains("1234"));
    }
}

#[test]
fn the_yocto_class_signs_one_at_a_time() {
    let desk = Desk::new();
    // Whoever signs while another one does finds its folder and fails.
    let spy = desk.path("spy");
    fs::create_dir(&spy).expect("a folder");
    let program = "#!/bin/sh\nmkdir inside || exit 9\nsleep 0.3\nrmdir inside\n";
    fs::write(spy.join("corewarden-sign"), program).expect("written");
    succeed(
        Command::new("chmod")
            .arg("755")
            .arg(spy.join("corewarden-sign")),
        "chmod",
    );
    let run = || {
        let mut command = desk.bitbake_command("run", &[]);
        command.env("PATH", format!("{}:/usr/bin:/bin", spy.display()));
        command.spawn().expect("it starts")
    };
    for mut child in [run(), run(), run()] {
        assert!(
            child.wait().expect("it ends").success(),
            "two signed at once"
        );
    }
}

#[test]
fn the_yocto_recipe_installs_the_program_that_the_class_then_calls() {
    let desk = Desk::new();
    desk.lay_out_release();
    let recipe = |what: &str, name: &str| desk.bitbake_recipe(what, name);
    let compiled = recipe("run", "do_compile");
    assert!(compiled.status.success(), "{}", talk(&compiled));
    assert!(talk(&compiled).starts_with("corewarden-sign 0."));
    let installed = recipe("run", "do_install");
    assert!(installed.status.success(), "{}", talk(&installed));
    for page in ["corewarden-sign.1", "corewarden-sign-sign.1"] {
        assert!(desk.path("image/usr/share/man/man1").join(page).is_file());
    }
    // The class finds it where the recipe put it, and nowhere else.
    let mut command = desk.bitbake_command("run", &[]);
    let path = format!("{}:/usr/bin:/bin", desk.path("image/usr/bin").display());
    succeed(command.env("PATH", path), "do_sign");
    assert!(desk.path("motor.cwfw").is_file());
    // The licences are those of the files that the recipe names.
    let licences = recipe("show", "LIC_FILES_CHKSUM");
    for entry in talk(&licences).split_whitespace() {
        let (file, sum) = entry.split_once(";md5=").expect("a file and its sum");
        let file = desk.release().join(file.trim_start_matches("file://"));
        let output = Command::new("md5sum").arg(file).output().expect("it runs");
        assert!(talk(&output).starts_with(sum), "{entry}");
    }
}

#[test]
fn the_yocto_recipe_is_of_the_version_that_the_release_has() {
    let folder = workspace().join("packaging/yocto/recipes-devtools/corewarden-sign");
    let recipe = format!("corewarden-sign-native_{}.bb", env!("CARGO_PKG_VERSION"));
    assert!(folder.join(&recipe).is_file(), "there is no {recipe}");
}

#[test]
fn the_yocto_recipe_fails_where_the_program_does_not_run() {
    let desk = Desk::new();
    desk.lay_out_release();
    fs::remove_file(desk.release().join("bin/corewarden-sign")).expect("removed");
    // Made for another machine, as it looks to this one.
    fs::write(desk.release().join("bin/corewarden-sign"), "\x7fELF").expect("written");
    assert!(!desk.bitbake_recipe("run", "do_compile").status.success());
}

/// A folder with everything that a pipeline has.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: TempDir::new().expect("a folder"),
        };
        for (file, name) in [
            ("keys/dev-root.pem", "root.pem"),
            ("keys/dev-product-ca.pem", "product-ca.pem"),
            ("keys/dev-signer.pem", "signer.pem"),
            ("keys/dev-signer.key.pem", "signer.key"),
            ("ta/platforms/qemu-virt.toml", "board.toml"),
        ] {
            fs::copy(workspace().join(file), desk.path(name)).expect("copied");
        }
        let key = fs::read(desk.path("signer.key")).expect("the key");
        let key = PrivateKey::read(&key, || unreachable!("not encrypted")).expect("a key");
        let locked = key.to_pem(Some(PASSPHRASE)).expect("encrypted");
        fs::write(desk.path("locked.key"), locked).expect("written");
        fs::write(desk.path("motor.elf"), Elf::qemu_virt().build()).expect("written");
        for folder in ["bin", "temp"] {
            fs::create_dir(desk.path(folder)).expect("a folder");
        }
        let program = trycmd::cargo::cargo_bin("corewarden-sign-shown");
        symlink(program, desk.path("bin/corewarden-sign")).expect("a link");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command in this folder, with our program on its path and nothing else in its environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut path = OsString::from(self.path("bin"));
        path.push(":/usr/bin:/bin");
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path);
        command
    }

    /// Where BitBake unpacks the tar.gz.
    fn release(&self) -> PathBuf {
        self.path(&format!("corewarden-sign-{}", env!("CARGO_PKG_VERSION")))
    }

    /// What `cargo xtask dist` packs, as far as the recipe takes it.
    fn lay_out_release(&self) {
        let release = self.release();
        for folder in ["bin", "share/man/man1", "share/doc/corewarden-sign"] {
            fs::create_dir_all(release.join(folder)).expect("a folder");
        }
        let program = trycmd::cargo::cargo_bin("corewarden-sign-shown");
        fs::copy(program, release.join("bin/corewarden-sign")).expect("copied");
        let mut pages = self.command("corewarden-sign");
        pages
            .args(["man", "--out-dir"])
            .arg(release.join("share/man/man1"));
        succeed(&mut pages, "man");
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let to = release.join("share/doc/corewarden-sign").join(licence);
            fs::copy(workspace().join(licence), to).expect("copied");
        }
    }

    /// What BitBake would do with the recipe for the machine that builds.
    fn bitbake_recipe(&self, what: &str, name: &str) -> Output {
        let version = env!("CARGO_PKG_VERSION");
        let folder = self.folder.path().display();
        let recipe = format!(
            "packaging/yocto/recipes-devtools/corewarden-sign/corewarden-sign-native_{version}.bb"
        );
        let mut command = self.command("/usr/bin/python3");
        command
            .arg(workspace().join("tests/yocto/fake_bitbake.py"))
            .arg(what)
            .arg(workspace().join(recipe))
            .arg(name)
            .args([
                format!("PV={version}"),
                format!("WORKDIR={folder}"),
                format!("T={folder}/temp"),
                format!("D={folder}/image"),
            ])
            .args(["bindir=/usr/bin", "mandir=/usr/share/man"]);
        command.output().expect("python starts")
    }

    fn bitbake(&self, what: &str, more: &[&str]) -> Output {
        self.bitbake_command(what, more)
            .output()
            .expect("python starts")
    }

    /// What BitBake would do with a recipe that inherits the class.
    fn bitbake_command(&self, what: &str, more: &[&str]) -> Command {
        let mut command = self.command("/usr/bin/python3");
        let folder = self.folder.path().display();
        command
            .arg(workspace().join("tests/yocto/fake_bitbake.py"))
            .arg(what)
            .arg(workspace().join("packaging/yocto/classes/corewarden-sign.bbclass"))
            .arg("do_sign")
            .args(["BPN=motor", "PV=1.4", "COREWARDEN_SIGN_CORES=m4"])
            .args([
                format!("B={folder}"),
                format!("TMPDIR={folder}"),
                format!("T={folder}/temp"),
            ])
            .args([
                "COREWARDEN_SIGN_SECURITY_VERSION=3",
                "COREWARDEN_SIGN_KEY=signer.key",
            ])
            .args(["COREWARDEN_SIGN_CERTIFICATES=signer.pem product-ca.pem"])
            .args([
                "COREWARDEN_SIGN_ROOT=root.pem",
                "COREWARDEN_SIGN_PLATFORM=board.toml",
            ])
            .args(more);
        command
    }

    /// The digest that the bundle itself has.
    fn digest(&self, bundle: &str) -> String {
        let mut command = self.command("corewarden-sign");
        let output = command
            .args(["--json", "inspect", bundle])
            .output()
            .expect("it runs");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        report["bundle"]["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }
}

fn succeed(command: &mut Command, what: &str) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{what}: {}", talk(&output));
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn yaml(path: &str) -> Yaml {
    let text = fs::read_to_string(Path::new(&workspace()).join(path)).expect("a file");
    let mut documents = YamlLoader::load_from_str(&text).expect("YAML");
    assert_eq!(documents.len(), 1, "{path} is one document");
    documents.remove(0)
}

fn text(value: &Yaml) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value:?} is no text"))
}

fn entries(value: &Yaml) -> Vec<(String, &Yaml)> {
    let Some(hash) = value.as_hash() else {
        assert!(value.is_badvalue(), "{value:?} is no list of names");
        return Vec::new();
    };
    hash.iter()
        .map(|(name, value)| (text(name).to_owned(), value))
        .collect()
}

/// GitHub's `${{ name }}`; a name that is not there is an error here and would be empty there.
fn evaluate(text: &str, context: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${{") {
        let (name, after) = behind.split_once("}}").expect("a closed expression");
        let value = context.get(name.trim());
        out += before;
        out += value.unwrap_or_else(|| panic!("{name} is not set"));
        rest = after;
    }
    out + rest
}

const INPUTS: &[(&str, &str)] = &[
    ("elf", "motor.elf"),
    ("out", ""),
    ("platform", "board.toml"),
    ("cores", "m4"),
    ("security-version", "3"),
    ("display-version", "1.4"),
    ("key", "locked.key"),
    ("certificates", "signer.pem product-ca.pem"),
    ("root", "root.pem"),
    ("passphrase", PASSPHRASE),
    ("pin", ""),
    ("package", ""),
];
const PASSPHRASE: &str = "correct horse battery staple";
