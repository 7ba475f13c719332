// SPDX-License-Identifier: BSD-2-Clause
/*
 * The platform part of Corewarden for the QEMU test bed.
 *
 * Core 0 is QEMU B. Its private memory is secure RAM, its reset a line of the secure PL061, both by the machine's
 * wiring: the normal world reaches neither, before or after "isolate". Two pseudo-TAs share this state, the one with
 * the upstream commands and our extension; both serve our TA only. Normative text: docs/pta-api.md.
 */
#include <crypto/crypto.h>
#include <drivers/pl061_gpio.h>
#include <initcall.h>
#include <io.h>
#include <kernel/cache_helpers.h>
#include <kernel/delay.h>
#include <kernel/mutex.h>
#include <kernel/pseudo_ta.h>
#include <kernel/user_ta.h>
#include <mm/core_memprot.h>
#include <mm/core_mmu.h>
#include <remoteproc_pta.h>
#include <string.h>
#include <tee_api_defines.h>
#include <tee_api_types.h>
#include <trace.h>
#include <util.h>

#include "corewarden_pta.h"

#define CORE_ID		0

#define PRIVATE_PA	0x0ee00000
#define PRIVATE_DA	0x21000000
#define PRIVATE_SIZE	0x00200000
#define WINDOW_PA	0x80000000
#define WINDOW_DA	0x21200000
#define WINDOW_SIZE	0x00e00000

#define GPIO_PA		0x090b0000
#define GPIO_SIZE	0x1000
#define GPIO_DIR	0x400
#define LINE_RELEASE	3	/* out, 1: the core is out of reset */
#define LINE_RUNNING	4	/* in, 1: the core runs */
#define LINE_FAULT	5	/* in, 1: it died by itself since its release */
#define LINE_ACK	6	/* in, changes: it is in reset, after each "0" on line 3 */

#define LONGEST_WAIT_US	10000

#define VALUE_IN	TEE_PARAM_TYPE_VALUE_INPUT
#define VALUE_OUT	TEE_PARAM_TYPE_VALUE_OUTPUT
#define MEMREF_IN	TEE_PARAM_TYPE_MEMREF_INPUT
#define MEMREF_OUT	TEE_PARAM_TYPE_MEMREF_OUTPUT
#define NONE		TEE_PARAM_TYPE_NONE

struct area {
	uint64_t physical;
	uint64_t device;
	uint64_t size;
	uint32_t access;
	uint8_t *mapped;
};

enum { PRIVATE, WINDOW, AREAS };

register_phys_mem(MEM_AREA_RAM_SEC, PRIVATE_PA, PRIVATE_SIZE);
register_phys_mem(MEM_AREA_RAM_NSEC, WINDOW_PA, WINDOW_SIZE);
register_phys_mem(MEM_AREA_IO_SEC, GPIO_PA, GPIO_SIZE);

static struct area areas[AREAS] = {
	[PRIVATE] = {
		.physical = PRIVATE_PA, .device = PRIVATE_DA,
		.size = PRIVATE_SIZE,
		.access = COREWARDEN_PTA_ACCESS_SECURE |
			  COREWARDEN_PTA_ACCESS_CORE,
	},
	[WINDOW] = {
		.physical = WINDOW_PA, .device = WINDOW_DA,
		.size = WINDOW_SIZE,
		.access = COREWARDEN_PTA_ACCESS_SECURE |
			  COREWARDEN_PTA_ACCESS_CORE |
			  COREWARDEN_PTA_ACCESS_NORMAL |
			  COREWARDEN_PTA_ACCESS_MASTERS,
	},
};

/* The two pseudo-TAs are locked one by one by OP-TEE; this guards what they share. */
static struct mutex lock = MUTEX_INITIALIZER;
static vaddr_t gpio;
/* Reset is asserted and not acknowledged; the level of LINE_ACK before it. */
static bool stopping;
static bool ack_before;
static bool isolated;
static uint32_t starts;
#ifdef PTA_VARIANT_COUNTERS
static uint64_t bytes_copied;
static uint64_t bytes_hashed;
static uint64_t ticks_loading;
static uint64_t ticks_zeroing;

