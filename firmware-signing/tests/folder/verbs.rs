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
    Platform,
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
            Takes::Platform => "board.toml",
        }
    }

    /// Whether it tells what a device would answer to the file.
    pub(crate) fn predicts(&self) -> bool {
        self.takes == Takes::Bundle && self.line.contains("--against")
    }

    /// The exit code for a file that cannot be read as what it should be.
    pub(crate) fn malformed(&self) -> i32 {
        if self.takes == Takes::Key { 6 } else { 3 }
    }
}

pub(crate) const VERBS: &[Verb] = &[
    Verb {
        line: "csr --key FILE --name CN=x --out made",
        takes: Takes::Key,
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
        line: "sign FILE --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Elf,
    },
    Verb {
        line: "sign fw.elf --out made --platform FILE --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --security-version 3",
        takes: Takes::Platform,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key FILE --cert dev-signer.pem --cert dev-product-ca.pem \
               --security-version 3",
        takes: Takes::Key,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert FILE --security-version 3",
        takes: Takes::Certificate,
    },
    Verb {
        line: "sign fw.elf --out made --platform board.toml --core m4 --key dev-signer.key.pem --cert dev-signer.pem \
               --cert dev-product-ca.pem --root FILE --security-version 3",
        takes: Takes::Certificate,
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
