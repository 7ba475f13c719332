//! Keys on tokens: SoftHSM as the token, OpenSC as the tool that fills it, OpenSSL as the judge. A private token folder for each test.

mod ceremony;

use std::fs;
use std::process::Stdio;

use ceremony::judge::judge_slots;
use ceremony::openssl::good;
use ceremony::token::{MODULE, PIN, Token};
use ceremony::{SIGN, expect};
use firmware_signing::key::Algorithm;
use firmware_signing::pki::Certificate;

/// A root, a product CA and a certificate for the key `name` of the token `of`, in files whose names begin with its name.
fn chain(token: &Token, (of, pin): (&str, &str), name: &str, algorithm: Algorithm) {
    let algorithm = algorithm.name();
    for above in ["root", "ca"] {
        let out = format!("--out {name}-{above}.key");
        token.expect(
            0,
            &format!("keygen --no-password --algorithm {algorithm} {out}"),
        );
    }
    token.expect(
        0,
        &format!("pki init --key {name}-root.key --name CN={name}-root --out {name}-root.pem"),
    );
    let key = format!("pkcs11:token={of};object={name}");
    let request = format!("csr --key {key} --name CN={name} --out {name}-leaf.csr");
    let request = token.command(&request).env("COREWARDEN_PIN", pin).output();
    expect(request.expect("it runs"), 0);
    for (kind, key, issuer, out) in [
        ("product-ca", "ca.key", "root", "ca"),
        ("leaf", "leaf.csr", "ca", "leaf"),
    ] {
        let more = format!(
            "--issuer-key {name}-{issuer}.key --name CN={name}-{out} --out {name}-{out}.pem"
        );
        let (key, issuer) = (format!("{name}-{key}"), format!("{name}-{issuer}"));
        token.expect(0, &token.desk.issue(kind, &key, &issuer, &more));
    }
}

/// A certificate request: the smallest thing that a key of any algorithm signs.
#[track_caller]
fn request(token: &Token, code: i32, key: &str) -> String {
    let line = format!("csr --key {key} --name CN=signer,O=we --out req.pem --force");
    token.expect(code, &line)
}

/// What makes the certificate of a self-signed root, which shows that a key signs.
fn init(token: &Token, key: &str) -> String {
    let _ = fs::remove_file(token.desk.path("root.pem"));
    format!("pki init --key {key} --name CN=token-root --out root.pem")
}

#[track_caller]
fn root(token: &Token, code: i32, key: &str) -> String {
    token.expect(code, &init(token, key))
}

#[test]
fn keys_of_each_algorithm_on_one_token_sign_and_openssl_verifies() {
    let token = Token::new();
    // All on one token: an Ed25519 key must not hide the others.
    for (at, (kind, of)) in [
        ("EC:edwards25519", "ED25519"),
        ("EC:prime256v1", "prime256v1"),
        ("EC:secp384r1", "secp384r1"),
    ]
    .into_iter()
    .enumerate()
    {
        token.generate(kind, &format!("key-{at}"), &format!("0{at}"));
        request(&token, 0, &format!("pkcs11:token=cw;object=key-{at}"));
        let all = good(
            token.desk.folder(),
            "req -in req.pem -verify -noout -text -nameopt RFC2253",
        );
        assert!(all.contains(of) && all.contains("CN=signer"), "{all}");
        root(&token, 0, &format!("pkcs11:token=cw;object=key-{at}"));
        good(
            token.desk.folder(),
            "verify -check_ss_sig -CAfile root.pem root.pem",
        );
    }
    // By id alone, and as another tool would write the URI.
    request(&token, 0, "pkcs11:token=cw;id=%01");
    request(
        &token,
        0,
        "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;token=cw;id=%02;object=key-2;type=private",
    );
}

