/* SPDX-License-Identifier: MIT */
/*
 * ternboot.efi: loads tern.elf and its modules from the volume it was started from, or from what
 * iPXE fetched, and enters Tern's 64-bit entry. docs/boot.md tells the contract.
 */
#include <abi/boot_info.h>
#include <boot/efi/boot_fill.h>
#include <boot/efi/boot_cfg.h>
#include <boot/efi/elf_load.h>
#include <boot/efi/fw.h>
#include <boot/efi/machine.h>
#include <tern/layout.h>
#include <tern/lib.h>
#include <tern/toml.h>

#define IMAGE_FILE  "tern.elf"
#define CONFIG_FILE "tern.toml"
#define BOOT_FILE   "boot.cfg"

#define WAIT_SECONDS 10u

typedef void __attribute__((sysv_abi)) entry64_fn(u64 boot_info, u64 magic);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static struct boot_cfg cfg;

/* So that the firmware of the next boot is less likely to put something over the log. */
static void keep_log_pages(void)
{
	EFI_PHYSICAL_ADDRESS at = LAYOUT_LOG_PHYS;

	fw_st->BootServices->AllocatePages(AllocateAddress, EfiLoaderData,
					   LAYOUT_LOG_SIZE >> PAGE_SHIFT, &at);
}

static void say_loaded(const char *what, const char *name, u64 len)
{
	char size[16];

	fw_say("%s%s %s", what, name, fmt_size(size, sizeof(size), len));
}

/* Puts the image at a place of its own; *base and *entry are physical addresses. */
static EFI_STATUS load_image(struct boot_info *bi, u64 *entry)
{
	struct fw_file file;
	struct elf_load elf;
	EFI_STATUS status;
	char why[160];
	u64 base;

	status = fw_load_file(IMAGE_FILE, &file);
	if (status == EFI_NOT_FOUND)
		fw_say(IMAGE_FILE
		       ": not found, neither in \\tern nor in the root of the volume the "
		       "loader came from; copy it there, or have iPXE fetch it before "
		       "ternboot.efi is started");
	if (EFI_ERROR(status))
		return status;
	say_loaded("", IMAGE_FILE, file.len);
	if (elf_load_check(file.data, file.len, &elf, why, sizeof(why)) != 0) {
		fw_say(IMAGE_FILE ": %s; copy it again from the build", why);
		return EFI_LOAD_ERROR;
	}
	/* Code: firmware that keeps data from being executed must let Tern run. */
	status = fw_alloc(EfiLoaderCode, elf.image_size, ELF_LOAD_ALIGN, FW_BELOW_4G, &base);
	if (EFI_ERROR(status)) {
		fw_say(IMAGE_FILE ": no memory below 4 GiB for an image of %llu bytes (%s); add "
				  "memory",
		       (unsigned long long)elf.image_size, fw_status_name(status));
		return status;
	}
	elf_load_copy(file.data, &elf, (void *)base);
	fw_free((u64)file.data, file.len);
	bi->image_base = base;
	bi->image_len = elf.image_size;
	*entry = base + elf.entry64_offset;
	return EFI_SUCCESS;
}

static bool have_module(const struct boot_info *bi, const char *name)
{
	for (u32 i = 0; i < bi->module_count; i++)
		if (strcmp(bi->modules[i].name, name) == 0)
			return true;
	return false;
}

static void add_module(struct boot_info *bi, const char *string, const struct fw_file *file)
{
	struct boot_module *m;

	if (bi->module_count == BOOT_MODULES_MAX) {
		bi->module_dropped++;
		return;
	}
	m = &bi->modules[bi->module_count++];
	boot_fill_name(m, string);
	m->base = (u64)file->data;
	m->len = file->len;
}

