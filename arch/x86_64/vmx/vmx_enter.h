/* SPDX-License-Identifier: MIT */
/* What vmx_enter.S is asked for and answers; numbers only, for C and assembly. */
#ifndef VMX_ENTER_H
#define VMX_ENTER_H

/* flags */
#define VMX_ENTER_RESUME 1 /* VMRESUME, not VMLAUNCH */
#define VMX_ENTER_VERW   2 /* overwrite the CPU's buffers before the entry */

/* result */
#define VMX_ENTERED       0
#define VMX_ENTER_INVALID 1 /* no current VMCS */
#define VMX_ENTER_FAILED  2 /* VMCS_INSN_ERROR says why */

/* Memory offsets and numbers that vmx_enter.S needs; vmx.c asserts them. */
#define VMX_ENTER_HOST_RSP     0x6c14 /* VMCS field */
#define VMX_ENTER_MITIGATE_RSB 8      /* of mitigate_flags: fill the return stack after the exit */
#define VMX_ENTER_SEL_DATA     0x10   /* any writable data segment, for VERW */

#endif
