/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What clients and Corewarden's TA agree on; normative text: docs/ta-api.md.
 * Made from formats/ta-protocol: do not edit.
 */
#ifndef COREWARDEN_TA_H
#define COREWARDEN_TA_H

#include <stdint.h>

/* 80a4c275-0a47-4905-8285-1486a9771a08 */
#define COREWARDEN_TA_UUID \
	{ 0x80a4c275, 0x0a47, 0x4905, \
	  { 0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08 } }

/* Limits; ta-api.md 2.4, 3.1, 4.1, 4.4, 5.4. */
#define COREWARDEN_TA_API_VERSION 0x10000u
#define COREWARDEN_TA_MAX_SESSIONS 0x10u
#define COREWARDEN_TA_MAX_WHOLE_FILE 0x800000u
#define COREWARDEN_TA_MAX_TAIL 0x10000u
#define COREWARDEN_TA_MAX_CHUNK 0x100000u
#define COREWARDEN_TA_MAX_ROOTS 0x10u
#define COREWARDEN_TA_LOAD_TIMEOUT_MS 0x7530u

/* Commands with the types of their slots; ta-api.md 3, 4. */
/* VALUE_INPUT MEMREF_INPUT NONE NONE */
#define COREWARDEN_TA_CMD_LOAD_FW 0x1u
/* VALUE_INPUT NONE NONE NONE */
#define COREWARDEN_TA_CMD_START_FW 0x2u
/* VALUE_INPUT NONE NONE NONE */
#define COREWARDEN_TA_CMD_STOP_FW 0x3u
/* VALUE_INPUT VALUE_OUTPUT VALUE_OUTPUT NONE */
#define COREWARDEN_TA_CMD_GET_RSC_TABLE 0x4u
/* VALUE_INPUT MEMREF_OUTPUT NONE NONE */
#define COREWARDEN_TA_CMD_GET_COREDUMP 0x5u
/* VALUE_INPUT NONE NONE NONE */
#define COREWARDEN_TA_CMD_RELEASE_FW 0x6u
/* VALUE_OUTPUT VALUE_OUTPUT NONE NONE */
#define COREWARDEN_TA_CMD_VERSION 0x100u
/* MEMREF_OUTPUT NONE NONE NONE */
#define COREWARDEN_TA_CMD_STATE 0x101u
/* VALUE_OUTPUT VALUE_OUTPUT VALUE_OUTPUT NONE */
#define COREWARDEN_TA_CMD_LAST_ERROR 0x102u
/* MEMREF_OUTPUT NONE NONE NONE */
#define COREWARDEN_TA_CMD_TRUSTED_ROOTS 0x103u
/* MEMREF_OUTPUT VALUE_OUTPUT VALUE_OUTPUT NONE */
#define COREWARDEN_TA_CMD_MASTER_TABLE 0x104u
/* VALUE_INPUT MEMREF_INPUT VALUE_OUTPUT VALUE_OUTPUT */
#define COREWARDEN_TA_CMD_LOAD_BEGIN 0x105u
/* VALUE_INPUT MEMREF_INPUT VALUE_OUTPUT VALUE_OUTPUT */
#define COREWARDEN_TA_CMD_LOAD_CONTINUE 0x106u

/* Capability bits; ta-api.md 4.1. */
#define COREWARDEN_TA_CAP_STREAMING_LOAD 0x1u
#define COREWARDEN_TA_CAP_MASTER_TABLE 0x2u
#define COREWARDEN_TA_CAP_ISOLATION_ENFORCED 0x4u
#define COREWARDEN_TA_CAP_TEST_BUILD 0x8u

/* Logins; ta-api.md 2.5. */
#define COREWARDEN_TA_LOGIN_PUBLIC 0x0u
#define COREWARDEN_TA_LOGIN_KERNEL 0x80000000u

/* States of a core; ta-api.md 5.1. */
#define COREWARDEN_TA_CORE_OFF 0x0u
#define COREWARDEN_TA_CORE_LOADING 0x1u
#define COREWARDEN_TA_CORE_LOADED 0x2u
#define COREWARDEN_TA_CORE_STARTING 0x3u
#define COREWARDEN_TA_CORE_RUNNING 0x4u
#define COREWARDEN_TA_CORE_CRASHED 0x5u
#define COREWARDEN_TA_CORE_STOPPING 0x6u

/* What STATE writes; ta-api.md 4.2. Little-endian. */
#define COREWARDEN_TA_STATE_LAYOUT_VERSION 0x1u
#define COREWARDEN_TA_STATE_INSECURE_ISOLATION 0x1u
#define COREWARDEN_TA_STATE_ATTACH_ONLY 0x2u
#define COREWARDEN_TA_STATE_DEVELOPMENT_ROLE 0x4u

