/* SPDX-License-Identifier: MIT */
/*
 * The SMBIOS tables of a VM (DMTF DSP0134). Only the 64-bit entry point is there: Linux looks for it first,
 * and the older one could not tell more.
 */
#include "smbios_guest.h"

#include "layout_guest.h"
#include "loader.h"
#include "smbios_regs.h"

#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define TABLE (GUEST_SMBIOS + 0x20) /* behind the entry point */
#define MAKER "Tern"
#define DATE  "01/01/2026" /* of the BIOS that is not there; some kernels distrust one without */

_Static_assert(sizeof(struct smbios_entry) <= TABLE - GUEST_SMBIOS, "they overlap");

struct table {
	struct loader l;
	u64 at; /* where the next structure goes */
	u16 handle;
};

static int append(struct table *t, const void *src, u64 len)
{
	int rc;

	if (len > GUEST_SMBIOS + GUEST_SMBIOS_LEN - t->at)
		return loader_refuse(&t->l, "its SMBIOS tables do not fit their %llu bytes",
				     (unsigned long long)GUEST_SMBIOS_LEN);
	rc = loader_copy(&t->l, t->at, src, len);
	t->at += len;
	return rc;
}

/* Appends a structure of h->length bytes and its strings, which end with NULL; gives it a handle. */
static int add(struct table *t, u8 type, size_t length, struct smbios_header *h,
	       const char *const *strings)
{
	const bool none = strings[0] == NULL;
	int rc;

	*h = (struct smbios_header){.type = type, .length = (u8)length, .handle = t->handle++};
	rc = append(t, h, length);
	for (; rc == 0 && *strings != NULL; strings++)
		rc = append(t, *strings, strlen(*strings) + 1);
	return rc != 0 ? rc : append(t, "\0", none ? 2 : 1);
}

static const char *const no_strings[] = {NULL};

static int add_bios(struct table *t, const struct smbios_guest_config *c)
{
	const char *const strings[] = {MAKER, c->version, DATE, NULL};
	struct smbios_bios s = {
		.vendor = 1,
		.version = 2,
		.date = 3,
		.segment = GUEST_SMBIOS >> 4,
		.characteristics = SMBIOS_NO_CHARACTERISTICS,
		.extension = {0, SMBIOS_VIRTUAL_MACHINE},
		.ec_major = SMBIOS_NO_EC,
		.ec_minor = SMBIOS_NO_EC,
	};

	return add(t, SMBIOS_BIOS, sizeof(s), &s.header, strings);
}

