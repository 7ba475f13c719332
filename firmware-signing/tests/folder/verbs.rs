//! Every verb, in every place where it takes a file.

use std::ffi::{OsStr, OsString};

/// A place of a command line where a file is named; FILE stands for it.
pub(crate) struct Verb {
    pub(crate) line: &'static str,
    pub(crate) takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Bundle,
    Certificate,
    Device,
    Elf,
    /// A bundle, an ELF and more.
    Image,
    Key,
    /// What OP-TEE's sign_rproc_fw makes.
    Legacy,
    Platform,
    PublicKey,
    Request,
    TrustUpdate,
}

impl Verb {
    /// The command line with the file in it.
    pub(crate) fn with(&self, file: &OsStr) -> Vec<OsString> {
        let words = self.line.split_whitespace();
        words
            .map(|word| {
                if word == "FILE" {
                    file.to_owned()
                } else {
                    word.into()
                }
            })
            .collect()
    }

    /// A file that it takes.
    pub(crate) fn good(&self) -> &'static str {
        match self.takes {
            Takes::Bundle | Takes::Image => "fw.cwfw",
            Takes::Certificate => "dev-root.pem",
            Takes::Device => "device.json",
            Takes::Elf => "fw.elf",
            Takes::Key => "dev-signer.key.pem",
            Takes::Legacy => "fw.sign",
            Takes::Platform => "board.toml",
            Takes::PublicKey => "old.pub",
            Takes::Request => "asked/request.json",
            Takes::TrustUpdate => "fw.cwtu",
        }
    }

    /// Whether it tells what a device would answer to the file.
    pub(crate) fn predicts(&self) -> bool {
        self.takes == Takes::Bundle && self.line.contains("--against")
    }

    /// Whether what it finds, failures among it, is its answer, line by line.
    pub(crate) fn lists(&self) -> bool {
        self.line.starts_with("doctor")
    }

    /// Whether it names images after its files, and refuses names that others could stumble over.
    pub(crate) fn names_images(&self) -> bool {
        self.line.starts_with("prepare FILE")
    }

    /// The exit code for a file that cannot be read as what it should be.
    pub(crate) fn malformed(&self) -> i32 {
        match self.takes {
            Takes::Key | Takes::PublicKey => 6,
            _ => 3,
        }
    }
}

