/* SPDX-License-Identifier: MIT */
/* Structures of the System Management BIOS that a guest is shown (DMTF DSP0134), packed. */
#ifndef HV_VM_SMBIOS_REGS_H
#define HV_VM_SMBIOS_REGS_H

#include <tern/types.h>

#define SMBIOS_MAJOR 3u
#define SMBIOS_MINOR 1u /* the structures below have the lengths of 3.1 */

/* 5.2.2, SMBIOS 3.0 (64-bit) Entry Point. */
#define SMBIOS_ENTRY_REVISION 1u
struct smbios_entry {
	char anchor[5];
	u8 checksum, length, major, minor, docrev, revision, reserved;
	u32 max_size;
	u64 table;
} PACKED;
_Static_assert(sizeof(struct smbios_entry) == 24, "DSP0134 5.2.2");

/* 6.1.2. Behind each structure come its strings, each with its NUL, and one more NUL; a field that
 * names a string holds its number from 1, or 0. */
struct smbios_header {
	u8 type, length;
	u16 handle;
} PACKED;

enum {
	SMBIOS_BIOS = 0,
	SMBIOS_SYSTEM = 1,
	SMBIOS_CHASSIS = 3,
	SMBIOS_PROCESSOR = 4,
	SMBIOS_MEMORY_ARRAY = 16,
	SMBIOS_MEMORY_DEVICE = 17,
	SMBIOS_MEMORY_RANGE = 19,
	SMBIOS_BOOT = 32,
	SMBIOS_END = 127,
};

#define SMBIOS_NO_CHARACTERISTICS (1ull << 3) /* 7.1.1 */
#define SMBIOS_VIRTUAL_MACHINE    (1u << 4)   /* 7.1.2.2 */
#define SMBIOS_NO_EC              0xffu
struct smbios_bios { /* 7.1 */
	struct smbios_header header;
	u8 vendor, version;
	u16 segment;
	u8 date, rom_size;
	u64 characteristics;
	u8 extension[2];
	u8 major, minor, ec_major, ec_minor;
	u16 rom_size_ext;
} PACKED;
_Static_assert(sizeof(struct smbios_bios) == 0x1a, "DSP0134 7.1");

#define SMBIOS_WAKE_POWER_SWITCH 6u
struct smbios_system { /* 7.2 */
	struct smbios_header header;
	u8 manufacturer, product, version, serial;
	u8 uuid[16]; /* the first three fields little-endian */
	u8 wake_up, sku, family;
} PACKED;
_Static_assert(sizeof(struct smbios_system) == 0x1b, "DSP0134 7.2");

#define SMBIOS_CHASSIS_OTHER 1u
#define SMBIOS_STATE_SAFE    3u
#define SMBIOS_SECURITY_NONE 3u
struct smbios_chassis { /* 7.4 */
	struct smbios_header header;
	u8 manufacturer, type, version, serial, asset;
	u8 boot_state, power_state, thermal_state, security;
	u32 oem;
	u8 height, cords, element_count, element_length, sku;
} PACKED;
_Static_assert(sizeof(struct smbios_chassis) == 0x16, "DSP0134 7.4");

#define SMBIOS_CPU_CENTRAL       3u
#define SMBIOS_CPU_FAMILY_OTHER  1u
#define SMBIOS_CPU_ENABLED       0x41u /* 7.5.4: the socket is populated */
#define SMBIOS_CPU_UPGRADE_OTHER 1u
#define SMBIOS_CPU_NO_CACHE      0xffffu
#define SMBIOS_CPU_64BIT         (1u << 2) /* 7.5.9 */
#define SMBIOS_CPU_MULTI_CORE    (1u << 3)
struct smbios_processor { /* 7.5 */
	struct smbios_header header;
	u8 socket, type, family, manufacturer;
	u64 id;
	u8 version, voltage;
	u16 clock, max_speed, speed;
	u8 status, upgrade;
	u16 l1, l2, l3;
	u8 serial, asset, part, cores, cores_enabled, threads;
	u16 characteristics, family2, cores2, cores_enabled2, threads2;
} PACKED;
_Static_assert(sizeof(struct smbios_processor) == 0x30, "DSP0134 7.5");

#define SMBIOS_LOCATION_OTHER  1u
#define SMBIOS_USE_SYSTEM      3u
#define SMBIOS_ECC_UNKNOWN     2u
#define SMBIOS_ARRAY_EXTENDED  0x80000000u /* KiB: see the field in bytes */
#define SMBIOS_NO_ERROR_HANDLE 0xfffeu
struct smbios_memory_array { /* 7.17 */
	struct smbios_header header;
	u8 location, use, ecc;
	u32 capacity;
	u16 error, device_count;
	u64 capacity_ext;
} PACKED;
_Static_assert(sizeof(struct smbios_memory_array) == 0x17, "DSP0134 7.17");

#define SMBIOS_WIDTH_UNKNOWN   0xffffu
#define SMBIOS_DEVICE_EXTENDED 0x7fffu /* MiB: see the larger field */
#define SMBIOS_FORM_DIMM       9u
#define SMBIOS_MEMORY_RAM      7u
#define SMBIOS_DETAIL_OTHER    (1u << 1)
struct smbios_memory_device { /* 7.18 */
	struct smbios_header header;
	u16 array, error, total_width, data_width, size;
	u8 form, set, locator, bank, type;
	u16 detail, speed;
	u8 manufacturer, serial, asset, part, attributes;
	u32 size_ext;
	u16 configured_speed, voltage_min, voltage_max, voltage;
} PACKED;
_Static_assert(sizeof(struct smbios_memory_device) == 0x28, "DSP0134 7.18");

#define SMBIOS_RANGE_EXTENDED 0xffffffffu /* KiB: see the fields in bytes */
struct smbios_memory_range {              /* 7.20 */
	struct smbios_header header;
	u32 start, end; /* the last KiB of it */
	u16 array;
	u8 width;
	u64 start_ext, end_ext; /* the last byte of it */
} PACKED;
_Static_assert(sizeof(struct smbios_memory_range) == 0x1f, "DSP0134 7.20");

struct smbios_boot { /* 7.33 */
	struct smbios_header header;
	u8 reserved[6];
	u8 status;
} PACKED;
_Static_assert(sizeof(struct smbios_boot) == 0x0b, "DSP0134 7.33");

#endif