/* Loads the file that the first word of string names. A missing one does not stop the boot. */
static void load_module(struct boot_info *bi, const char *string)
{
	char path[BOOT_NAME_MAX * 2];
	struct boot_module name;
	struct fw_file file;
	EFI_STATUS status;
	size_t n = 0;

	boot_fill_name(&name, string);
	if (have_module(bi, name.name)) {
		/* tern.toml comes by itself and may be listed too. */
		if (strcmp(name.name, CONFIG_FILE) != 0)
			fw_say("module %s: listed twice; the first is kept", name.name);
		return;
	}
	while (string[n] != '\0' && string[n] != ' ' && n < sizeof(path) - 1) {
		path[n] = string[n];
		n++;
	}
	path[n] = '\0';
	status = fw_load_file(path, &file);
	if (status == EFI_NOT_FOUND)
		fw_say("module %s: not found, neither in \\tern nor in the root; copy it there, or "
		       "have iPXE fetch it; going on without it",
		       path);
	if (EFI_ERROR(status))
		return;
	say_loaded("module ", name.name, file.len);
	add_module(bi, string, &file);
}

/* Reads the [boot] table of one file; true when that file has one or is broken. */
static bool read_config(const char *name, const struct fw_file *file)
{
	struct toml_error err;

	if (boot_cfg_parse(file->data, file->len, &cfg, &err) == 0)
		return cfg.given;
	fw_say("%s:%u:%u: %s; going on without modules", name, err.line, err.col, err.text);
	return true;
}

/* What boot.cfg says wins over the [boot] table of tern.toml. */
static void load_config(struct boot_info *bi)
{
	struct fw_file toml, boot;
	bool have_toml = fw_load_file(CONFIG_FILE, &toml) == EFI_SUCCESS;
	bool have_boot = fw_load_file(BOOT_FILE, &boot) == EFI_SUCCESS;

	if (have_toml) {
		say_loaded("module ", CONFIG_FILE, toml.len);
		add_module(bi, CONFIG_FILE, &toml);
	}
	if (!(have_boot && read_config(BOOT_FILE, &boot)) && have_toml)
		read_config(CONFIG_FILE, &toml);
	if (have_boot)
		fw_free((u64)boot.data, boot.len);
}

static void load_modules(struct boot_info *bi)
{
	const char *string = cfg.modules;

	for (u32 i = 0; i < cfg.module_count; i++) {
		load_module(bi, string);
		string += strlen(string) + 1;
	}
}

static void set_cmdline(struct boot_info *bi)
{
	const EFI_LOADED_IMAGE_PROTOCOL *loaded = fw_loaded_image();

	str_copy(bi->cmdline, cfg.cmdline, sizeof(bi->cmdline));
	if (!loaded->LoadOptions)
		return;
	if (!boot_cfg_options(bi->cmdline, sizeof(bi->cmdline), loaded->LoadOptions,
			      loaded->LoadOptionsSize / sizeof(u16)))
		fw_say("the load options are too long or not ASCII text; going on without them");
}

/* Returns only when something went wrong. */
static EFI_STATUS boot(EFI_HANDLE image)
{
	struct boot_info *bi;
	EFI_STATUS status;
	u64 pa, entry;

	keep_log_pages();
	status = fw_alloc(EfiLoaderData, sizeof(*bi), PAGE_SIZE, FW_BELOW_4G, &pa);
	if (EFI_ERROR(status)) {
		fw_say("no memory below 4 GiB for the boot information (%s); add memory",
		       fw_status_name(status));
		return status;
	}
	bi = (struct boot_info *)pa;
	boot_fill_init(bi, BOOT_TERNBOOT);
	str_copy(bi->loader_name, "ternboot", sizeof(bi->loader_name));
	status = load_image(bi, &entry);
	if (EFI_ERROR(status))
		return status;
	load_config(bi);
	load_modules(bi);
	set_cmdline(bi);
	machine_describe(bi);
	fw_say("starting Tern at 0x%llx", (unsigned long long)bi->image_base);
	status = machine_take(image, bi);
	if (EFI_ERROR(status)) {
		fw_say("firmware does not give the memory map (%s); look for a firmware update",
		       fw_status_name(status));
		return status;
	}
	__asm__ volatile("cli; cld" : : : "memory");
	((entry64_fn *)entry)(pa, BOOT_INFO_MAGIC);
	__builtin_unreachable();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	EFI_STATUS status = EFI_LOAD_ERROR;

	if (fw_init(image, st))
		status = boot(image);
	fw_wait_key(WAIT_SECONDS);
	return status;
}