static int add_system(struct table *t, const struct smbios_guest_config *c)
{
	/* The fields of a UUID, as its text has them, are big-endian (RFC 4122); three are not here. */
	static const u8 order[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	const bool serial = c->serial[0] != '\0';
	const char *const strings[] = {MAKER, "Tern VM", c->version, serial ? c->serial : NULL,
				       NULL};
	struct smbios_system s = {
		.manufacturer = 1,
		.product = 2,
		.version = 3,
		.serial = serial ? 4 : 0,
		.wake_up = SMBIOS_WAKE_POWER_SWITCH,
	};

	for (u32 i = 0; i < sizeof(s.uuid); i++)
		s.uuid[i] = c->uuid[order[i]];
	return add(t, SMBIOS_SYSTEM, sizeof(s), &s.header, strings);
}

static int add_chassis(struct table *t)
{
	const char *const strings[] = {MAKER, NULL};
	struct smbios_chassis s = {
		.manufacturer = 1,
		.type = SMBIOS_CHASSIS_OTHER,
		.boot_state = SMBIOS_STATE_SAFE,
		.power_state = SMBIOS_STATE_SAFE,
		.thermal_state = SMBIOS_STATE_SAFE,
		.security = SMBIOS_SECURITY_NONE,
	};

	return add(t, SMBIOS_CHASSIS, sizeof(s), &s.header, strings);
}

static int add_processor(struct table *t, u32 socket, u32 cores)
{
	char name[16];
	const char *const strings[] = {name, MAKER, NULL};
	struct smbios_processor s = {
		.socket = 1,
		.manufacturer = 2,
		.type = SMBIOS_CPU_CENTRAL,
		.family = SMBIOS_CPU_FAMILY_OTHER,
		.status = SMBIOS_CPU_ENABLED,
		.upgrade = SMBIOS_CPU_UPGRADE_OTHER,
		.l1 = SMBIOS_CPU_NO_CACHE,
		.l2 = SMBIOS_CPU_NO_CACHE,
		.l3 = SMBIOS_CPU_NO_CACHE,
		.cores = (u8)cores,
		.cores_enabled = (u8)cores,
		.threads = (u8)cores,
		.characteristics = SMBIOS_CPU_64BIT | (cores > 1 ? SMBIOS_CPU_MULTI_CORE : 0),
		.family2 = SMBIOS_CPU_FAMILY_OTHER,
		.cores2 = (u16)cores,
		.cores_enabled2 = (u16)cores,
		.threads2 = (u16)cores,
	};

	fmt_str(name, sizeof(name), "CPU %u", socket);
	return add(t, SMBIOS_PROCESSOR, sizeof(s), &s.header, strings);
}

/* The end of RAM below 4 GiB and of all RAM; the hole of a PC below 1 MiB counts as installed. */
static void memory_ends(const struct gmem *mem, u64 *low, u64 *high)
{
	*low = *high = 0;
	for (u32 i = 0; i < mem->region_count; i++) {
		const struct gmem_region *r = &mem->regions[i];

		if (r->kind != GMEM_RAM)
			continue;
		*high = max_u64(*high, r->base.v + r->len);
		if (r->base.v < GUEST_ABOVE)
			*low = max_u64(*low, r->base.v + r->len);
	}
}

static int add_range(struct table *t, u16 array, u64 start, u64 end)
{
	const bool wide = end >> 10 >= SMBIOS_RANGE_EXTENDED;
	struct smbios_memory_range s = {
		.start = wide ? SMBIOS_RANGE_EXTENDED : (u32)(start >> 10),
		.end = wide ? SMBIOS_RANGE_EXTENDED : (u32)((end - 1) >> 10),
		.array = array,
		.width = 1,
		.start_ext = wide ? start : 0,
		.end_ext = wide ? end - 1 : 0,
	};

	return add(t, SMBIOS_MEMORY_RANGE, sizeof(s), &s.header, no_strings);
}

/* One array with one device, which is mapped below the devices' hole and above it. */
static int add_memory(struct table *t)
{
	const char *const strings[] = {"DIMM 0", MAKER, NULL};
	u16 array = t->handle;
	u64 low, high, size;
	int rc;

	memory_ends(t->l.mem, &low, &high);
	size = high > GUEST_ABOVE ? low + (high - GUEST_ABOVE) : low;
	struct smbios_memory_array a = {
		.location = SMBIOS_LOCATION_OTHER,
		.use = SMBIOS_USE_SYSTEM,
		.ecc = SMBIOS_ECC_UNKNOWN,
		.capacity = size >> 10 < SMBIOS_ARRAY_EXTENDED ? (u32)(size >> 10)
							       : SMBIOS_ARRAY_EXTENDED,
		.error = SMBIOS_NO_ERROR_HANDLE,
		.device_count = 1,
		.capacity_ext = size >> 10 < SMBIOS_ARRAY_EXTENDED ? 0 : size,
	};
	struct smbios_memory_device d = {
		.array = array,
		.error = SMBIOS_NO_ERROR_HANDLE,
		.total_width = SMBIOS_WIDTH_UNKNOWN,
		.data_width = SMBIOS_WIDTH_UNKNOWN,
		.size = size >> 20 < SMBIOS_DEVICE_EXTENDED ? (u16)(size >> 20)
							    : SMBIOS_DEVICE_EXTENDED,
		.form = SMBIOS_FORM_DIMM,
		.locator = 1,
		.type = SMBIOS_MEMORY_RAM,
		.detail = SMBIOS_DETAIL_OTHER,
		.manufacturer = 2,
		.size_ext = size >> 20 < SMBIOS_DEVICE_EXTENDED ? 0 : (u32)(size >> 20),
	};

	rc = add(t, SMBIOS_MEMORY_ARRAY, sizeof(a), &a.header, no_strings);
	if (rc == 0)
		rc = add(t, SMBIOS_MEMORY_DEVICE, sizeof(d), &d.header, strings);
	if (rc == 0)
		rc = add_range(t, array, 0, low);
	if (rc == 0 && high > GUEST_ABOVE)
		rc = add_range(t, array, GUEST_ABOVE, high);
	return rc;
}

static int add_end(struct table *t)
{
	struct smbios_boot boot = {.status = 0}; /* no errors */
	struct smbios_header end;
	int rc = add(t, SMBIOS_BOOT, sizeof(boot), &boot.header, no_strings);

	return rc != 0 ? rc : add(t, SMBIOS_END, sizeof(end), &end, no_strings);
}

static int load_entry(const struct table *t)
{
	struct smbios_entry e = {
		.length = sizeof(e),
		.major = SMBIOS_MAJOR,
		.minor = SMBIOS_MINOR,
		.revision = SMBIOS_ENTRY_REVISION,
		.max_size = (u32)(t->at - TABLE),
		.table = TABLE,
	};
	const u8 *p = (const u8 *)&e;
	u8 sum = 0;

	memcpy(e.anchor, "_SM3_", sizeof(e.anchor));
	for (u32 i = 0; i < sizeof(e); i++)
		sum = (u8)(sum + p[i]);
	e.checksum = (u8)-sum;
	return loader_copy(&t->l, GUEST_SMBIOS, &e, sizeof(e));
}

int smbios_guest_load(struct gmem *mem, const struct smbios_guest_config *c, char *why,
		      size_t why_size)
{
	struct table t = {.l = {mem, why, why_size}, .at = TABLE};
	int rc;

	ASSERT(c->vcpus >= 1 && c->vcpus <= VCPUS_PER_VM_MAX);
	ASSERT(c->sockets >= 1 && c->vcpus % c->sockets == 0);
	rc = add_bios(&t, c);
	if (rc == 0)
		rc = add_system(&t, c);
	if (rc == 0)
		rc = add_chassis(&t);
	for (u32 i = 0; rc == 0 && i < c->sockets; i++)
		rc = add_processor(&t, i, c->vcpus / c->sockets);
	if (rc == 0)
		rc = add_memory(&t);
	if (rc == 0)
		rc = add_end(&t);
	return rc != 0 ? rc : load_entry(&t);
}