static uint32_t microseconds(uint64_t ticks)
{
	return ticks * 1000000 / read_cntfrq();
}
#endif

/* Bits 9:2 of the data register's address are the mask of the lines touched. */
static void line_set(unsigned int line, bool high)
{
	io_write8(gpio + (BIT(line) << 2), high ? BIT(line) : 0);
}

static bool line_get(unsigned int line)
{
	return io_read8(gpio + (BIT(line) << 2)) & BIT(line);
}

static uint32_t core_state(void)
{
	/* The supervisor raises fault before it lowers running. */
	bool running = line_get(LINE_RUNNING);
	bool fault = line_get(LINE_FAULT);

	if (line_get(LINE_ACK) != ack_before)
		stopping = false;
	if (!line_get(LINE_RELEASE))
		return stopping || running || fault ? COREWARDEN_PTA_STOPPING :
						      COREWARDEN_PTA_HALTED;
	if (fault)
		return COREWARDEN_PTA_CRASHED;
	return running ? COREWARDEN_PTA_RUNNING : COREWARDEN_PTA_STARTING;
}

static bool halted(void)
{
	return core_state() == COREWARDEN_PTA_HALTED;
}

/* The one area that holds all of [device, device + size), or NULL. */
static struct area *area_of(uint64_t device, uint64_t size)
{
	uint64_t end = 0;
	size_t n = 0;

	if (!size || ADD_OVERFLOW(device, size, &end))
		return NULL;
	for (n = 0; n < AREAS; n++)
		if (device >= areas[n].device &&
		    end <= areas[n].device + areas[n].size)
			return areas + n;
	return NULL;
}

static void fill(uint8_t *at, uint8_t byte, size_t size)
{
	memset(at, byte, size);
	dcache_cleaninv_range(at, size);
}

static void wipe(void)
{
	fill(areas[PRIVATE].mapped, 0, areas[PRIVATE].size);
}

static uint64_t pair(const TEE_Param *param)
{
	return reg_pair_to_64(param->value.b, param->value.a);
}

static void set_pair(TEE_Param *param, uint64_t value)
{
	reg_pair_from_64(value, &param->value.b, &param->value.a);
}

/* Every command but VERSION names the core first; pta-api.md 1.4. */
static TEE_Result check(uint32_t types, uint32_t expected,
			const TEE_Param params[TEE_NUM_PARAMS])
{
	if (types != expected)
		return TEE_ERROR_BAD_PARAMETERS;
	if (params[0].value.a != CORE_ID || params[0].value.b)
		return TEE_ERROR_NOT_SUPPORTED;
	return TEE_SUCCESS;
}

static TEE_Result capabilities(TEE_Param params[TEE_NUM_PARAMS])
{
	params[1].value.a = PTA_RPROC_HWCAP_FMT_ELF;
	params[1].value.b = 0;
	params[2].value.a = PTA_RPROC_HWCAP_PROT_HASH_TABLE;
	params[2].value.b = 0;
	return TEE_SUCCESS;
}

static TEE_Result load_segment(TEE_Param params[TEE_NUM_PARAMS])
{
	uint8_t digest[TEE_SHA256_HASH_SIZE] = { };
	size_t size = params[1].memref.size;
	uint64_t device = pair(params + 2);
	struct area *area = NULL;
	TEE_Result res = TEE_SUCCESS;
	uint64_t begin __maybe_unused = 0;
	uint8_t *to = NULL;

	if (!params[3].memref.buffer ||
	    params[3].memref.size != sizeof(digest))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!params[1].memref.buffer || !size)
		return TEE_ERROR_BAD_PARAMETERS;
	area = area_of(device, size);
	if (!area)
		return TEE_ERROR_ACCESS_DENIED;
	if (!halted())
		return TEE_ERROR_BAD_STATE;

	/* Either memref may be the normal world's; pta-api.md 1.6. */
	memcpy(digest, params[3].memref.buffer, sizeof(digest));
	to = area->mapped + (device - area->device);
	begin = barrier_read_counter_timer();
	memcpy(to, params[1].memref.buffer, size);
	dcache_cleaninv_range(to, size);
	/* What the core will see is what is judged; pta-api.md 2.3. */
	res = hash_sha256_check(digest, to, size);
