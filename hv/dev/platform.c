/* SPDX-License-Identifier: MIT */
/* How the interrupt lines of a VM's chipset are wired. */
#include <tern/platform.h>

#include <tern/err.h>
#include <tern/vm.h>

#define ISA_LINES   16u
#define PIN_CASCADE 2u /* no device: the second 8259 is there, and the 8254 at the I/O APIC */

void platform_irq(struct vm *vm, u32 line, bool asserted)
{
	const struct platform *p = &vm->platform;

	ASSERT(line < IRQ_LINES && line != PIN_CASCADE);
	if (p->pic != NULL && line < ISA_LINES)
		vpic_line(p->pic, line, asserted);
	if (p->ioapic != NULL)
		vioapic_line(p->ioapic, line == IRQ_PIT ? PIN_CASCADE : line, asserted);
}
