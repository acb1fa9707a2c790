/* SPDX-License-Identifier: MIT */
#include "fake_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <tern/err.h>
#include <tern/gmem.h>
#include <tern/platform.h>
#include <tern/vlapic.h>

u8 fake_guest_mem[FAKE_GUEST_MEM];
u64 fake_later_from, fake_later_to;
u32 fake_copies;
void (*fake_copying)(void);
struct fake_range fake_unbacked[FAKE_RANGES];
u32 fake_unbacked_count;
bool fake_lines[IRQ_LINES];
u32 fake_line_changes, fake_msi_count, fake_msi_data;
u64 fake_msi_address;
u32 fake_vm_kicks, fake_vm_resets;
char fake_vm_killed[VM_REASON_MAX];

static struct vcpu vcpu;

void fake_guest_reset(struct vm *vm)
{
	memset(fake_guest_mem, 0, sizeof(fake_guest_mem));
	memset(fake_lines, 0, sizeof(fake_lines));
	fake_later_from = fake_later_to = fake_msi_address = 0;
	fake_copies = fake_unbacked_count = fake_line_changes = fake_msi_count = fake_msi_data = 0;
	fake_vm_kicks = fake_vm_resets = 0;
	fake_copying = NULL;
	fake_vm_killed[0] = '\0';
	memset(vm, 0, sizeof(*vm));
	strcpy(vm->name, "web");
	vm->vcpus[0] = &vcpu;
	vm->vcpu_count = 1;
	bus_init(&vm->bus);
}

/* How many of len bytes at at can be had, a page at a time as gmem has it. */
static int piece(u64 at, u64 len, u64 *n)
{
	*n = min_u64(len, PAGE_SIZE - at % PAGE_SIZE);
	if (at >= FAKE_GUEST_MEM || *n > FAKE_GUEST_MEM - at)
		return -TERN_EFAULT;
	return at < fake_later_to && fake_later_from < at + *n ? -TERN_EAGAIN : 0;
}

static int copy(u64 at, u8 *dst, const u8 *src, u64 len)
{
	fake_copies++;
	if (fake_copying != NULL)
		fake_copying();
	for (u64 done = 0, n; done < len; done += n) {
		int rc = piece(at + done, len - done, &n);

		if (rc != 0)
			return rc;
		if (src != NULL)
			memcpy(fake_guest_mem + at + done, src + done, n);
		else
			memcpy(dst + done, fake_guest_mem + at + done, n);
	}
	return 0;
}

int gmem_read(UNUSED struct gmem *g, gpa_t at, void *dst, u64 len)
{
	return copy(at.v, dst, NULL, len);
}

int gmem_write(UNUSED struct gmem *g, gpa_t at, const void *src, u64 len)
{
	return copy(at.v, NULL, src, len);
}

u64 gmem_unback(UNUSED struct gmem *g, gpa_t at, u64 len)
{
	if (fake_unbacked_count < FAKE_RANGES)
		fake_unbacked[fake_unbacked_count++] = (struct fake_range){at.v, len};
	return len;
}

void platform_irq(UNUSED struct vm *vm, u32 line, bool asserted)
{
	fake_lines[line] = asserted;
	fake_line_changes++;
}

void vlapic_msi(UNUSED struct vm *vm, u64 address, u32 data)
{
	fake_msi_address = address;
	fake_msi_data = data;
	fake_msi_count++;
}

void vcpu_kick(UNUSED struct vcpu *vc)
{
	fake_vm_kicks++;
}

void vm_reset_requested(UNUSED struct vm *vm)
{
	fake_vm_resets++;
}

void vm_kill(UNUSED struct vm *vm, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_vm_killed, sizeof(fake_vm_killed), fmt, ap);
	va_end(ap);
}
