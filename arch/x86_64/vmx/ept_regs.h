/* SPDX-License-Identifier: MIT */
/* EPT entries (SDM vol. 3C 29.3.2) and the EPT pointer (25.6.11). */
#ifndef EPT_REGS_H
#define EPT_REGS_H

#define EPT_READ     (1ull << 0)
#define EPT_WRITE    (1ull << 1)
#define EPT_EXEC     (1ull << 2)
#define EPT_TYPE_WB  (6ull << 3) /* leaves: memory type */
#define EPT_LARGE    (1ull << 7)
#define EPT_ACCESSED (1ull << 8)
#define EPT_DIRTY    (1ull << 9)

#define EPTP_TYPE_WB 6ull
#define EPTP_WALK_4  (3ull << 3) /* levels - 1 */
#define EPTP_AD      (1ull << 6)

#endif