#ifdef PTA_VARIANT_COUNTERS
	ticks_loading += barrier_read_counter_timer() - begin;
	bytes_copied += size;
	bytes_hashed += size;
#endif
	if (res)
		fill(to, 0, size);
	return res;
}

static TEE_Result set_memory(TEE_Param params[TEE_NUM_PARAMS])
{
	uint64_t device = pair(params + 1);
	uint64_t size = pair(params + 2);
	struct area *area = area_of(device, size);
	uint64_t begin __maybe_unused = 0;

	if (params[3].value.a > UINT8_MAX || params[3].value.b)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!area)
		return TEE_ERROR_ACCESS_DENIED;
	if (!halted())
		return TEE_ERROR_BAD_STATE;
	begin = barrier_read_counter_timer();
	fill(area->mapped + (device - area->device), params[3].value.a, size);
#ifdef PTA_VARIANT_COUNTERS
	ticks_zeroing += barrier_read_counter_timer() - begin;
#endif
	return TEE_SUCCESS;
}

static TEE_Result start(void)
{
	/* Halted means that both lines back are low: no old fault is taken for a new one. */
	if (!halted())
		return TEE_ERROR_BAD_STATE;
	starts++;
	dsb();
	line_set(LINE_RELEASE, true);
#ifdef PTA_VARIANT_COUNTERS
	IMSG("counters: copied=%"PRIu64" hashed=%"PRIu64,
	     bytes_copied, bytes_hashed);
#endif
	return TEE_SUCCESS;
}

static TEE_Result stop(void)
{
	uint64_t limit = timeout_init_us(LONGEST_WAIT_US);

	if (halted())
		return TEE_ERROR_BAD_STATE;
	/*
	 * A core that is still starting runs before line 4 is up, so that line
	 * alone does not say that it is gone.
	 */
	if (line_get(LINE_RELEASE)) {
		ack_before = line_get(LINE_ACK);
		stopping = true;
		line_set(LINE_RELEASE, false);
	}
	/* Usually enough; otherwise the caller sees "stopping" and asks again. */
	while (!halted() && !timeout_elapsed(limit))
		;
	return TEE_SUCCESS;
}

static TEE_Result device_to_physical(TEE_Param params[TEE_NUM_PARAMS])
{
	uint64_t device = pair(params + 1);
	struct area *area = area_of(device, pair(params + 2));

	if (!area)
		return TEE_ERROR_ACCESS_DENIED;
	set_pair(params + 3, area->physical + (device - area->device));
	return TEE_SUCCESS;
}

static TEE_Result release(void)
{
	if (!halted())
		return TEE_ERROR_BAD_STATE;
	wipe();
	isolated = false;
	return TEE_SUCCESS;
}

static TEE_Result upstream_command(uint32_t command, uint32_t types,
				   TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_ERROR_NOT_IMPLEMENTED;

	switch (command) {
	case PTA_RPROC_HW_CAPABILITIES:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_OUT,
						   VALUE_OUT, NONE), params);
		return res ? res : capabilities(params);
	case PTA_RPROC_LOAD_SEGMENT_SHA256:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, MEMREF_IN,
						   VALUE_IN, MEMREF_IN),
			    params);
		return res ? res : load_segment(params);
	case PTA_RPROC_SET_MEMORY:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_IN,
						   VALUE_IN, VALUE_IN), params);
		return res ? res : set_memory(params);
	case PTA_RPROC_FIRMWARE_START:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, NONE, NONE, NONE),
			    params);
		return res ? res : start();
	case PTA_RPROC_FIRMWARE_STOP:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, NONE, NONE, NONE),
			    params);
		return res ? res : stop();
	case PTA_RPROC_FIRMWARE_DA_TO_PA:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_IN,
						   VALUE_IN, VALUE_OUT),
			    params);
		return res ? res : device_to_physical(params);
	case PTA_REMOTEPROC_RELEASE:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, NONE, NONE, NONE),
			    params);
		return res ? res : release();
	default:
		return res;
	}
}