#[test]
fn a_bundle_is_signed_by_a_token_with_the_certificates_it_keeps() {
    let token = Token::new();
    let desk = &token.desk;
    token.generate("EC:prime256v1", "leaf", "0a");
    token.generate("EC:prime256v1", "ca", "0b");
    token.expect(0, "keygen --no-password --out root.key");
    root(&token, 0, "root.key");
    for (kind, name, issuer, issuer_key) in [
        ("product-ca", "ca", "root", "root.key"),
        ("leaf", "leaf", "ca", "pkcs11:token=cw;object=ca"),
    ] {
        token.expect(
            0,
            &format!("csr --key pkcs11:token=cw;object={name} --name CN=whoever --out {name}.csr"),
        );
        let more = format!("--issuer-key {issuer_key} --name CN={name} --out {name}.pem");
        token.expect(0, &desk.issue(kind, &format!("{name}.csr"), issuer, &more));
    }
    for (name, id) in [("leaf", "0a"), ("ca", "0b")] {
        good(
            desk.folder(),
            &format!("x509 -in {name}.pem -outform DER -out {name}.der"),
        );
        token.pkcs11_tool(&format!(
            "--write-object {name}.der --type cert --label {name} --id {id}"
        ));
    }
    // No --cert: both certificates are on the token.
    let sign = format!("{SIGN} --root root.pem --key pkcs11:token=cw;object=leaf --force");
    token.expect(0, &sign);
    let all = token.expect(
        0,
        "verify fw.cwfw --root root.pem --platform board.toml --core m4",
    );
    assert!(
        all.contains("accepts it") && all.contains("CN=leaf"),
        "{all}"
    );
    // The digest does not depend on the signature, which differs each time.
    let digest = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("digest:"));
        line.expect("a digest").to_owned()
    };
    let (first, one) = (token.expect(0, &sign), fs::read(desk.path("fw.cwfw")));
    let (second, other) = (token.expect(0, &sign), fs::read(desk.path("fw.cwfw")));
    assert_eq!(digest(&first), digest(&second));
    assert_ne!(one.expect("there"), other.expect("there"));
    // The chain that came from the token, judged by OpenSSL.
    good(
        desk.folder(),
        "verify -x509_strict -ignore_critical -CAfile root.pem -untrusted ca.pem leaf.pem",
    );
    // Another key of the same token is told from the certificate's, with both fingerprints.
    let other =
        format!("{SIGN} --root root.pem --key pkcs11:token=cw;object=ca --cert leaf.pem --force");
    let wrong = token.expect(6, &other);
    let fingerprint = |name: &str| {
        good(
            desk.folder(),
            &format!("x509 -in {name}.pem -noout -pubkey -out {name}.spki"),
        );
        good(
            desk.folder(),
            &format!("pkey -pubin -in {name}.spki -outform DER -out {name}.spki.der"),
        );
        let hash = good(desk.folder(), &format!("dgst -sha256 {name}.spki.der"));
        hash.trim().rsplit(' ').next().expect("a hash").to_owned()
    };
    assert!(
        wrong.contains(&fingerprint("ca")) && wrong.contains(&fingerprint("leaf")),
        "{wrong}"
    );
}

