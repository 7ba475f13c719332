//! `exec:PROGRAM`: programs that sign, that do not, that hang, that talk nonsense.

mod ceremony;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ceremony::openssl::good;
use ceremony::{Desk, SIGN, expect, text};

/// A desk with a key, its public half, and a program that signs with it through OpenSSL.
fn desk(algorithm: &str) -> Desk {
    let desk = Desk::new();
    good(
        desk.folder(),
        &format!("genpkey {algorithm} -out service.key"),
    );
    good(
        desk.folder(),
        "pkey -in service.key -pubout -out service.pub",
    );
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ceremony/program");
    symlink(program, desk.path("program")).expect("linked");
    desk
}

/// Runs `./body` as a shell script. It lies in the tree, because a file that was just written may be busy when it is to be run.
const KEY: &str = "exec:./program";

/// What the program does, as a shell script that has the request in `$request`.
fn script(desk: &Desk, body: &str) {
    let text = format!(
        "set -eu\nrequest=$(cat)\nfield() {{ printf %s \"$request\" | sed -n \"s/.*\\\"$1\\\":\\\"\\([^\\\"]*\\)\\\".*/\\1/p\"; }}\n{body}\n"
    );
    desk.write("body", text);
}

/// What a program has to do: tell the public key, and sign.
fn honest(sign: &str) -> String {
    format!(
        "if [ \"$(field operation)\" = public-key ]; then cat service.pub; exit; fi\nfield message | openssl base64 -d -A > message\n{sign}"
    )
}

const ECDSA: &str = "openssl dgst -sha256 -sign service.key message | openssl base64";
const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

fn run(desk: &Desk, key: &str, more: &str) -> Output {
    let _ = fs::remove_file(desk.path("req.pem"));
    let line = format!("csr --key {key} --name CN=service --out req.pem {more}");
    desk.command(&line).output().expect("it runs")
}

/// Insists on the exit code and that nothing was written; gives what was said.
#[track_caller]
fn refused(desk: &Desk, code: i32) -> String {
    refused_by(desk, KEY, code, "")
}

#[track_caller]
fn refused_by(desk: &Desk, key: &str, code: i32, more: &str) -> String {
    let all = expect(run(desk, key, more), code);
    assert!(!desk.path("req.pem").exists(), "{all}");
    all
}

#[track_caller]
fn signs(desk: &Desk) {
    expect(run(desk, KEY, ""), 0);
    good(desk.folder(), "req -in req.pem -verify -noout");
}

#[test]
fn a_program_signs_with_keys_of_each_algorithm() {
    for (how, sign) in [
        (P256, ECDSA),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "openssl dgst -sha384 -sign service.key message | openssl base64",
        ),
        (
            "-algorithm ED25519",
            "openssl pkeyutl -sign -rawin -inkey service.key -in message | openssl base64",
        ),
    ] {
        let desk = desk(how);
        script(&desk, &honest(sign));
        signs(&desk);
    }
}

#[test]
fn an_answer_is_json_or_base64_and_a_signature_der_or_raw() {
    let desk = desk(P256);
    script(
        &desk,
        &honest(
            "signature=$(openssl dgst -sha256 -sign service.key message | openssl base64 -A)\nprintf '{\"signature\":\"%s\",\"more\":1}' \"$signature\"",
        ),
    );
    signs(&desk);
    // Raw r and s, as many services answer: taken out of the DER by OpenSSL.
    script(
        &desk,
        &honest(
            "openssl dgst -sha256 -sign service.key message > der\n\
             for number in $(openssl asn1parse -inform DER -in der | sed -n 's/.*INTEGER *://p'); do\n\
             printf '%64s' \"$number\" | tr ' ' 0 | tail -c 64; done | perl -ne 'print pack \"H*\", $_' | openssl base64 -A",
        ),
    );
    signs(&desk);
    // The digest is there for who cannot hash.
    script(
        &desk,
        &honest(
            "field digest | openssl base64 -d -A > digest\nopenssl pkeyutl -sign -inkey service.key -in digest | openssl base64",
        ),
    );
    signs(&desk);
}

