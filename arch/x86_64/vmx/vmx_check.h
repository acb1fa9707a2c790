/* SPDX-License-Identifier: MIT */
/*
 * The VM-entry auditor: the checks that the CPU makes of controls, host state and guest state (SDM
 * vol. 3C 27.2, 27.3.1), so that a failed entry can be put into words. Pure.
 */
#ifndef VMX_CHECK_H
#define VMX_CHECK_H

#include "vmcs.h"
#include "vmx_caps.h"

/* A VMCS to look at: the current one, or a made-up one of a test. */
struct vmcs_view {
	u64 (*read)(const struct vmcs_view *view, u32 field);
	const struct vmx_caps *caps;
	void *arg;
};

/* True when something is wrong: why becomes a sentence that begins with the first offending field,
 * in the manual's order. */
MUST_CHECK bool vmx_check(const struct vmcs_view *view, char *why, size_t size);
/* Its parts, each as vmx_check. Guest state: vmx_check_guest.c. */
MUST_CHECK bool vmx_check_controls(const struct vmcs_view *view, char *why, size_t size);
MUST_CHECK bool vmx_check_host(const struct vmcs_view *view, char *why, size_t size);
MUST_CHECK bool vmx_check_guest(const struct vmcs_view *view, char *why, size_t size);

/* For those parts: what they look at and where the first complaint goes. */
struct vmx_audit {
	const struct vmcs_view *view;
	char *why;
	size_t size;
};
static inline u64 vmx_audit_read(const struct vmx_audit *a, u32 field)
{
	return a->view->read(a->view, field);
}
/* Writes "FIELD (value): what" and returns true when bad. */
bool vmx_audit_bad(const struct vmx_audit *a, bool bad, u32 field, const char *what);
/* True: all bits above 47 equal bit 47. */
bool vmx_audit_canonical(u64 va);

#endif
