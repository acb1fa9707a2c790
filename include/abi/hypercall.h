/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: VMCALL or VMMCALL with the number in RAX and arguments in RDI, RSI, RDX, R10, R8; the
 * result comes in RAX: 0 or more, or a negative errno as Linux numbers them. Nothing else changes.
 * Addresses are guest-physical. docs/hypercalls.md says what each does.
 */
#ifndef ABI_HYPERCALL_H
#define ABI_HYPERCALL_H

#include <abi/types.h>

#define HC_NULL          0u /* () -> 0 */
#define HC_VERSION       1u /* () -> HC_ABI_VERSION */
#define HC_CONSOLE_WRITE 2u /* (address, bytes) -> bytes written */
#define HC_VCPU_START    3u /* (vCPU, vector) -> 0 */
#define HC_VCPU_KICK     4u /* (vCPU) -> 0 */

/* The agent's: (address of a structure of abi/agent.h, its bytes). */
#define HC_AGENT_HELLO  5u  /* struct agent_hello -> features both have */
#define HC_AGENT_SAMPLE 6u  /* struct agent_sample -> 0 */
#define HC_AGENT_DEMAND 7u  /* struct agent_demand -> 0 */
#define HC_AGENT_NOTICE 8u  /* struct agent_notice -> 0 */
#define HC_AGENT_QUERY  9u  /* room for a struct agent_state -> bytes written */
#define HC_AGENT_EVENT  10u /* room for a struct agent_event -> bytes written, 0: none waits */
#define HC_AGENT_ACK    11u /* struct agent_ack -> 0 */

#define HC_ABI_VERSION 1u

#define HC_CONSOLE_WRITE_MAX 256u /* bytes of one HC_CONSOLE_WRITE */

#endif