static TEE_Result upstream_invoke(void *session __unused, uint32_t command,
				  uint32_t types,
				  TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_SUCCESS;

	mutex_lock(&lock);
	res = upstream_command(command, types, params);
	mutex_unlock(&lock);
	return res;
}

static bool caller_is_our_ta(void)
{
	struct ts_session *session = ts_get_calling_session();
	const TEE_UUID ta = COREWARDEN_PTA_CALLER_UUID;

	return session && is_user_ta_ctx(session->ctx) &&
	       !memcmp(&session->ctx->uuid, &ta, sizeof(ta));
}

static TEE_Result upstream_open(uint32_t types,
				TEE_Param params[TEE_NUM_PARAMS],
				void **session __unused)
{
	if (!caller_is_our_ta())
		return TEE_ERROR_ACCESS_DENIED;
	return check(types, TEE_PARAM_TYPES(VALUE_IN, NONE, NONE, NONE),
		     params);
}

pseudo_ta_register(.uuid = PTA_RPROC_UUID, .name = "remoteproc.pta",
		   .flags = PTA_DEFAULT_FLAGS,
		   .open_session_entry_point = upstream_open,
		   .invoke_command_entry_point = upstream_invoke);

#ifndef PTA_VARIANT_NO_ISOLATION
static uint32_t generation;
static uint8_t record[COREWARDEN_PTA_RECORD_SIZE];
static size_t record_size;

static TEE_Result isolate(TEE_Param params[TEE_NUM_PARAMS])
{
	struct corewarden_pta_region regions[AREAS] = { };
	size_t n = 0;

	if (params[2].memref.size < sizeof(regions) ||
	    !params[2].memref.buffer) {
		params[2].memref.size = sizeof(regions);
		return TEE_ERROR_SHORT_BUFFER;
	}
	for (n = 0; n < AREAS; n++) {
		regions[n].physical = areas[n].physical;
		regions[n].device = areas[n].device;
		regions[n].size = areas[n].size;
		regions[n].access = areas[n].access;
	}
#ifdef PTA_VARIANT_REGION_IN_WINDOW
	regions[PRIVATE].physical = WINDOW_PA + PRIVATE_SIZE;
#endif
	/* The wiring isolates at all times; what changes is for how long the caller may rely on it. */
	if (!isolated) {
		generation++;
		isolated = true;
	}
	memcpy(params[2].memref.buffer, regions, sizeof(regions));
	params[2].memref.size = sizeof(regions);
	params[1].value.a = generation;
	params[1].value.b = AREAS;
	return TEE_SUCCESS;
}

static TEE_Result state(TEE_Param params[TEE_NUM_PARAMS])
{
	if (params[3].memref.size < record_size ||
	    (record_size && !params[3].memref.buffer)) {
		params[3].memref.size = record_size;
		return TEE_ERROR_SHORT_BUFFER;
	}
	params[1].value.a = core_state();
	params[1].value.b = generation;
	params[2].value.a = starts;
	params[2].value.b = isolated;
	if (record_size)
		memcpy(params[3].memref.buffer, record, record_size);
	params[3].memref.size = record_size;
	return TEE_SUCCESS;
}

static TEE_Result keep_record(TEE_Param params[TEE_NUM_PARAMS])
{
	size_t size = params[1].memref.size;

	if (size > sizeof(record) || (size && !params[1].memref.buffer))
		return TEE_ERROR_BAD_PARAMETERS;
	memset(record, 0, sizeof(record));
	if (size)
		memcpy(record, params[1].memref.buffer, size);
	record_size = size;
	return TEE_SUCCESS;
}

