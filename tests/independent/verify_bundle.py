#!/usr/bin/env python3
"""Reads and verifies a firmware bundle by docs/bundle-format.md alone: no code of Corewarden's is used here.

usage: verify_bundle.py ROOT.der[,ROOT-OF-SLOT-1.der] BUNDLE...

Prints a line of JSON for each bundle: what its manifest says, or which rule it breaks (exit code 1). The numbers in brackets are rules of the text. Platform and device (section 12)
are not its business. Needs python3-cryptography.
"""

import hashlib
import json
import sys
import uuid

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

CHUNK = 1 << 20
ORDERS = {  # FIPS 186-4 D.1.2
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
ALGORITHMS = {1: ("secp256r1", hashes.SHA256(), 32), 2: ("secp384r1", hashes.SHA384(), 48), 3: ("ed25519", None, 32)}
MALFORMED = (
    KeyError,
    TypeError,
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
)
SCOPE, PURPOSE = "1.3.6.1.4.1.32473.1.1", "1.3.6.1.4.1.32473.1.2"


class Refused(Exception):
    """The bundle breaks the rule that this names."""


def need(holds, rule):
    if not holds:
        raise Refused(rule)


def number(data, at, size):
    need(at + size <= len(data), "1.9")
    return int.from_bytes(data[at : at + size], "little")


def zero(data, rule):
    need(not any(data), rule)


def padded(size):
    return -(-size // 16) * 16


def split(file):
    """The ELF part, manifest, certificates, signatures and footer (1, 2)."""
    footer = file[-64:]
    need(len(footer) == 64 and footer[60:] == b"CWFW", "1.12")
    need(number(footer, 56, 2) == 1, "2.2")
    zero(footer[20:56] + footer[58:60], "2.3")
    elf = number(footer, 0, 8)
    sizes = [number(footer, at, 4) for at in (8, 12, 16)]
    need(1 <= elf <= 134217728 and all(size > 0 and size % 16 == 0 for size in sizes), "1.8")
    start = padded(elf)
    need(start + sum(sizes) + 64 == len(file), "1.9")
    zero(file[elf:start], "1.10")
    parts = []
    for size in sizes:
        parts.append(file[start : start + size])
        start += size
    return elf, *parts, footer


def slots(part):
    """Slot number, algorithm and certificates of each slot (3)."""
    count = number(part, 0, 2)
    need(1 <= count <= 2, "3.2")
    zero(part[2:16], "3.3")
    at, found = 16, []
    for _ in range(count):
        need(at + 16 <= len(part), "1.9")
        slot, algorithm = part[at], number(part, at + 2, 2)
        zero(part[at + 1 : at + 2], "3.3")
        sizes = [number(part, at + 4 + 4 * index, 4) for index in range(3)]
        present = [size for size in sizes if size]
        need(present and sizes[: len(present)] == present, "3.8")
        need(sum(present) <= 16384, "3.9")
        need(algorithm in ALGORITHMS, "3.6")
        at += 16
        chain = []
        for size in present:
            need(at + padded(size) <= len(part), "1.9")
            chain.append(part[at : at + size])
            zero(part[at + size : at + padded(size)], "1.10")
            at += padded(size)
        found.append((slot, algorithm, chain))
    need([slot for slot, _, _ in found] in ([0], [1], [0, 1]), "3.4")
    need(at == len(part), "1.9")
    return found


def check(key, algorithm, signature, message, rule):
    """Whether a signature of ours, r then s or Ed25519's own form, holds (3.6, 4)."""
    curve, digest, half = ALGORITHMS[algorithm]
    try:
        if digest is None:
            need(isinstance(key, ed25519.Ed25519PublicKey), "4.5")
            key.verify(signature, message)
            return
        need(isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve, "4.5")
        r, s = (int.from_bytes(one, "big") for one in (signature[:half], signature[half:]))
        need(s <= ORDERS[curve] // 2, "4.4")
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest))
    except InvalidSignature:
        raise Refused(rule) from None


def issued(certificate, issuer):
    """Whether the issuer signed the certificate (11.3)."""
    need(certificate.issuer.public_bytes() == issuer.subject.public_bytes(), "11.3")
    key, body = issuer.public_key(), certificate.tbs_certificate_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(certificate.signature, body)
        else:
            key.verify(certificate.signature, body, ec.ECDSA(certificate.signature_hash_algorithm))
    except InvalidSignature:
        raise Refused("11.3") from None


def chain(ders, root):
    """The leaf of a chain that ends at the root (11)."""
    need(len(ders) == 2 and all(len(der) <= 4096 for der in ders), "11.1")
    try:
        leaf, ca = (x509.load_der_x509_certificate(der) for der in ders)
        issued(leaf, ca)
        issued(ca, root)
        for one, is_ca in ((leaf, False), (ca, True)):
            extension = one.extensions
            basic = extension.get_extension_for_class(x509.BasicConstraints)
            need(basic.critical and basic.value.ca == is_ca, "11.9")
            usage = extension.get_extension_for_class(x509.KeyUsage)
            need(usage.critical and usage.value.key_cert_sign == is_ca, "11.10")
            need(usage.value.digital_signature != is_ca, "11.10")
            scope = extension.get_extension_for_oid(x509.ObjectIdentifier(SCOPE))
            need(scope.critical, "11.7")
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        need(PURPOSE in [purpose.dotted_string for purpose in purposes.value], "11.11")
    except MALFORMED as error:
        raise Refused(f"11.4 ({error})") from None
    return leaf


def manifest(data):
    """What the manifest says, and what its digests cover (5 to 9)."""
    need(number(data, 0, 2) == 1, "5.2")
    flags = number(data, 2, 2)
    need(flags <= 1, "5.3")
    cores, segments, extensions = (number(data, at, 2) for at in (4, 6, 8))
    zero(data[60:64], "5.4")
    need(1 <= cores <= 16 and 1 <= segments <= 32 and extensions <= 32, "5.1")
    table = number(data, 56, 4)
    need(table <= 3584, "8.1")
    said = {
        "security_version": number(data, 12, 4),
        "device_class": str(uuid.UUID(bytes=data[16:32])),
        "entry": number(data, 32, 8),
        "vector_table": number(data, 40, 8) if flags else None,
        "display_version": data[96 : 96 + data[10]].decode(),
        "build_id": data[128 : 128 + data[11]].hex(),
        "cores": [number(data, 192 + 4 * index, 4) for index in range(cores)],
        "segments": [],
    }
    at = 192 + padded(4 * cores)
    for _ in range(segments):
        fields = [number(data, at + offset, 8) for offset in (0, 8, 16, 24)]
        said["segments"].append(dict(zip(("address", "memory_size", "file_offset", "file_size"), fields)))
        zero(data[at + 36 : at + 48], "7.2")
        at += 48
    addresses = [one["address"] for one in said["segments"]]
    need(addresses == sorted(set(addresses)), "7.5")
    chunks = []
    for one in said["segments"]:
        need(1 <= one["memory_size"] >= one["file_size"], "7.3")
        end = one["file_offset"] + one["file_size"]
        for start in range(one["file_offset"], end, CHUNK):
            chunks.append((start, min(start + CHUNK, end), data[at : at + 32]))
            at += 32
    need(at + padded(table) <= len(data), "1.9")
    said["resource_table"] = data[at : at + table].hex()
    at += padded(table)
    for _ in range(extensions):
        size = number(data, at + 8, 4)
        need(at + 16 + padded(size) <= len(data), "1.9")
        at += 16 + padded(size)
    need(at == len(data), "1.9")
    return said, chunks, data[64:96]


def digests(file, end, chunks, rest_digest):
    """Whether every byte in front of the manifest is what was signed (10)."""
    rest, position = hashlib.sha256(), 0
    for start, stop, digest in sorted(chunks):
        need(position <= start, "7.8")
        rest.update(file[position:start])
        need(hashlib.sha256(file[start:stop]).digest() == digest, "10.3")
        position = stop
    rest.update(file[position:end])
    need(rest.digest() == rest_digest, "10.2")


def verify(file, roots):
    elf, said_part, certificates, signatures, footer = split(file)
    digest = hashlib.sha384(footer + said_part + certificates).digest()
    message = b"corewarden.cwfw1" + digest
    at, signers = 0, []
    for slot, algorithm, ders in slots(certificates):
        need(slot < len(roots), "11.3 (no root for this slot)")
        leaf = chain(ders, roots[slot])
        size = 2 * ALGORITHMS[algorithm][2]
        check(leaf.public_key(), algorithm, signatures[at : at + size], message, f"4.3 (slot {slot})")
        at += size
        signers.append({"slot": slot, "algorithm": algorithm, "signer": leaf.subject.rfc4514_string()})
    zero(signatures[at:], "1.10")
    need(padded(at) == len(signatures), "1.9")
    said, chunks, rest = manifest(said_part)
    digests(file, padded(elf), chunks, rest)
    return {"digest": digest.hex(), **said, "signers": signers}


def main():
    roots, code = [], 0
    for path in sys.argv[1].split(","):
        with open(path, "rb") as file:
            roots.append(x509.load_der_x509_certificate(file.read()))
    for path in sys.argv[2:]:
        with open(path, "rb") as file:
            bundle = file.read()
        try:
            answer = verify(bundle, roots)
        except Refused as refused:
            answer, code = {"refused": str(refused)}, 1
        print(json.dumps({"file": path, **answer}))
    sys.exit(code)


if __name__ == "__main__":
    main()