#[test]
fn bundles_of_token_keys_of_each_algorithm_are_verified_by_openssl_and_have_one_digest_everywhere()
{
    let token = Token::new();
    let desk = &token.desk;
    fs::create_dir_all(desk.path("another/FOLDER")).expect("a folder");
    for (algorithm, kind, id) in [
        (Algorithm::EcdsaP256, "EC:prime256v1", "01"),
        (Algorithm::EcdsaP384, "EC:secp384r1", "02"),
        (Algorithm::Ed25519, "EC:edwards25519", "03"),
    ] {
        let name = algorithm.name();
        token.generate(kind, name, id);
        chain(&token, ("cw", PIN), name, algorithm);
        let sign = |folder: &str, up: &str, settings: &[(&str, &str)]| {
            let line = format!(
                "sign {up}fw.elf --platform {up}board.toml --core m4 --security-version 3 --out fw.cwfw --force \
                 --key pkcs11:token=cw;object={name} --root {up}{name}-root.pem --cert {up}{name}-leaf.pem:{up}{name}-ca.pem"
            );
            let mut command = token.command(&line);
            command
                .current_dir(desk.path(folder))
                .envs(settings.iter().copied());
            expect(command.output().expect("it runs"), 0);
            let digest = token.expect(0, &format!("inspect --digest {folder}/fw.cwfw"));
            (desk.read(&format!("{folder}/fw.cwfw")), digest)
        };
        let home = [("LC_ALL", "C"), ("TZ", "UTC"), ("HOME", "/root")];
        let (here, digest) = sign(".", "", &home);
        let elsewhere = [
            ("LC_ALL", "tr_TR.UTF-8"),
            ("TZ", "Asia/Kathmandu"),
            ("HOME", "/nonexistent"),
            ("SOURCE_DATE_EPOCH", "1"),
        ];
        let (there, again) = sign("another/FOLDER", "../../", &elsewhere);
        assert_eq!(digest.trim().len(), 96, "{digest}");
        assert_eq!(digest, again);
        // A token's ECDSA is not deterministic, Ed25519 is by itself.
        assert_eq!(here == there, algorithm == Algorithm::Ed25519, "{name}");
        let root = Certificate::read_all(&desk.read(&format!("{name}-root.pem")));
        let root = root.expect("a certificate");
        for bundle in [here, there] {
            judge_slots(&bundle, &[(algorithm, &root[0])]);
        }
    }
}

#[test]
fn a_second_token_has_its_own_pin_which_the_first_is_never_tried_for() {
    let token = Token::new();
    let desk = &token.desk;
    token.generate("EC:prime256v1", "first", "01");
    token.tool("softhsm2-util --init-token --free --so-pin 87654321 --pin 9999 --label other");
    token.tool(&format!(
        "pkcs11-tool --module {MODULE} --token-label other --login --pin 9999 --keypairgen --key-type EC:edwards25519 \
         --label second --id 02"
    ));
    chain(&token, ("cw", PIN), "first", Algorithm::EcdsaP256);
    chain(&token, ("other", "9999"), "second", Algorithm::Ed25519);
    desk.write("pin", "9999\n");
    let plain = "pkcs11:token=other;object=second";
    let named = format!("{plain}?pin-source=file:{}", desk.path("pin").display());
    let run = |key: &str, more: &str, settings: &[(&str, &str)]| {
        let line = format!(
            "{SIGN} --force --key pkcs11:token=cw;object=first --cert first-leaf.pem:first-ca.pem --root first-root.pem \
             --second-key {key} --second-cert second-leaf.pem:second-ca.pem --second-root second-root.pem {more}"
        );
        let mut command = token.command(&line);
        let pin = fs::File::open(desk.path("pin")).expect("there");
        command
            .stdin(Stdio::from(pin))
            .envs(settings.iter().copied());
        command.output().expect("it runs")
    };
    expect(run(plain, "--second-pin-env X", &[("X", "9999")]), 0);
    expect(run(plain, "--second-pin-file pin", &[]), 0);
    expect(run(plain, "--second-pin-fd 0", &[]), 0);
    expect(run(plain, "", &[("COREWARDEN_SECOND_PIN", "9999")]), 0);
    expect(run(&named, "", &[]), 0);
    // The first token's PIN is there, and not tried.
    let all = expect(run(plain, "", &[]), 6);
    assert!(all.contains("a PIN is needed"), "{all}");
    assert!(
        all.contains("the second key's options begin with --second-"),
        "{all}"
    );
    let all = expect(run(plain, "--second-pin-file pin", &[]), 0);
    assert!(!all.contains("a wrong PIN was given before"), "{all}");
    let all = expect(run(plain, "--second-pin-env X", &[("X", "0000")]), 6);
    assert!(all.contains("the PIN is wrong"), "{all}");
}