pub(crate) const VERBS: &[Verb] = &[
    Verb {
        line: "attach FILE --key dev-signer.key.pem --root dev-root.pem --out-dir made",
        takes: Takes::Request,
    },
    Verb {
        line: "attach asked/request.json --key FILE --out-dir made",
        takes: Takes::Key,
    },
    Verb {
        line: "attach asked/request.json --key dev-signer.key.pem --root FILE --out-dir made",
        takes: Takes::Certificate,
    },
    Verb {
        line: "convert FILE --from-key old.pub --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert \
               dev-signer.pem --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Legacy,
    },
    Verb {
        line: "convert fw.sign --from-key FILE --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert \
               dev-signer.pem --cert dev-product-ca.pem --security-version 3",
        takes: Takes::PublicKey,
    },
    Verb {
        line: "convert fw.sign --from-key old.pub --out made --platform FILE --core m4 --key dev-signer.key.pem --cert \
               dev-signer.pem --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Platform,
    },
    Verb {
        line: "convert fw.sign --from-key old.pub --out made --platform board.toml --core m4 --key FILE --cert \
               dev-signer.pem --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Key,
    },
    Verb {
        line: "convert fw.sign --from-key old.pub --out made --platform board.toml --core m4 --key dev-signer.key.pem \
               --cert FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "csr --key FILE --name CN=x --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "diff FILE fw.cwfw",
        takes: Takes::Bundle,
    },
    Verb {
        line: "diff fw.cwfw FILE",
        takes: Takes::Bundle,
    },
    Verb {
        line: "doctor --key FILE --cert dev-signer.pem --cert dev-product-ca.pem",
        takes: Takes::Key,
    },
    Verb {
        line: "doctor --key dev-signer.key.pem --cert FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "doctor --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem --root FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "doctor --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "inspect FILE",
        takes: Takes::Image,
    },
    Verb {
        line: "inspect fw.cwfw --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "lint FILE --platform board.toml --core m4",
        takes: Takes::Elf,
    },
    Verb {
        line: "lint fw.elf --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "pki init --key FILE --name CN=x --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki issue --kind leaf --key FILE --issuer dev-product-ca.pem --issuer-key dev-product-ca.key.pem --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki issue --kind leaf --key dev-signer.key.pem --issuer FILE --issuer-key dev-product-ca.key.pem --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Certificate,
    },
    Verb {
        line: "pki issue --kind leaf --key dev-signer.key.pem --issuer dev-product-ca.pem --issuer-key FILE --name CN=x \
               --core 0 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --max-version 9 --out made",
        takes: Takes::Key,
    },
    Verb {
        line: "pki show FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "prepare FILE --out-dir made --platform board.toml --core m4 --cert dev-signer.pem --cert dev-product-ca.pem \
               --security-version 3",
        takes: Takes::Elf,
    },
    Verb {
        line: "prepare fw.elf --out-dir made --platform FILE --core m4 --cert dev-signer.pem --cert dev-product-ca.pem \
               --security-version 3",
        takes: Takes::Platform,
    },
    Verb {
        line: "prepare fw.elf --out-dir made --platform board.toml --core m4 --cert FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "resign FILE --out made --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem",
        takes: Takes::Bundle,
    },
    Verb {
        line: "resign fw.cwfw --out made --key FILE --cert dev-signer.pem --cert dev-product-ca.pem",
        takes: Takes::Key,
    },
    Verb {
        line: "resign fw.cwfw --out made --key dev-signer.key.pem --cert FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "resign fw.cwfw --out made --key dev-signer.key.pem --cert dev-signer.pem --cert dev-product-ca.pem \
               --from-root FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "sign FILE --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem --cert \
               dev-product-ca.pem --security-version 3",
        takes: Takes::Elf,
    },
    Verb {
        line: "sign fw.elf --out made --platform FILE --core m4 --key dev-signer.key.pem --cert dev-signer.pem --cert \
               dev-product-ca.pem --security-version 3",
        takes: Takes::Platform,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key FILE --cert dev-signer.pem --cert \
               dev-product-ca.pem --security-version 3",
        takes: Takes::Key,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert FILE \
               --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem --cert \
               dev-product-ca.pem --root FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "strip FILE --out made",
        takes: Takes::Bundle,
    },
    Verb {
        line: "trust-update inspect FILE",
        takes: Takes::TrustUpdate,
    },
    Verb {
        line: "trust-update inspect fw.cwtu --root FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "trust-update make --out made --list-version 2 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --revoke \
               FILE --root dev-root.pem --root-key dev-root.key.pem",
        takes: Takes::Certificate,
    },
    Verb {
        line: "trust-update make --out made --list-version 2 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --root \
               FILE --root-key dev-root.key.pem",
        takes: Takes::Certificate,
    },
    Verb {
        line: "trust-update make --out made --list-version 2 --device-class 6f1d5e0c-6a0f-4b53-9c7d-2f0c0e5a7b11 --root \
               dev-root.pem --root-key FILE",
        takes: Takes::Key,
    },
    Verb {
        line: "verify FILE --root dev-root.pem",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify FILE --root dev-root.pem --platform board.toml --core m4",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify fw.cwfw --root FILE",
        takes: Takes::Certificate,
    },
    Verb {
        line: "verify fw.cwfw --root dev-root.pem --platform FILE --core m4",
        takes: Takes::Platform,
    },
    Verb {
        line: "verify FILE --root dev-root.pem --against device.json",
        takes: Takes::Bundle,
    },
    Verb {
        line: "verify fw.cwfw --root dev-root.pem --against FILE",
        takes: Takes::Device,
    },
    Verb {
        line: "verify fw.cwfw --root FILE --against device.json",
        takes: Takes::Certificate,
    },
];