struct corewarden_ta_state {
	uint32_t layout_version;
	uint32_t state;
	uint32_t flags;
	uint32_t core;
	uint32_t start_counter;
	uint32_t isolation_generation;
	uint32_t security_version;
	uint8_t display_version_length;
	uint8_t build_id_length;
	uint16_t reserved;
	uint8_t bundle_digest[48];
	uint8_t signer_key_id[32];
	uint8_t display_version[32];
	uint8_t build_id[64];
};

/* What TRUSTED_ROOTS writes: this, then the roots; ta-api.md 4.4. Little-endian. */
struct corewarden_ta_roots {
	uint32_t count;
	uint32_t required_slots;
};

struct corewarden_ta_root {
	uint8_t key_id[32];
	uint16_t algorithm;
	uint8_t slot;
	uint8_t role;
};

/* Statuses, with what their two numbers mean; ta-api.md 6. */
/* the parameters do not fit the command; slot, type or value found */
#define COREWARDEN_TA_BAD_PARAMETERS 0x80000001u
/* the TA does not know this command; command */
#define COREWARDEN_TA_UNSUPPORTED_COMMAND 0x80000002u
/* the platform has no such core; core */
#define COREWARDEN_TA_UNKNOWN_CORE 0x80000003u
/* the session is bound to another core; core named, core of the session */
#define COREWARDEN_TA_WRONG_CORE 0x80000004u
/* the platform does not let this login use the core; login, core */
#define COREWARDEN_TA_LOGIN_NOT_ALLOWED 0x80000005u
/* every session is taken; limit */
#define COREWARDEN_TA_TOO_MANY_SESSIONS 0x80000006u
/* the core is attach-only: the normal world does not control it; core, command */
#define COREWARDEN_TA_ATTACH_ONLY 0x80000007u
/* the core's state does not allow the command; state, command */
#define COREWARDEN_TA_BAD_STATE 0x80000008u
/* the output buffer is too short; bytes needed, bytes given */
#define COREWARDEN_TA_SHORT_BUFFER 0x80000009u
/* the TA's heap is exhausted; bytes asked for */
#define COREWARDEN_TA_OUT_OF_MEMORY 0x8000000au
/* the command has no implementation; command */
#define COREWARDEN_TA_NOT_IMPLEMENTED 0x8000000bu
/* the platform (PTA) answered with an error; PTA command, its return value */
#define COREWARDEN_TA_PLATFORM_FAILED 0x8000000cu
/* the platform file inside the TA is invalid; rule of bundle-format.md, or 0, value found */
#define COREWARDEN_TA_PLATFORM_INVALID 0x8000000du
/* the TA did not load this core, so it knows no resource table of it; core */
#define COREWARDEN_TA_TABLE_UNKNOWN 0x8000000eu
/* another load of this core is under way; core */
#define COREWARDEN_TA_LOAD_IN_PROGRESS 0x8000000fu
/* this session has no load under way; core */
#define COREWARDEN_TA_LOAD_NOT_BEGUN 0x80000010u
/* the load was aborted and everything wiped; core */
#define COREWARDEN_TA_LOAD_ABORTED 0x80000011u
/* the load was given up: no command came in time; milliseconds passed, limit */
#define COREWARDEN_TA_LOAD_TIMED_OUT 0x80000012u
/* not the offset that was asked for; offset asked for, offset given */
#define COREWARDEN_TA_WRONG_OFFSET 0x80000013u
/* not the length that was asked for; length asked for, length given */
#define COREWARDEN_TA_WRONG_LENGTH 0x80000014u
/* another bundle is loaded: release it first; core */
#define COREWARDEN_TA_OTHER_BUNDLE_LOADED 0x80000015u
/* the digest of a chunk does not match; chunk, device address */
#define COREWARDEN_TA_CHUNK_DIGEST 0x80000016u
/* the digest of the bytes outside the segments does not match */
#define COREWARDEN_TA_REST_DIGEST 0x80000017u
/* the file is longer than supported; length, limit */
#define COREWARDEN_TA_FILE_TOO_LARGE 0x80000018u
/* the platform does not isolate the core; core */
#define COREWARDEN_TA_NOT_ISOLATED 0x80000019u
/* the platform's isolation list is malformed; entry, entries */
#define COREWARDEN_TA_ISOLATION_LIST 0x8000001au
/* a private region is missing from the platform's isolation list; physical address, size */
#define COREWARDEN_TA_ISOLATION_REGION_MISSING 0x8000001bu
/* somebody else than the secure world and the core may reach a private region; physical address, access bits */
#define COREWARDEN_TA_ISOLATION_REGION_EXPOSED 0x8000001cu
/* a private region lies in the shared window; physical address, size */
#define COREWARDEN_TA_ISOLATION_REGION_SHARED 0x8000001du
/* a private region is not where the platform file has it; physical address, device address */
#define COREWARDEN_TA_ISOLATION_MISMATCH 0x8000001eu
/* the isolation changed since the load; generation at load, generation now */
#define COREWARDEN_TA_GENERATION_CHANGED 0x8000001fu
/* the file is empty */
#define COREWARDEN_TA_EMPTY_FILE 0x80000020u
/* not a firmware bundle (or stripped after signing?); file length */
#define COREWARDEN_TA_NOT_A_BUNDLE 0x80000021u
/* an ELF without a signed trailer: not a firmware bundle (or stripped after signing?); file length */
#define COREWARDEN_TA_BARE_ELF 0x80000022u
/* signed in sign_rproc_fw's format v1: sign it anew as a firmware bundle */
#define COREWARDEN_TA_LEGACY_FORMAT 0x80000023u
/* a format version that this TA does not know; version */
#define COREWARDEN_TA_FORMAT_VERSION 0x80000024u
/* the footer is malformed; rule of bundle-format.md (706 is 7.6), value found */
#define COREWARDEN_TA_FOOTER_MALFORMED 0x80000025u
/* the trailer is longer than allowed; length, limit */
#define COREWARDEN_TA_TRAILER_TOO_LARGE 0x80000026u
/* a part of the trailer is malformed; rule of bundle-format.md (706 is 7.6), value found */
#define COREWARDEN_TA_TRAILER_MALFORMED 0x80000027u
/* a certificate does not keep to the profile; certificate, rule of bundle-format.md (1109 is 11.9) */
#define COREWARDEN_TA_CERTIFICATE_MALFORMED 0x80000028u
/* the chain ends at no root that this device trusts; slot */
#define COREWARDEN_TA_UNKNOWN_ROOT 0x80000029u
/* a certificate is not signed by the one above it; certificate, slot */
#define COREWARDEN_TA_CHAIN_INVALID 0x8000002au
/* a certificate claims more than the one above it may give; certificate, slot */
#define COREWARDEN_TA_SCOPE_EXCEEDS_PARENT 0x8000002bu
/* a development key signed for a release device; certificate */
#define COREWARDEN_TA_DEVELOPMENT_SIGNER 0x8000002cu
/* a certificate has a critical extension that is not known; certificate, slot */
#define COREWARDEN_TA_CRITICAL_EXTENSION 0x8000002du
/* a required signature slot is missing; slot */
#define COREWARDEN_TA_SLOT_MISSING 0x8000002eu
/* a signature does not verify; slot */
#define COREWARDEN_TA_SIGNATURE_INVALID 0x8000002fu
/* a signature algorithm that is not supported yet; algorithm, slot */
#define COREWARDEN_TA_ALGORITHM_UNSUPPORTED 0x80000030u
/* a second signature slot is not supported yet; slot */
#define COREWARDEN_TA_SLOT_UNSUPPORTED 0x80000031u
/* the manifest is malformed; rule of bundle-format.md (706 is 7.6), value found */
#define COREWARDEN_TA_MANIFEST_MALFORMED 0x80000032u
/* an unknown extension is marked critical; type */
#define COREWARDEN_TA_EXTENSION_UNKNOWN 0x80000033u
/* a reserved extension is not supported yet; type */
#define COREWARDEN_TA_EXTENSION_UNSUPPORTED 0x80000034u
/* the bundle is for another core; core */
#define COREWARDEN_TA_OTHER_CORE 0x80000035u
/* the bundle is for another device class */
#define COREWARDEN_TA_OTHER_DEVICE_CLASS 0x80000036u
/* the signer may not sign for this core; core */
#define COREWARDEN_TA_CORE_NOT_IN_SCOPE 0x80000037u
/* the signer may not sign for this device class */
#define COREWARDEN_TA_DEVICE_CLASS_NOT_IN_SCOPE 0x80000038u
/* the security version is above the signer's ceiling; version, ceiling */
#define COREWARDEN_TA_VERSION_ABOVE_CEILING 0x80000039u
/* the security version is below what this device accepts; version, floor */
#define COREWARDEN_TA_VERSION_BELOW_FLOOR 0x8000003au
/* a segment lies outside the core's private regions; segment, device address */
#define COREWARDEN_TA_SEGMENT_OUTSIDE 0x8000003bu
/* a segment lies in the shared window; segment, device address */
#define COREWARDEN_TA_SEGMENT_IN_SHARED 0x8000003cu
/* two segments overlap; segment, device address */
#define COREWARDEN_TA_SEGMENTS_OVERLAP 0x8000003du
/* a segment is writable and executable; segment, device address */
#define COREWARDEN_TA_SEGMENT_WRITABLE_EXECUTABLE 0x8000003eu
/* the entry point lies in no executable segment; entry */
#define COREWARDEN_TA_ENTRY_OUTSIDE 0x8000003fu
/* the vector table is not where the core begins; vector table, boot address */
#define COREWARDEN_TA_VECTOR_TABLE 0x80000040u
/* the initial stack pointer lies outside the core's private regions; stack pointer */
#define COREWARDEN_TA_INITIAL_STACK 0x80000041u
/* the resource table is cut off; entry, bytes missing */
#define COREWARDEN_TA_TABLE_TRUNCATED 0x80000042u
/* the resource table is longer than allowed; length, limit */
#define COREWARDEN_TA_TABLE_TOO_LARGE 0x80000043u
/* a resource table version that is not known; version */
#define COREWARDEN_TA_TABLE_VERSION 0x80000044u
/* the resource table has more entries, devices or rings than allowed; count, limit */
#define COREWARDEN_TA_TABLE_ENTRIES 0x80000045u
/* a reserved field of the resource table is set; offset, value */
#define COREWARDEN_TA_TABLE_RESERVED 0x80000046u
/* entries of the resource table overlap, are unsorted or unaligned; entry, offset */
#define COREWARDEN_TA_TABLE_ORDER 0x80000047u
/* a resource table entry type is not allowed; entry, type */
#define COREWARDEN_TA_TABLE_ENTRY_TYPE 0x80000048u
/* a name in the resource table is malformed; entry */
#define COREWARDEN_TA_TABLE_NAME 0x80000049u
/* the platform does not allow this virtio device; entry, device id */
#define COREWARDEN_TA_TABLE_VDEV 0x8000004au
/* a virtio device has more vrings than Linux takes; entry, vrings */
#define COREWARDEN_TA_TABLE_VRINGS 0x8000004bu
/* a virtio device's configuration space is longer than allowed; entry, length */
#define COREWARDEN_TA_TABLE_CONFIG 0x8000004cu
/* a vring's size is no bounded power of two; entry, descriptors */
#define COREWARDEN_TA_VRING_GEOMETRY 0x8000004du
/* a vring's alignment is no bounded power of two, or its address does not keep it; entry, alignment or address */
#define COREWARDEN_TA_VRING_ALIGNMENT 0x8000004eu
/* a vring lies outside the vring area of the shared window; entry, device address */
#define COREWARDEN_TA_VRING_OUTSIDE 0x8000004fu
/* two vrings overlap; entry, device address */
#define COREWARDEN_TA_VRING_OVERLAP 0x80000050u
/* the vring area has no space left; entry, bytes needed */
#define COREWARDEN_TA_VRING_NO_SPACE 0x80000051u
/* a notify id is repeated or out of range; entry, notify id */
#define COREWARDEN_TA_NOTIFY_ID 0x80000052u
/* a trace buffer lies outside the trace area of the shared window; entry, device address */
#define COREWARDEN_TA_TRACE_OUTSIDE 0x80000053u
/* two trace buffers overlap, or there is no space left; entry, device address */
#define COREWARDEN_TA_TRACE_OVERLAP 0x80000054u
/* the resource table is not on the table page of the shared window; device address, table page */
#define COREWARDEN_TA_TABLE_NOT_ON_ITS_PAGE 0x80000055u
/* the shared resource table holds what nobody may write there; offset, value */
#define COREWARDEN_TA_TABLE_SHARED 0x80000056u
/* no executable segment begins at the core's boot address; boot address */
#define COREWARDEN_TA_BOOT_ADDRESS 0x80000057u
/* the core begins with a vector table and the bundle names none */
#define COREWARDEN_TA_VECTOR_TABLE_MISSING 0x80000058u
/* the vector table lies in no executable segment; vector table */
#define COREWARDEN_TA_VECTOR_TABLE_OUTSIDE 0x80000059u
/* a chain is not a leaf and its product CA; certificates */
#define COREWARDEN_TA_CHAIN_LENGTH 0x8000005au
/* a signature is not in its canonical form (high s); slot */
#define COREWARDEN_TA_SIGNATURE_HIGH_S 0x8000005bu
/* two signature slots are signed by the same key; slot */
#define COREWARDEN_TA_SLOTS_SHARE_KEY 0x8000005cu

#endif /* COREWARDEN_TA_H */
