// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * Hypercalls to the node (abi/hypercall.h). What a process says is already copied when it comes
 * here; it is copied to a page that no process sees, and the node reads it from there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "tern_node.h"

#include <abi/hypercall.h>

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <asm/alternative.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

/* CPUID of a guest: docs/cpuid.md. */
#define TERN_CPUID_NAME     0x40000000 /* EBX, ECX, EDX: a name */
#define TERN_CPUID_FEATURES 0x40000001 /* EAX: HC_ABI_VERSION; EBX: what there is */
#define TERN_CPUID_AGENT    BIT(0)     /* of EBX: HC_AGENT_* */
#define TERN_CPUID_SIGN     "TernTernTern"

struct tern_node {
	struct mutex lock;          /* of what follows */
	union tern_message *buffer; /* a page, so that no message lies in two */
	u64 seq;
};

/* VMCALL or VMMCALL: the CPU's own, since the other one is a detour on every node. */
static s64 tern_hypercall(u64 call, phys_addr_t address, u64 bytes)
{
	s64 result;

	asm volatile(ALTERNATIVE("vmcall", "vmmcall", X86_FEATURE_VMMCALL)
		     : "=a"(result)
		     : "a"(call), "D"(address), "S"(bytes)
		     : "memory");
	return result;
}

int tern_node_check(void)
{
	u32 name[3];
	u32 max;
	u32 version;
	u32 features;
	u32 ignored;

	BUILD_BUG_ON(sizeof(name) != sizeof(TERN_CPUID_SIGN) - 1);
	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR)) {
		pr_err("this is not a virtual machine\n");
		return -ENODEV;
	}
	cpuid(TERN_CPUID_NAME, &max, &name[0], &name[1], &name[2]);
	if (memcmp(name, TERN_CPUID_SIGN, sizeof(name))) {
		pr_err("this virtual machine does not run on Tern\n");
		return -ENODEV;
	}
	if (max < TERN_CPUID_FEATURES) {
		pr_err("this node has no hypercalls\n");
		return -ENODEV;
	}
	cpuid(TERN_CPUID_FEATURES, &version, &features, &ignored, &ignored);
	if (version != HC_ABI_VERSION) {
		pr_err("this node has hypercalls of version %u, the module knows %u\n", version,
		       HC_ABI_VERSION);
		return -ENODEV;
	}
	if (!(features & TERN_CPUID_AGENT)) {
		pr_err("this node has no hypercalls for an agent\n");
		return -ENODEV;
	}
	return 0;
}

struct tern_node *tern_node_new(struct device *dev)
{
	struct tern_node *node = devm_kzalloc(dev, sizeof(*node), GFP_KERNEL);

	BUILD_BUG_ON(sizeof(union tern_message) > AGENT_MESSAGE_MAX);
	if (!node)
		return NULL;
	mutex_init(&node->lock);
	node->buffer = (void *)devm_get_free_pages(dev, GFP_KERNEL | __GFP_ZERO, 0);
	return node->buffer ? node : NULL;
}

/* What does not look like an errno would be taken for a success by who called. */
static s64 tern_result(s64 result)
{
	return result < -MAX_ERRNO ? -EPROTO : result;
}

s64 tern_node_send(struct tern_node *node, u32 call, u16 type, union tern_message *message,
		   u32 bytes)
{
	s64 result;

	if (mutex_lock_interruptible(&node->lock))
		return -ERESTARTSYS;
	message->head.bytes = bytes;
	message->head.version = AGENT_ABI_VERSION;
	message->head.type = type;
	message->head.seq = ++node->seq;
	memcpy(node->buffer, message, bytes);
	result = tern_hypercall(call, virt_to_phys(node->buffer), bytes);
	mutex_unlock(&node->lock);
	return tern_result(result);
}

s64 tern_node_fetch(struct tern_node *node, u32 call, u16 type, union tern_message *message,
		    u32 bytes)
{
	s64 result;

	if (mutex_lock_interruptible(&node->lock))
		return -ERESTARTSYS;
	result = tern_hypercall(call, virt_to_phys(node->buffer), bytes);
	memcpy(message, node->buffer, bytes);
	mutex_unlock(&node->lock);
	if (result <= 0)
		return tern_result(result);
	if (result != bytes || message->head.bytes != bytes || message->head.type != type ||
	    message->head.version != AGENT_ABI_VERSION)
		return -EPROTO;
	return result;
}