#[test]
fn a_key_that_asks_each_time_is_refused_by_name_where_the_token_signs_in_one_step() {
    let token = Token::new();
    // SoftHSM makes no EC signature in parts.
    token.generate("EC:prime256v1", "each", "01 --always-auth");
    let all = root(&token, 6, "pkcs11:token=cw;object=each");
    assert!(all.contains("CKA_ALWAYS_AUTHENTICATE"), "{all}");
    assert!(!token.desk.path("root.pem").exists());
    // What the message advises does: another tool signs the hash.
    token.desk.write("hash", [7; 32]);
    token.pkcs11_tool("--sign --id 01 --mechanism ECDSA -i hash -o signature");
}

#[test]
fn the_pin_comes_from_a_variable_a_file_a_descriptor_or_the_uri_names_a_file() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    token.desk.write("pin", "4711\n");
    let key = "pkcs11:token=cw;object=k";
    let named = format!("{key}?pin-source=file:{}", token.desk.path("pin").display());
    let run = |key: &str, more: &str, variable: Option<(&str, &str)>, redirect: bool| {
        let mut command = token.command(&format!("{} {more}", init(&token, key)));
        command.env_remove("COREWARDEN_PIN").envs(variable);
        if redirect {
            command.stdin(fs::File::open(token.desk.path("pin")).expect("there"));
        }
        command.output().expect("it runs")
    };
    let mine = Some(("MY_PIN", PIN));
    expect(run(key, "--pin-env MY_PIN", mine, false), 0);
    expect(run(key, "", Some(("COREWARDEN_PIN", PIN)), false), 0);
    expect(run(key, "--pin-file pin", None, false), 0);
    expect(run(key, "--pin-fd 0", None, true), 0);
    expect(run(&named, "", None, false), 0);
    // The command line is nearer than the URI, and the URI than the environment.
    let wrong = Some(("COREWARDEN_PIN", "0000"));
    expect(run(&named, "", wrong, false), 0);
    let wrong = Some(("MY_PIN", "0000"));
    let wrong = run(&named, "--pin-env MY_PIN", wrong, false);
    assert!(expect(wrong, 6).contains("the PIN is wrong"));
    // No terminal, no PIN.
    let all = expect(run(key, "", None, false), 6);
    assert!(all.contains("a PIN is needed"), "{all}");
    let all = expect(run(key, "--pin-env MY_PIN", None, false), 6);
    assert!(all.contains("MY_PIN is not set"), "{all}");
}

#[test]
fn a_pin_in_the_uri_is_refused_and_never_repeated() {
    let token = Token::new();
    for key in [
        "pkcs11:token=cw;object=k?pin-value=4711",
        "pkcs11:pin-value=4711",
    ] {
        let all = root(&token, 2, key);
        assert!(
            all.contains("the URI holds a PIN") && all.contains("--pin-file"),
            "{all}"
        );
        assert!(!all.contains("4711"), "{all}");
    }
}

#[test]
fn a_wrong_pin_is_called_wrong_and_the_next_try_is_warned_about() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let run = |pin: &str| {
        let mut command = token.command(&init(&token, "pkcs11:token=cw;object=k"));
        command
            .env("COREWARDEN_PIN", pin)
            .output()
            .expect("it runs")
    };
    let first = expect(run("0000"), 6);
    assert!(
        first.contains("pkcs11:token=cw;object=k: the PIN is wrong"),
        "{first}"
    );
    assert!(
        !first.contains("warning") && !first.contains("0000"),
        "{first}"
    );
    assert!(!token.desk.path("root.pem").exists());
    let second = expect(run("0000"), 6);
    assert!(second.contains("warning: token \"cw\""), "{second}");
    assert!(second.contains("a wrong PIN was given before"), "{second}");
    assert!(second.contains("the PIN is wrong"), "{second}");
    // The right one still does, and clears it.
    assert!(expect(run(PIN), 0).contains("warning"));
    assert!(!expect(run(PIN), 0).contains("warning"));
}

