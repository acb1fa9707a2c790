/* SPDX-License-Identifier: MIT */
/* The hypercalls: one row of a table each. docs/hypercalls.md describes them. */
#include "agent_internal.h"
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

static s64 hc_console_write(struct vcpu *vc, const u64 *args, UNUSED s64 value)
{
	char text[HC_CONSOLE_WRITE_MAX];
	int rc = gmem_read(&vc->vm->mem, gpa(args[0]), text, args[1]);

	if (rc != 0)
		return rc;
	vuart_output(vc->vm->platform.uart, text, args[1]);
	return (s64)args[1];
}

static s64 hc_vcpu_start(struct vcpu *vc, const u64 *args, UNUSED s64 value)
{
	return vcpu_start_at(vc->vm->vcpus[args[0]], (u8)args[1]);
}

static s64 hc_vcpu_kick(struct vcpu *vc, const u64 *args, UNUSED s64 value)
{
	vcpu_notify(vc->vm->vcpus[args[0]]);
	return 0;
}

static const struct row {
	const char *name;
	u32 args;
	enum permission permission;
	s64 (*check)(struct vcpu *vc, const u64 *args); /* NULL: the handler does */
	s64 (*handler)(struct vcpu *vc, const u64 *args,
		       s64 value); /* NULL: the result is always value */
	s64 value;
} table[] = {
	[HC_NULL] = {"null", 0, HC_ANY_CPL, NULL, NULL, 0},
	[HC_VERSION] = {"version", 0, HC_ANY_CPL, NULL, NULL, HC_ABI_VERSION},
	[HC_CONSOLE_WRITE] = {"console_write", 2, HC_KERNEL, check_text, hc_console_write, 0},
	[HC_VCPU_START] = {"vcpu_start", 2, HC_KERNEL, check_start, hc_vcpu_start, 0},
	[HC_VCPU_KICK] = {"vcpu_kick", 1, HC_KERNEL, check_vcpu, hc_vcpu_kick, 0},
	[HC_AGENT_HELLO] = {"agent_hello", 2, HC_KERNEL, NULL, agent_call, AGENT_HELLO},
	[HC_AGENT_SAMPLE] = {"agent_sample", 2, HC_KERNEL, NULL, agent_call, AGENT_SAMPLE},
	[HC_AGENT_DEMAND] = {"agent_demand", 2, HC_KERNEL, NULL, agent_call, AGENT_DEMAND},
	[HC_AGENT_NOTICE] = {"agent_notice", 2, HC_KERNEL, NULL, agent_call, AGENT_NOTICE},
	[HC_AGENT_QUERY] = {"agent_query", 2, HC_KERNEL, NULL, agent_call, AGENT_QUERY},
	[HC_AGENT_EVENT] = {"agent_event", 2, HC_KERNEL, NULL, agent_call, AGENT_EVENT},
	[HC_AGENT_ACK] = {"agent_ack", 2, HC_KERNEL, NULL, agent_call, AGENT_ACK},
};

static u32 cpl(const struct virt_ops *ops, struct vcpu *vc)
{
	struct vcpu_seg ss;

	ops->seg_get(vc, SEG_SS, &ss);
	return (ss.attr >> SEG_DPL_SHIFT) & SEG_DPL_MASK;
}

static s64 call(const struct virt_ops *ops, struct vcpu *vc, const struct row *row)
{
	static const enum vcpu_reg regs[ARGS_MAX] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8};
	u64 args[ARGS_MAX] = {0};
	s64 rc;

	if (row->permission == HC_KERNEL && cpl(ops, vc) != 0) {
		if (row->handler == agent_call)
			agent_call_denied(vc, row->value);
		return -TERN_EPERM;
	}
	for (u32 i = 0; i < row->args; i++)
		args[i] = vc->gpr[regs[i]];
	rc = row->check != NULL ? row->check(vc, args) : 0;
	return rc != 0 ? rc : row->handler(vc, args, row->value);
}

/* Not inlined: the calls that need no room on the stack do not pay for it. */
static __attribute__((noinline)) enum exit_next
call_handler(const struct virt_ops *ops, struct vcpu *vc, const struct vm_exit *e, u64 number)
{
	s64 result = -TERN_ENOSYS;

	if (number < ARRAY_SIZE(table))
		result = call(ops, vc, &table[number]);
	if (UNLIKELY(result == -TERN_EAGAIN))
		return exit_stall(vc, gpa(0), "a hypercall needs it");
	vc->gpr[REG_RAX] = (u64)result;
	ops->skip(vc, e);
	return NEXT_ENTER;
}

enum exit_next hypercall(const struct virt_ops *ops, struct vcpu *vc, const struct vm_exit *e)
{
	u64 number = vc->gpr[REG_RAX];

	if (number >= ARRAY_SIZE(table) || table[number].handler != NULL)
		return call_handler(ops, vc, e, number);
	vc->gpr[REG_RAX] = (u64)table[number].value;
	ops->skip(vc, e);
	return NEXT_ENTER;
}
