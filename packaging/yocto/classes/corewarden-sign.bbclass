# Signs a firmware ELF in a recipe: `inherit corewarden-sign`, then set what has no default below.
#
# Tried by tests/tests/packaging.rs, which runs the task's functions as BitBake does.

# The ELF, and the bundle made of it, which do_install may then install.
COREWARDEN_SIGN_ELF ?= "${B}/${BPN}.elf"
COREWARDEN_SIGN_OUT ?= "${B}/${BPN}.cwfw"
# The platform file of the machine, and the cores the firmware may run on, with spaces between them.
COREWARDEN_SIGN_PLATFORM ?= ""
COREWARDEN_SIGN_CORES ?= ""
# The version that may never go down on a device, and the one for people.
COREWARDEN_SIGN_SECURITY_VERSION ?= ""
COREWARDEN_SIGN_DISPLAY_VERSION ?= "${PV}"
# A file, a pkcs11: URI or exec:PROGRAM; files of certificates with spaces between them.
COREWARDEN_SIGN_KEY ?= ""
COREWARDEN_SIGN_CERTIFICATES ?= ""
COREWARDEN_SIGN_ROOT ?= ""
# A file whose first line is the passphrase of the key file.
COREWARDEN_SIGN_PASSPHRASE_FILE ?= ""
# Variables that go from the shell which started BitBake to the signer, and nowhere else: neither into a hash nor into the
# scripts and logs of the build. BB_ENV_PASSTHROUGH_ADDITIONS is not needed for them.
COREWARDEN_SIGN_ENVIRONMENT ?= "COREWARDEN_PIN PKCS11_MODULE_PATH SOFTHSM2_CONF"
# Held while signing, by all recipes of this build: most tokens serve one session.
COREWARDEN_SIGN_LOCK ?= "${TMPDIR}/corewarden-sign.lock"

DEPENDS += "corewarden-sign-native"

# The content of these files is part of the task's hash, so that a changed key or certificate signs anew. What is no file
# is left alone: its text is part of the hash as it stands.
def corewarden_sign_files(d):
    import os
    files = []
    for name in ("KEY", "CERTIFICATES", "ROOT", "PLATFORM"):
        for value in (d.getVar("COREWARDEN_SIGN_" + name) or "").split():
            if not value.startswith(("pkcs11:", "exec:")):
                files.append(value + ":" + str(os.path.exists(value)))
    return " ".join(files)

# BitBake empties the environment of tasks; this takes what the signer needs from where BitBake was started.
python corewarden_sign_environment() {
    import os
    original = d.getVar("BB_ORIGENV", False)
    for name in (d.getVar("COREWARDEN_SIGN_ENVIRONMENT") or "").split():
        value = original.getVar(name, False)
        if value is not None:
            os.environ[name] = value
}

do_sign() {
    set -- "${COREWARDEN_SIGN_ELF}" --out "${COREWARDEN_SIGN_OUT}" --force
    set -- "$@" --platform "${COREWARDEN_SIGN_PLATFORM}" --key "${COREWARDEN_SIGN_KEY}" --root "${COREWARDEN_SIGN_ROOT}"
    set -- "$@" --security-version "${COREWARDEN_SIGN_SECURITY_VERSION}"
    set -- "$@" --display-version "${COREWARDEN_SIGN_DISPLAY_VERSION}"
    for core in ${COREWARDEN_SIGN_CORES}; do set -- "$@" --core "$core"; done
    for certificate in ${COREWARDEN_SIGN_CERTIFICATES}; do set -- "$@" --cert "$certificate"; done
    if [ -n "${COREWARDEN_SIGN_PASSPHRASE_FILE}" ]; then
        set -- "$@" --passphrase-file "${COREWARDEN_SIGN_PASSPHRASE_FILE}"
    fi
    corewarden-sign sign "$@"
}

do_sign[prefuncs] += "corewarden_sign_environment"
do_sign[file-checksums] += "${@corewarden_sign_files(d)}"
do_sign[lockfiles] += "${COREWARDEN_SIGN_LOCK}"
# Where the secret lies does not change what is signed.
do_sign[vardepsexclude] += "COREWARDEN_SIGN_PASSPHRASE_FILE COREWARDEN_SIGN_ENVIRONMENT COREWARDEN_SIGN_LOCK"

addtask sign after do_compile before do_install
