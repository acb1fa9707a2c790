/* SPDX-License-Identifier: MIT */
/* The 8254 (Intel data sheet 231164), and port 61h of a PC (Intel 82371AB data sheet 290562, 7.2.5.1). */
#ifndef HV_DEV_VPIT_REGS_H
#define HV_DEV_VPIT_REGS_H

#define PIT_BASE     0x40u
#define PIT_LEN      4u
#define PIT_CONTROL  3u /* offset of the control word; 0 to 2 are the channels */
#define PIT_CHANNELS 3u
#define PIT_HZ       1193182u

/* Control word */
#define PIT_SELECT_SHIFT  6
#define PIT_READ_BACK     3u /* instead of a channel */
#define PIT_ACCESS_SHIFT  4
#define PIT_ACCESS_MASK   3u /* which bytes follow; 0: latch the count */
#define PIT_ACCESS_LOW    1u
#define PIT_ACCESS_HIGH   2u
#define PIT_ACCESS_BOTH   3u
#define PIT_MODE_SHIFT    1
#define PIT_MODE_MASK     7u
#define PIT_BCD           0x01u
#define PIT_RB_NO_COUNT   0x20u
#define PIT_RB_NO_STATUS  0x10u
#define PIT_RB_CHANNEL(n) (2u << (n))
#define PIT_STATUS_OUT    0x80u
#define PIT_STATUS_NULL   0x40u /* the count last written is not the one that counts */

/* Port 61h */
#define PORT61_BASE    0x61u
#define PORT61_LEN     1u
#define PORT61_GATE2   0x01u
#define PORT61_STORED  0x0fu /* gate, speaker, and two enables of checks that find nothing */
#define PORT61_REFRESH 0x10u /* toggles with each refresh of memory */
#define PORT61_OUT2    0x20u
#define REFRESH_TICKS  18u /* 15 us */

#endif
