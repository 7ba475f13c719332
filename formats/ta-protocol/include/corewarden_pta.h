/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Corewarden's TA and a platform's PTA agree on; normative text: docs/pta-api.md.
 * Made from formats/ta-protocol: do not edit.
 */
#ifndef COREWARDEN_PTA_H
#define COREWARDEN_PTA_H

#include <stdint.h>

/* 80a4c275-0a47-4905-8285-1486a9771a08 */
#define COREWARDEN_PTA_CALLER_UUID \
	{ 0x80a4c275, 0x0a47, 0x4905, \
	  { 0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08 } }
/* 54af4a68-19be-40d7-bbe6-8950350a8744 */
#define COREWARDEN_PTA_UPSTREAM_UUID \
	{ 0x54af4a68, 0x19be, 0x40d7, \
	  { 0xbb, 0xe6, 0x89, 0x50, 0x35, 0x0a, 0x87, 0x44 } }
/* c8a1b0de-6f0e-4d1c-9a52-7b1f3e0a5c21 */
#define COREWARDEN_PTA_UUID \
	{ 0xc8a1b0de, 0x6f0e, 0x4d1c, \
	  { 0x9a, 0x52, 0x7b, 0x1f, 0x3e, 0x0a, 0x5c, 0x21 } }

/* Commands of the upstream UUID; pta-api.md 2. */
#define COREWARDEN_PTA_UPSTREAM_HW_CAPABILITIES 0x1u
#define COREWARDEN_PTA_UPSTREAM_FIRMWARE_LOAD 0x2u
#define COREWARDEN_PTA_UPSTREAM_LOAD_SEGMENT_SHA256 0x3u
#define COREWARDEN_PTA_UPSTREAM_SET_MEMORY 0x4u
#define COREWARDEN_PTA_UPSTREAM_FIRMWARE_START 0x5u
#define COREWARDEN_PTA_UPSTREAM_FIRMWARE_STOP 0x6u
#define COREWARDEN_PTA_UPSTREAM_FIRMWARE_DA_TO_PA 0x7u
#define COREWARDEN_PTA_UPSTREAM_VERIFY_DIGEST 0x8u
#define COREWARDEN_PTA_UPSTREAM_RELEASE 0x9u

/* Commands of the extension, with the types of their slots; pta-api.md 3. */
/* VALUE_OUTPUT NONE NONE NONE */
#define COREWARDEN_PTA_VERSION 0x1u
/* VALUE_INPUT VALUE_OUTPUT MEMREF_OUTPUT NONE */
#define COREWARDEN_PTA_ISOLATE 0x2u
/* VALUE_INPUT VALUE_OUTPUT VALUE_OUTPUT MEMREF_OUTPUT */
#define COREWARDEN_PTA_STATE 0x3u
/* VALUE_INPUT NONE NONE NONE */
#define COREWARDEN_PTA_WIPE 0x4u
/* VALUE_INPUT MEMREF_INPUT NONE NONE */
#define COREWARDEN_PTA_RECORD 0x5u
/* VALUE_INPUT VALUE_OUTPUT VALUE_OUTPUT VALUE_OUTPUT */
#define COREWARDEN_PTA_COUNTERS 0xf000u

/* What VERSION answers; pta-api.md 3.1. */
#define COREWARDEN_PTA_VERSION_1_0 0x10000u
#define COREWARDEN_PTA_BIT_COUNTERS 0x1u

/* What STATE answers; pta-api.md 3.3. */
#define COREWARDEN_PTA_HALTED 0x0u
#define COREWARDEN_PTA_STARTING 0x1u
#define COREWARDEN_PTA_RUNNING 0x2u
#define COREWARDEN_PTA_CRASHED 0x3u
#define COREWARDEN_PTA_STOPPING 0x4u

/* What ISOLATE lists; pta-api.md 3.2. Little-endian. */
#define COREWARDEN_PTA_ACCESS_SECURE 0x1u
#define COREWARDEN_PTA_ACCESS_CORE 0x2u
#define COREWARDEN_PTA_ACCESS_NORMAL 0x4u
#define COREWARDEN_PTA_ACCESS_MASTERS 0x8u
#define COREWARDEN_PTA_MAX_REGIONS 0x10u

struct corewarden_pta_region {
	uint64_t physical;
	uint64_t device;
	uint64_t size;
	uint32_t access;
	uint32_t reserved;
};

/* The longest record; pta-api.md 3.5. */
#define COREWARDEN_PTA_RECORD_SIZE 0x100u

#endif /* COREWARDEN_PTA_H */
