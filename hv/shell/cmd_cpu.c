/* SPDX-License-Identifier: MIT */
/* Shell command: cpus. */
#include "commands.h"

#include <tern/console.h>
#include <tern/cpu_info.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/pcpu.h>
#include <tern/virt.h>

#define COLUMNS          79u
#define MITIGATIONS_TEXT 128u

/* Prints the features that are there, or those that are not, wrapped below their label. */
static void print_features(const char *label, const struct cpu_info *info, bool present)
{
	u32 indent = (u32)strlen(label), column = indent;
	u32 printed = 0;

	for (u32 i = 0; i < info->feature_count && i < CPU_FEATURES_MAX; i++) {
		const struct cpu_feature *f = &info->features[i];
		u32 len = (u32)strlen(f->name);

		if (f->present != present)
			continue;
		if (printed++ == 0) {
			console_printf("%s", label);
		} else if (column + 2 + len + 1 > COLUMNS) {
			console_printf(",\n%*s", (int)indent, "");
			column = indent;
		} else {
			console_printf(", ");
			column += 2;
		}
		console_printf("%s", f->name);
		column += len;
	}
	if (printed != 0)
		console_printf("\n");
}

static void print_virt(const struct cpu_info *info)
{
	const char *name = info->virt == CPU_VIRT_VTX ? "VT-x" : "AMD-V";

	if (info->virt == CPU_VIRT_NONE)
		console_printf("  virtualization: none: %s\n", info->virt_why);
	else if (!info->virt_usable)
		console_printf("  %s: not usable: %s\n", name, info->virt_why);
	else
		console_printf("  %s: usable\n", name);
	print_features("    has:     ", info, true);
	print_features("    missing: ", info, false);
}

static void print_info(const struct cpu_info *info)
{
	console_printf("  %s\n", info->model[0] != '\0' ? info->model : "(no model name)");
	console_printf(
		"  %s family %u model %u stepping %u, addresses: %u bits physical, %u virtual, "
		"%s\n",
		info->vendor, info->family, info->model_no, info->stepping, info->phys_bits,
		info->virt_bits, info->x2apic ? "x2APIC" : "xAPIC");
	if (info->tsc_hz != 0)
		console_printf("  TSC: %llu.%03llu MHz by %s, %s\n",
			       (unsigned long long)(info->tsc_hz / 1000000),
			       (unsigned long long)(info->tsc_hz / 1000 % 1000), info->tsc_source,
			       info->tsc_invariant ? "invariant" : "not invariant");
	else
		console_printf("  TSC: not calibrated\n");
	print_virt(info);
}

static bool same(const struct cpu_info *a, const struct cpu_info *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* True when a CPU below index has the same description. */
static bool described(u32 index, const struct cpu_info *info)
{
	for (u32 i = 0; i < index; i++) {
		const struct cpu_info *other = cpu_info_get(i);

		if (other != NULL && same(other, info))
			return true;
	}
	return false;
}

/* "CPUs 0-3, 8-11:": all that are described alike, from first on. */
static void print_group(u32 first, const struct cpu_info *info)
{
	const char *comma = pcpu_count() == 1 ? "CPU " : "CPUs ";
	u32 i = first;

	while (i < pcpu_count()) {
		const struct cpu_info *other = cpu_info_get(i);
		u32 last = i;

		if (other == NULL || !same(other, info)) {
			i++;
			continue;
		}
		while (last + 1 < pcpu_count() && (other = cpu_info_get(last + 1)) != NULL &&
		       same(other, info))
			last++;
		if (last > i)
			console_printf("%s%u-%u", comma, i, last);
		else
			console_printf("%s%u", comma, i);
		comma = ", ";
		i = last + 1;
	}
	console_printf(":\n");
	print_info(info);
}

int cmd_cpus(int argc, UNUSED char **argv)
{
	char text[MITIGATIONS_TEXT];

	if (argc != 1)
		return -TERN_EINVAL;
	console_printf("%u CPUs, %u online\n", pcpu_count(), pcpu_online_count());
	for (u32 i = 0; i < pcpu_count(); i++) {
		const struct pcpu *pc = pcpu_get(i);
		const struct cpu_info *info = cpu_info_get(i);
		bool online = __atomic_load_n(&pc->online, __ATOMIC_ACQUIRE) != 0;

		console_printf("CPU %3u  APIC id %3u  node %2u  %-12s %s\n", i, pc->apic_id,
			       pc->node, online ? "online" : "not started",
			       info != NULL ? info->model : "");
	}
	for (u32 i = 0; i < pcpu_count(); i++) {
		const struct cpu_info *info = cpu_info_get(i);

		if (info != NULL && !described(i, info))
			print_group(i, info);
	}
	if (virt_ops_get() != NULL)
		console_printf("mitigations: %s\n", virt_mitigations(text, sizeof(text)));
	return 0;
}
