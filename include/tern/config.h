/* SPDX-License-Identifier: MIT */
/* The node's configuration: what tern.toml and the loader's command line say (hv/config.c). */
#ifndef TERN_CONFIG_H
#define TERN_CONFIG_H

#include <tern/log.h>
#include <tern/toml.h>
#include <tern/types.h>

#define CONFIG_MODULE         "tern.toml" /* the boot module that holds it */
#define CONFIG_NAME_MAX       32u
#define CONFIG_VMS_MAX        16u
#define CONFIG_VM_MODULES     8u
#define CONFIG_VM_FILE_MAX    64u
#define CONFIG_VM_CMDLINE_MAX 512u
#define CONFIG_VM_DISKS       4u
#define CONFIG_VM_NICS        4u
#define CONFIG_NIC_MAX        24u

/* [vm.NAME]: a VM that is made at boot. */
struct config_vm {
	char name[CONFIG_NAME_MAX];
	u64 memory;                      /* bytes; no default */
	u32 vcpus;                       /* default 1 */
	u32 weight;                      /* default 256 */
	u32 cap;                         /* per cent of a CPU for each vCPU; default 0: none */
	char kernel[CONFIG_VM_FILE_MAX]; /* boot module; no default */
	char modules[CONFIG_VM_MODULES][CONFIG_VM_FILE_MAX];
	u32 module_count;
	char cmdline[CONFIG_VM_CMDLINE_MAX];
	char initrd[CONFIG_VM_FILE_MAX]; /* boot module; default "": none */
	/* See struct vm_config. */
	char disks[CONFIG_VM_DISKS][CONFIG_VM_FILE_MAX];
	u32 disk_count;
	char nics[CONFIG_VM_NICS][CONFIG_VM_FILE_MAX];
	u32 nic_count;
	bool log_console; /* default true: lines of its console go to the log */
	bool testdev;     /* default false; see struct vm_config */
	bool autostart;   /* default true */
	u32 line;         /* of the table's header */
};

struct config {
	/* [node] */
	char name[CONFIG_NAME_MAX]; /* default "tern" */
	bool panic_reboot; /* after a panic: restart the machine; default false: stand still */
	/* [console] */
	u16 com_port;  /* I/O port of the shell's 16550; default 0x3f8 */
	u32 com_speed; /* bit/s; default 115200 */
	u32 com_irq;   /* ISA IRQ; default 4; 0: polled */
	bool screen;   /* log on VGA text or framebuffer too; default true */
	/* [log] */
	enum log_level log_level; /* default info */
	/* [fabric], [uplink]: the NIC of that role, as netdev_find() takes it; default "": none */
	char fabric_nic[CONFIG_NIC_MAX];
	char uplink_nic[CONFIG_NIC_MAX];
	/* [boot] is read by ternboot.efi: modules, cmdline */
	/* [vm.NAME], in the order of the file */
	u32 vm_count;
	struct config_vm vms[CONFIG_VMS_MAX];
};

/* What came of reading it. */
enum config_state { CONFIG_NONE, CONFIG_OK, CONFIG_BAD };

/* Fills *c with the defaults. */
void config_defaults(struct config *c);

/* Reads text into *c, which holds the defaults. On error *c holds the defaults again, -TERN_EINVAL,
 * *err filled. Pure. */
MUST_CHECK int config_read(const char *text, size_t len, struct config *c, struct toml_error *err);

/* The command line wins over the file: "console=0x2f8,9600,3" "log=debug" "screen=off".
 * Unknown words are ignored; a known word with a bad value is reported by log_warn. */
void config_apply_cmdline(const char *cmdline, struct config *c);

/* The node's configuration after boot; *err is filled when the state is CONFIG_BAD. */
const struct config *config_get(void);
enum config_state config_state(const struct toml_error **err);
/* Reads module and command line of the boot information; never fails: see config_state(). */
void config_init(void);

#endif
