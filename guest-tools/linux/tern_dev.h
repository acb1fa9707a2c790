/* SPDX-License-Identifier: MIT */
/*
 * /dev/tern, the character device of the Linux kernel module (guest-tools/linux): how the agent
 * reaches the node. One process at a time has it open (else EBUSY); mode 0660, root and group tern.
 *
 * read()  gives one struct agent_event at a time; blocks, or EAGAIN with O_NONBLOCK. A shorter
 *         buffer is EINVAL. poll() says POLLIN while one waits. Events come from the first HELLO
 *         on; one that was not read yet gives way to a newer one of its kind.
 * ioctl() TERN_IOC_*: the message is copied in once. The module writes head.bytes, head.version,
 *         head.type and head.seq itself, so that no process can replay. The result is the
 *         node's: 0 or more, or an errno of docs/agent-abi.md; HELLO's is 0, with the features that
 *         both have in the message.
 */
#ifndef TERN_DEV_H
#define TERN_DEV_H

#include <abi/agent.h>

#ifdef __KERNEL__
#include <linux/ioctl.h>
#else
#include <sys/ioctl.h>
#endif

#define TERN_DEV_PATH "/dev/tern"

#define TERN_IOC_MAGIC  0xb7
#define TERN_IOC_HELLO  _IOWR(TERN_IOC_MAGIC, AGENT_HELLO, struct agent_hello)
#define TERN_IOC_SAMPLE _IOW(TERN_IOC_MAGIC, AGENT_SAMPLE, struct agent_sample)
#define TERN_IOC_DEMAND _IOW(TERN_IOC_MAGIC, AGENT_DEMAND, struct agent_demand)
#define TERN_IOC_NOTICE _IOW(TERN_IOC_MAGIC, AGENT_NOTICE, struct agent_notice)
#define TERN_IOC_QUERY  _IOR(TERN_IOC_MAGIC, AGENT_QUERY, struct agent_state)
#define TERN_IOC_ACK    _IOW(TERN_IOC_MAGIC, AGENT_ACK, struct agent_ack)

#endif
