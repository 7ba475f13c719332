# corewarden-sign for the machine that builds, out of the tar.gz that `cargo xtask dist` makes on such a machine.
#
# Tried by tests/tests/packaging.rs, which runs its functions as BitBake does.

SUMMARY = "Signs firmware for coprocessors"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "file://share/doc/corewarden-sign/LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 file://share/doc/corewarden-sign/LICENSE-MIT;md5=3dbb10c6b9394adad21c04326f54d4fb"

# Where the tar.gz is, without a default because nobody publishes it: a file:// or https:// address, and its SHA-256.
COREWARDEN_SIGN_TAR ?= ""
COREWARDEN_SIGN_TAR_SHA256 ?= ""
SRC_URI = "${COREWARDEN_SIGN_TAR}"
SRC_URI[sha256sum] = "${COREWARDEN_SIGN_TAR_SHA256}"
# Up to scarthgap archives are unpacked into WORKDIR, since then into UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}/corewarden-sign-${PV}"

inherit native

do_configure[noexec] = "1"
# The program was compiled and stripped when the tar.gz was made. Here it is asked whether this machine can run it.
do_compile() {
    "${S}/bin/corewarden-sign" --version
}

do_install() {
    install -d "${D}${bindir}" "${D}${mandir}/man1"
    install -m 0755 "${S}/bin/corewarden-sign" "${D}${bindir}/corewarden-sign"
    install -m 0644 "${S}"/share/man/man1/*.1 "${D}${mandir}/man1/"
}

# It is stripped already.
INHIBIT_SYSROOT_STRIP = "1"
