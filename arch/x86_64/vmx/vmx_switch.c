/* SPDX-License-Identifier: MIT */
/*
 * State of a guest that no VMCS field holds and that the host does not use: it stays in the CPU from
 * vcpu_load to vcpu_unload (docs/isolation.md). The host's code is compiled without vector registers.
 */
#include <tern/err.h>
#include <tern/lib.h>

#include "../x86.h"
#include "vmx.h"
#include "vmx_regs.h"

/* The states Tern can switch: XSAVE's standard format holds them all. */
#define XCR0_SWITCHED (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512 | XCR0_PKRU)

static u64 xcr0;       /* (c) all that the CPU has of those */
static u32 xsave_size; /* (c) bytes */
static bool tsc_aux;   /* (c) */

void vmx_switch_write_xcr0(u64 value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static void xsave(void *area)
{
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32))
			 : "memory");
}

static void xrstor(const void *area)
{
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((u32)xcr0), "d"((u32)(xcr0 >> 32))
			 : "memory");
}

void vmx_switch_init(void)
{
	struct cpuid_regs r = cpuid(CPUID_XSAVE, 0);

	if (xcr0 != 0)
		return;
	xcr0 = ((u64)r.edx << 32 | r.eax) & XCR0_SWITCHED;
	/* AVX-512 is three components that go together (SDM vol. 1 13.3). */
	if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
		xcr0 &= ~XCR0_AVX512;
	vmx_switch_write_xcr0(xcr0);
	xsave_size = cpuid(CPUID_XSAVE, 0).ebx;
	tsc_aux = (cpuid(0x80000001, 0).edx & CPUIDX1_EDX_RDTSCP) != 0;
}

u64 vmx_switch_xcr0(void)
{
	return xcr0;
}

u32 vmx_switch_xsave_size(void)
{
	return xsave_size;
}

void vmx_switch_reset(struct vcpu_arch *a)
{
	u8 *area = a->xsave;

	memset(area, 0, xsave_size);
	*(u16 *)(void *)(area + XSAVE_FCW) = FCW_RESET;
	area[XSAVE_FTW] = FTW_RESET;
	*(u32 *)(void *)(area + XSAVE_MXCSR) = MXCSR_RESET;
	*(u64 *)(void *)(area + XSAVE_XSTATE_BV) = XCR0_X87;
	a->xcr0 = XCR0_X87;
	memset(a->dr, 0, sizeof(a->dr));
	a->dr6 = DR6_INIT;
	a->cr2 = 0;
	memset(a->gpr, 0, sizeof(a->gpr));
}

void vmx_switch_in(struct vcpu_arch *a)
{
	vmx_switch_write_xcr0(xcr0);
	xrstor(a->xsave);
	vmx_switch_write_xcr0(a->xcr0);
	write_dr0(a->dr[0]);
	write_dr1(a->dr[1]);
	write_dr2(a->dr[2]);
	write_dr3(a->dr[3]);
	write_dr6(a->dr6);
	write_cr2(a->cr2); /* the host has no page faults that it survives */
	wrmsr(MSR_STAR, a->star);
	wrmsr(MSR_LSTAR, a->lstar);
	wrmsr(MSR_CSTAR, a->cstar);
	wrmsr(MSR_FMASK, a->sfmask);
	wrmsr(MSR_KERNEL_GS_BASE, a->kernel_gs_base);
	if (tsc_aux)
		wrmsr(MSR_TSC_AUX, a->tsc_aux);
}

void vmx_switch_out(struct vcpu_arch *a)
{
	/* A state that the guest has switched off in XCR0 is still there, and comes back with it. */
	vmx_switch_write_xcr0(xcr0);
	xsave(a->xsave);
	a->dr[0] = read_dr0();
	a->dr[1] = read_dr1();
	a->dr[2] = read_dr2();
	a->dr[3] = read_dr3();
	a->dr6 = read_dr6();
	a->cr2 = read_cr2();
	a->star = rdmsr(MSR_STAR);
	a->lstar = rdmsr(MSR_LSTAR);
	a->cstar = rdmsr(MSR_CSTAR);
	a->sfmask = rdmsr(MSR_FMASK);
	a->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	if (tsc_aux)
		a->tsc_aux = rdmsr(MSR_TSC_AUX);
}
