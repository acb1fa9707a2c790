/* SPDX-License-Identifier: MIT */
/* The hypercalls: one row of a table each. docs/hypercalls.md describes them. */
#include "exit.h"

#include <abi/hypercall.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/log.h>

#define ARGS_MAX 5u

#define SEG_DPL_SHIFT 5u /* of SS it is the CPL, SDM vol. 3A 5.5 */
#define SEG_DPL_MASK  3u

/* Who may call. */
enum permission {
	HC_ANY_CPL, /* programs of the guest, too: it tells nothing and does nothing */
	HC_KERNEL,  /* CPL 0 */
};

static s64 check_text(UNUSED struct vcpu *vc, const u64 *args)
{
	return args[1] <= HC_CONSOLE_WRITE_MAX ? 0 : -TERN_E2BIG;
}

static s64 check_vcpu(struct vcpu *vc, const u64 *args)
{
	return args[0] < vc->vm->vcpu_count ? 0 : -TERN_ENOENT;
}

static s64 check_start(struct vcpu *vc, const u64 *args)
{
	return args[1] <= UINT8_MAX ? check_vcpu(vc, args) : -TERN_EINVAL;
}

static s64 hc_null(UNUSED struct vcpu *vc, UNUSED const u64 *args)
{
	return 0;
}

static s64 hc_version(UNUSED struct vcpu *vc, UNUSED const u64 *args)
{
	return HC_ABI_VERSION;
}

static s64 hc_console_write(struct vcpu *vc, const u64 *args)
{
	char text[HC_CONSOLE_WRITE_MAX];
	int rc = gmem_read(&vc->vm->mem, gpa(args[0]), text, args[1]);

	if (rc != 0)
		return rc;
	vuart_output(vc->vm->platform.uart, text, args[1]);
	return (s64)args[1];
}

static s64 hc_vcpu_start(struct vcpu *vc, const u64 *args)
{
	return vcpu_start_at(vc->vm->vcpus[args[0]], (u8)args[1]);
}

static s64 hc_vcpu_kick(struct vcpu *vc, const u64 *args)
{
	vcpu_notify(vc->vm->vcpus[args[0]]);
	return 0;
}

static const struct row {
	const char *name;
	u32 args;
	enum permission permission;
	s64 (*check)(struct vcpu *vc, const u64 *args); /* NULL: without arguments */
	s64 (*handler)(struct vcpu *vc, const u64 *args);
} table[] = {
	[HC_NULL] = {"null", 0, HC_ANY_CPL, NULL, hc_null},
	[HC_VERSION] = {"version", 0, HC_ANY_CPL, NULL, hc_version},
	[HC_CONSOLE_WRITE] = {"console_write", 2, HC_KERNEL, check_text, hc_console_write},
	[HC_VCPU_START] = {"vcpu_start", 2, HC_KERNEL, check_start, hc_vcpu_start},
	[HC_VCPU_KICK] = {"vcpu_kick", 1, HC_KERNEL, check_vcpu, hc_vcpu_kick},
};

/* The two that need room on the stack are kept out of call(): the simple calls do not pay for it. */
#define OWN_FRAME __attribute__((noinline))

static OWN_FRAME u32 cpl(const struct virt_ops *ops, struct vcpu *vc)
{
	struct vcpu_seg ss;

	ops->seg_get(vc, SEG_SS, &ss);
	return (ss.attr >> SEG_DPL_SHIFT) & SEG_DPL_MASK;
}

static OWN_FRAME s64 call_with_args(struct vcpu *vc, const struct row *row)
{
	static const enum vcpu_reg regs[ARGS_MAX] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8};
	u64 args[ARGS_MAX] = {0};
	s64 rc;

	for (u32 i = 0; i < row->args; i++)
		args[i] = vc->gpr[regs[i]];
	rc = row->check(vc, args);
	return rc != 0 ? rc : row->handler(vc, args);
}

static s64 call(const struct virt_ops *ops, struct vcpu *vc, u64 number)
{
	const struct row *row;

	if (number >= ARRAY_SIZE(table))
		return -TERN_ENOSYS;
	row = &table[number];
	if (row->permission == HC_KERNEL && cpl(ops, vc) != 0)
		return -TERN_EPERM;
	return row->args == 0 ? row->handler(vc, NULL) : call_with_args(vc, row);
}

enum exit_next hypercall(const struct virt_ops *ops, struct vcpu *vc, const struct vm_exit *e)
{
	s64 result = call(ops, vc, vc->gpr[REG_RAX]);

	if (UNLIKELY(result == -TERN_EAGAIN))
		return exit_stall(vc, gpa(0), "a hypercall needs it");
	vc->gpr[REG_RAX] = (u64)result;
	ops->skip(vc, e);
	return NEXT_ENTER;
}