#[test]
fn two_keys_of_one_label_are_refused_with_their_ids() {
    let token = Token::new();
    token.generate("EC:prime256v1", "twin", "0a");
    token.generate("EC:secp384r1", "twin", "0b0c");
    let all = root(&token, 6, "pkcs11:token=cw;object=twin");
    assert!(all.contains("the token has 2 keys of this name"), "{all}");
    assert!(
        all.contains("object=twin;id=%0a, object=twin;id=%0b%0c"),
        "{all}"
    );
    // Either is found by what the message says.
    request(&token, 0, "pkcs11:token=cw;object=twin;id=%0a");
    request(&token, 0, "pkcs11:token=cw;object=twin;id=%0b%0c");
}

#[test]
fn a_key_that_is_absent_or_of_another_kind_is_named() {
    let token = Token::new();
    let all = root(&token, 6, "pkcs11:token=cw;object=k");
    assert!(
        all.contains("the token has no such key (the token has no private key)"),
        "{all}"
    );
    token.generate("EC:prime256v1", "other", "01");
    let all = root(&token, 6, "pkcs11:token=cw;object=k");
    assert!(
        all.contains("the token has no such key (it has object=other;id=%01)"),
        "{all}"
    );
    token.generate("rsa:2048", "rsa", "02");
    token.generate("EC:secp256k1", "k1", "03");
    for label in ["rsa", "k1"] {
        let all = root(&token, 6, &format!("pkcs11:token=cw;object={label}"));
        assert!(all.contains("not a P-256, P-384 or Ed25519 key"), "{all}");
    }
}

#[test]
fn a_token_that_is_absent_or_not_alone_is_named() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let all = root(&token, 6, "pkcs11:token=other;object=k");
    assert!(
        all.contains("no such token (there is token \"cw\" with serial "),
        "{all}"
    );
    // The name may be left out where there is only one.
    root(&token, 0, "pkcs11:object=k");
    token.add_token("second");
    let all = root(&token, 6, "pkcs11:object=k");
    assert!(all.contains("2 tokens fit (token "), "{all}");
    assert!(
        all.contains("\"cw\"") && all.contains("\"second\""),
        "{all}"
    );
    // Its serial tells it from the other one.
    let line = all.split("\"cw\" with serial ").nth(1).expect("a serial");
    let serial: String = line.chars().take_while(char::is_ascii_hexdigit).collect();
    root(&token, 0, &format!("pkcs11:serial={serial};object=k"));
}

#[test]
fn a_module_that_is_absent_or_none_is_named() {
    let token = Token::new();
    token.generate("EC:prime256v1", "k", "01");
    let all = root(
        &token,
        6,
        "pkcs11:token=cw;object=k?module-path=/nowhere/m.so",
    );
    assert!(all.contains("/nowhere/m.so: no PKCS#11 module"), "{all}");
    assert!(all.contains("COREWARDEN_PKCS11_MODULE"), "{all}");
    let all = root(
        &token,
        6,
        "pkcs11:token=cw;object=k?module-name=nosuchmodule",
    );
    assert!(
        all.contains("no nosuchmodule.so or libnosuchmodule.so"),
        "{all}"
    );
    // A library, but none of PKCS#11; and no library at all.
    token.desk.write("text.so", "text");
    let text = token.desk.path("text.so").display().to_string();
    let all = root(&token, 6, &format!("pkcs11:object=k?module-path={text}"));
    assert!(
        all.contains("text.so: not a usable PKCS#11 module"),
        "{all}"
    );
    // Named by the URI or found in its usual place.
    root(&token, 0, "pkcs11:token=cw;object=k?module-name=softhsm2");
    root(
        &token,
        0,
        &format!("pkcs11:token=cw;object=k?module-path={MODULE}"),
    );
    let usual = token
        .command(&init(&token, "pkcs11:token=cw;object=k"))
        .env_remove("COREWARDEN_PKCS11_MODULE")
        .output()
        .expect("it runs");
    expect(usual, 0);
}