#[test]
fn the_request_says_what_is_to_be_signed_and_by_which_key() {
    let desk = desk(P256);
    script(
        &desk,
        &format!("printf '%s\\n' \"$request\" >> requests\n{}", honest(ECDSA)),
    );
    let output = run(&desk, &format!("{KEY}#projects/7/keys/signer"), "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let requests = fs::read_to_string(desk.path("requests")).expect("there");
    let requests: Vec<serde_json::Value> = requests
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [public, sign] = &requests[..] else {
        panic!("{requests:?}");
    };
    for request in [public, sign] {
        assert_eq!(request["schema"], "corewarden-sign/signing-program");
        assert_eq!(request["version"], 1);
        assert_eq!(request["hint"], "projects/7/keys/signer");
    }
    assert_eq!(public["operation"], "public-key");
    assert_eq!(public.as_object().map(serde_json::Map::len), Some(4));
    assert_eq!(sign["operation"], "sign");
    assert_eq!(sign["algorithm"], "ecdsa-p256-sha256");
    good(
        desk.folder(),
        "pkey -in service.key -pubout -outform DER -out spki.der",
    );
    good(desk.folder(), "base64 -A -in spki.der -out spki.b64");
    let spki = fs::read_to_string(desk.path("spki.b64")).expect("there");
    assert_eq!(sign["public_key"], spki.trim());
    let hash = good(desk.folder(), "dgst -sha256 -r spki.der");
    assert_eq!(sign["key_id"], hash[..64]);
    good(desk.folder(), "dgst -sha256 -binary -out hash message");
    good(desk.folder(), "base64 -A -in hash -out hash.b64");
    let digest = fs::read_to_string(desk.path("hash.b64")).expect("there");
    assert_eq!(sign["digest"], digest.trim());
}

#[test]
fn a_signature_of_another_key_or_message_is_refused() {
    let desk = desk(P256);
    good(desk.folder(), &format!("genpkey {P256} -out other.key"));
    good(
        desk.folder(),
        "pkey -in service.key -pubout -outform DER -out spki.der",
    );
    let expected = good(desk.folder(), "dgst -sha256 -r spki.der")[..64].to_owned();
    for sign in [
        "openssl dgst -sha256 -sign other.key message | openssl base64",
        "printf more >> message; openssl dgst -sha256 -sign service.key message | openssl base64",
        "head -c 64 /dev/zero | openssl base64",
        "head -c 63 message | openssl base64",
        "printf 'garbage!' | openssl base64",
    ] {
        script(&desk, &honest(sign));
        let all = refused(&desk, 4);
        assert!(
            all.contains(&format!(
                "the signature does not verify with the key {expected}"
            )),
            "{sign}: {all}"
        );
    }
}

#[test]
fn an_answer_that_is_none_is_refused() {
    let desk = desk(P256);
    for (sign, said) in [
        ("true", "gave no answer"),
        ("printf '  \\n\\n'", "gave no answer"),
        ("printf garbage!", "answer is malformed"),
        ("printf '{\"signature\": 7}'", "answer is malformed"),
        ("printf '{\"signature\": \"!\"}'", "answer is malformed"),
        ("printf '{\"sig\": \"AAAA\"}'", "answer is malformed"),
        ("printf '{'", "answer is malformed"),
        ("printf '\\377\\376'", "answer is malformed"),
        (
            "head -c 70000 /dev/zero | tr '\\0' A",
            "answer is longer than 65536 bytes",
        ),
        ("cat /dev/zero", "answer is longer than 65536 bytes"),
    ] {
        script(&desk, &honest(sign));
        let all = refused(&desk, 6);
        assert!(
            all.contains(said) && all.contains("docs/signing-program.md"),
            "{sign}: {all}"
        );
        assert_eq!(all.lines().count(), 1, "{all}");
    }
    // The same for the public key.
    for (body, said) in [
        ("true", "gave no answer"),
        ("printf garbage!", "answer is malformed"),
        ("cat service.key", "answer is malformed"),
        ("cat service.pub service.pub", "answer is malformed"),
        ("printf '{\"public_key\": \"AAAA\"}'", "answer is malformed"),
    ] {
        script(&desk, body);
        let all = refused(&desk, 6);
        assert!(
            all.contains(&format!("{KEY}: ")) && all.contains(said),
            "{body}: {all}"
        );
    }
}

#[test]
fn a_program_that_fails_is_told_and_what_it_said_is_passed_on() {
    let desk = desk(P256);
    script(&desk, &honest("echo 'the vault is sealed' >&2; exit 3"));
    let all = refused(&desk, 6);
    assert!(all.contains("the vault is sealed"), "{all}");
    assert!(
        all.contains("the signing program ended with exit code 3"),
        "{all}"
    );
    // A good signature does not help who fails afterwards.
    script(&desk, &honest(&format!("{ECDSA}; exit 1")));
    assert!(refused(&desk, 6).contains("exit code 1"));
    script(&desk, &honest("kill -9 $$"));
    assert!(refused(&desk, 6).contains("the signing program was ended by signal 9"));
}

#[test]
fn a_program_that_is_absent_or_may_not_run_is_told() {
    let desk = desk(P256);
    let all = refused_by(&desk, "exec:./nothing", 6, "");
    assert!(
        all.contains("exec:./nothing: the signing program could not be run: No such file"),
        "{all}"
    );
    assert!(refused_by(&desk, "exec:./fw.elf", 6, "").contains("Permission denied"));
    assert!(refused_by(&desk, "exec:", 2, "").contains("the name of the key is empty"));
}

#[test]
fn a_program_that_hangs_is_ended() {
    let desk = desk(P256);
    // Without an answer, after half of one, and after it has closed its output; none of them reads its input to the end.
    for body in [
        "exec sleep 1000",
        "printf AAAA; exec sleep 1000",
        "exec 1>&-; exec sleep 1000",
    ] {
        desk.write("body", format!("echo $$ > pid\n{body}\n"));
        let begin = Instant::now();
        let all = refused_by(&desk, KEY, 6, "--signer-timeout 1");
        assert!(
            all.contains("gave no answer within 1 s, and was ended"),
            "{body}: {all}"
        );
        // Far from the thousand seconds; a loaded machine is slow.
        assert!(begin.elapsed() < Duration::from_secs(120), "{body}");
        let pid = fs::read_to_string(desk.path("pid")).expect("there");
        let process = format!("/proc/{}", pid.trim());
        assert!(
            !std::path::Path::new(&process).exists(),
            "{body}: it still runs"
        );
    }
}

#[test]
fn what_a_hanging_program_started_is_ended_with_it() {
    let desk = desk(P256);
    // The one waits for its child, the other has left it alone with the output.
    for body in [
        "sleep 1000 & echo $! > pid; wait",
        "sleep 1000 & echo $! > pid",
    ] {
        fs::write(desk.path("body"), format!("{body}\n")).expect("written");
        let _ = fs::remove_file(desk.path("req.pem"));
        // In a session of its own there is no terminal, whoever runs this test.
        let line = [
            "--wait",
            env!("CARGO_BIN_EXE_corewarden-sign"),
            "csr",
            "--key",
            KEY,
        ];
        let output = Command::new("setsid")
            .args(line)
            .args([
                "--name",
                "CN=service",
                "--out",
                "req.pem",
                "--signer-timeout",
                "3",
            ])
            .current_dir(desk.folder())
            .stdin(Stdio::null())
            .output()
            .expect("util-linux is everywhere");
        let all = text(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{body}: {all}");
        assert!(all.contains("gave no answer within 3 s"), "{body}: {all}");
        let pid = fs::read_to_string(desk.path("pid")).expect("there");
        ends(pid.trim());
        fs::remove_file(desk.path("pid")).expect("removed");
    }
}

#[test]
fn a_signal_ends_the_program_with_what_it_started_and_then_us() {
    let desk = desk(P256);
    script(
        &desk,
        "sleep 1000 & echo $! > started; mv started pid; wait",
    );
    // A terminal would send the signal to all of them.
    let mut child = Command::new("setsid")
        .args([env!("CARGO_BIN_EXE_corewarden-sign"), "csr", "--key", KEY])
        .args(["--name", "CN=service", "--out", "req.pem"])
        .args(["--signer-timeout", "1000"])
        .current_dir(desk.folder())
        .stdin(Stdio::null())
        .spawn()
        .expect("util-linux is everywhere");
    let begin = Instant::now();
    while !desk.path("pid").exists() && begin.elapsed() < Duration::from_secs(60) {
        std::thread::yield_now();
    }
    let pid = fs::read_to_string(desk.path("pid")).expect("the program runs");
    // The shell's own: a small system has no program of that name.
    let kill = Command::new("sh")
        .args(["-c", &format!("kill -TERM {}", child.id())])
        .status();
    assert!(kill.expect("sh runs").success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(15), "{status:?}");
    ends(pid.trim());
    assert!(!desk.path("req.pem").exists());
}

/// Waits until a process is gone, or has ended and waits for its new parent to notice.
fn ends(pid: &str) {
    let begin = Instant::now();
    loop {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or_default();
        if state.is_empty() || state.starts_with('Z') {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(60),
            "{pid} still runs: {stat}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_program_may_ask_at_the_terminal() {
    let desk = desk(P256);
    // Whoever is not in the terminal's foreground would be stopped here, and run into the time limit.
    script(
        &desk,
        &format!(
            "read answer < /dev/tty\n[ \"$answer\" = yes ]\n{}",
            honest(ECDSA)
        ),
    );
    let line = format!(
        "'{}' csr --key '{KEY}' --name CN=service --out req.pem --signer-timeout 100",
        env!("CARGO_BIN_EXE_corewarden-sign")
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(desk.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux is everywhere");
    // One answer for the public key, one for the signature.
    let mut input = terminal.stdin.take().expect("piped");
    input.write_all(b"yes\nyes\n").expect("written");
    let output = terminal.wait_with_output().expect("it ends");
    drop(input);
    assert!(output.status.success(), "{}", text(&output.stdout));
    good(desk.folder(), "req -in req.pem -verify -noout");
}

#[test]
fn a_bundle_is_signed_by_a_program_whose_key_the_certificate_names() {
    let desk = desk(P256);
    // Only signing: the public key is the certificate's.
    script(
        &desk,
        &honest(ECDSA).replace("cat service.pub; exit", "exit 9"),
    );
    desk.authorities("development");
    desk.certify("leaf", "service.pub", "development");
    let sign = format!("{SIGN} --root root.pem --key {KEY}");
    let certificates = "--cert service.pem --cert ca.pem";
    desk.expect(0, &format!("{sign} {certificates}"));
    desk.expect(0, "verify fw.cwfw --root root.pem");
    // A garbage signature leaves no bundle.
    script(&desk, "head -c 64 /dev/urandom | openssl base64");
    desk.expect(4, &format!("{sign} {certificates} --out new.cwfw"));
    assert!(!desk.path("new.cwfw").exists());
    // A program may hand over its certificates too; then none need be named.
    script(
        &desk,
        &honest(ECDSA).replace("cat service.pub", "cat service.pub service.pem ca.pem"),
    );
    desk.expect(0, &format!("{sign} --out new.cwfw"));
}

#[test]
fn the_example_of_the_document_signs() {
    let desk = desk(P256);
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/signing-program.md");
    let document = fs::read_to_string(document).expect("there");
    let example = document
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    desk.write("body", example);
    signs(&desk);
}
