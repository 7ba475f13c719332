/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of the PTA extension; normative text: docs/pta-api.md. Commands of the upstream UUID: remoteproc_pta.h. */
#ifndef COREWARDEN_PTA_H
#define COREWARDEN_PTA_H

#include <stdint.h>

#define COREWARDEN_PTA_UUID { 0xc8a1b0de, 0x6f0e, 0x4d1c, \
		{ 0x9a, 0x52, 0x7b, 0x1f, 0x3e, 0x0a, 0x5c, 0x21 } }

/* [out] params[0].value: a = version, b = bits */
#define COREWARDEN_PTA_VERSION		1
#define COREWARDEN_PTA_VERSION_1_0	0x00010000
#define COREWARDEN_PTA_BIT_COUNTERS	1

/* [in] params[0].value.a: core; [out] params[1].value: a = generation, b = count; [out] params[2].memref: regions */
#define COREWARDEN_PTA_ISOLATE		2

struct corewarden_pta_region {
	uint64_t physical;
	uint64_t device;
	uint64_t size;
	uint32_t access;
	uint32_t reserved;
};

#define COREWARDEN_PTA_ACCESS_SECURE	1
#define COREWARDEN_PTA_ACCESS_CORE	2
#define COREWARDEN_PTA_ACCESS_NORMAL	4
#define COREWARDEN_PTA_ACCESS_MASTERS	8

/*
 * [in]  params[0].value.a: core
 * [out] params[1].value: a = state, b = generation, 0 if never isolated
 * [out] params[2].value: a = starts so far, b = 1 while isolated
 * [out] params[3].memref: the record
 */
#define COREWARDEN_PTA_STATE		3
#define COREWARDEN_PTA_HALTED		0
#define COREWARDEN_PTA_STARTING		1
#define COREWARDEN_PTA_RUNNING		2
#define COREWARDEN_PTA_CRASHED		3
#define COREWARDEN_PTA_STOPPING		4

/* [in] params[0].value.a: core */
#define COREWARDEN_PTA_WIPE		4

/* [in] params[0].value.a: core; [in] params[1].memref: what STATE gives back until OP-TEE restarts */
#define COREWARDEN_PTA_RECORD		5
#define COREWARDEN_PTA_RECORD_SIZE	256

/* PTA_VARIANT_COUNTERS only. [in] params[0].value.a: core; [out] params[1].value, params[2].value: bytes copied, hashed */
#define COREWARDEN_PTA_COUNTERS		0xf000

#endif /* COREWARDEN_PTA_H */
