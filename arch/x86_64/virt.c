/* SPDX-License-Identifier: MIT */
/* Which backend this machine has. */
#include <tern/virt.h>

#include <tern/log.h>

#include "x86.h"

const struct virt_ops *virt_ops_get(void)
{
	static const struct virt_ops *ops; /* (a) */
	static bool asked;                 /* (a) CPUID is slow where a hypervisor runs below us */

	if (__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
		return ops;
	if ((cpuid(1, 0).ecx & CPUID1_ECX_VMX) != 0)
		ops = &virt_vmx;
	else
		log_warn(
			"virt: this CPU has no VT-x, or its firmware hides it; no guests run here");
	__atomic_store_n(&asked, true, __ATOMIC_RELEASE);
	return ops;
}