static TEE_Result version(uint32_t types, TEE_Param params[TEE_NUM_PARAMS])
{
	if (types != TEE_PARAM_TYPES(VALUE_OUT, NONE, NONE, NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	params[0].value.a = COREWARDEN_PTA_VERSION_1_0;
	params[0].value.b = 0;
#ifdef PTA_VARIANT_COUNTERS
	params[0].value.b |= COREWARDEN_PTA_BIT_COUNTERS;
#endif
	return TEE_SUCCESS;
}

static TEE_Result extension_command(uint32_t command, uint32_t types,
				    TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_ERROR_NOT_SUPPORTED;

	switch (command) {
	case COREWARDEN_PTA_VERSION:
		return version(types, params);
	case COREWARDEN_PTA_ISOLATE:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_OUT,
						   MEMREF_OUT, NONE), params);
		return res ? res : isolate(params);
	case COREWARDEN_PTA_STATE:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_OUT,
						   VALUE_OUT, MEMREF_OUT),
			    params);
		return res ? res : state(params);
	case COREWARDEN_PTA_WIPE:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, NONE, NONE, NONE),
			    params);
		if (res)
			return res;
		if (!halted())
			return TEE_ERROR_BAD_STATE;
		wipe();
		return TEE_SUCCESS;
	case COREWARDEN_PTA_RECORD:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, MEMREF_IN, NONE,
						   NONE), params);
		return res ? res : keep_record(params);
#ifdef PTA_VARIANT_COUNTERS
	case COREWARDEN_PTA_COUNTERS:
		res = check(types, TEE_PARAM_TYPES(VALUE_IN, VALUE_OUT,
						   VALUE_OUT, VALUE_OUT),
			    params);
		if (res)
			return res;
		set_pair(params + 1, bytes_copied);
		set_pair(params + 2, bytes_hashed);
		params[3].value.a = microseconds(ticks_loading);
		params[3].value.b = microseconds(ticks_zeroing);
		return TEE_SUCCESS;
#endif
	default:
		return res;
	}
}

static TEE_Result extension_invoke(void *session __unused, uint32_t command,
				   uint32_t types,
				   TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_SUCCESS;

	mutex_lock(&lock);
	res = extension_command(command, types, params);
	mutex_unlock(&lock);
	return res;
}

static TEE_Result extension_open(uint32_t types,
				 TEE_Param params[TEE_NUM_PARAMS] __unused,
				 void **session __unused)
{
	if (!caller_is_our_ta())
		return TEE_ERROR_ACCESS_DENIED;
	return types ? TEE_ERROR_BAD_PARAMETERS : TEE_SUCCESS;
}

pseudo_ta_register(.uuid = COREWARDEN_PTA_UUID, .name = "corewarden.pta",
		   .flags = PTA_DEFAULT_FLAGS,
		   .open_session_entry_point = extension_open,
		   .invoke_command_entry_point = extension_invoke);
#endif /* PTA_VARIANT_NO_ISOLATION */

static TEE_Result corewarden_init(void)
{
	areas[PRIVATE].mapped = phys_to_virt(PRIVATE_PA, MEM_AREA_RAM_SEC,
					     PRIVATE_SIZE);
	areas[WINDOW].mapped = phys_to_virt(WINDOW_PA, MEM_AREA_RAM_NSEC,
					    WINDOW_SIZE);
	gpio = (vaddr_t)phys_to_virt(GPIO_PA, MEM_AREA_IO_SEC, GPIO_SIZE);
	if (!areas[PRIVATE].mapped || !areas[WINDOW].mapped || !gpio) {
		EMSG("not mapped: private %p window %p gpio %#"PRIxVA,
		     areas[PRIVATE].mapped, areas[WINDOW].mapped, gpio);
		panic();
	}
	/* The level first, then the direction: the line never glitches high. */
	line_set(LINE_RELEASE, false);
	io_setbits8(gpio + GPIO_DIR, BIT(LINE_RELEASE));
	line_set(LINE_RELEASE, false);
	io_clrbits8(gpio + GPIO_DIR,
		    BIT(LINE_RUNNING) | BIT(LINE_FAULT) | BIT(LINE_ACK));
	/* Private memory survives a reset of the board, the old image must not; pta-api.md 3.7. */
	wipe();
	IMSG("core %d held in reset, private memory cleared", CORE_ID);
	return TEE_SUCCESS;
}
driver_init(corewarden_init);
