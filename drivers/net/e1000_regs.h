/* SPDX-License-Identifier: MIT */
/*
 * Registers and descriptors of Intel's 8254x ("PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
 * Manual", 317453: SDM) and of the 82574 ("82574 GbE Controller Family Datasheet": 82574). Where they agree, the SDM's
 * sections are named.
 */
#ifndef DRIVERS_NET_E1000_REGS_H
#define DRIVERS_NET_E1000_REGS_H

#include <tern/types.h>

/* Device numbers (SDM 5.2, 82574 9.1). */
#define E1000_VENDOR  0x8086u
#define E1000_82540EM 0x100eu
#define E1000_82545EM 0x100fu
#define E1000_82574L  0x10d3u

#define E1000_BAR      0u
#define E1000_BAR_SIZE 0x20000u /* SDM 4.1: 128 KiB */

/* SDM 13.3 */
enum e1000_reg {
	E1000_CTRL = 0x0,
	E1000_STATUS = 0x8,
	E1000_EERD = 0x14,
	E1000_FCAL = 0x28,
	E1000_FCAH = 0x2c,
	E1000_FCT = 0x30,
	E1000_ICR = 0xc0,
	E1000_ITR = 0xc4,
	E1000_IMS = 0xd0,
	E1000_IMC = 0xd8,
	E1000_RCTL = 0x100,
	E1000_FCTTV = 0x170,
	E1000_TCTL = 0x400,
	E1000_TIPG = 0x410,
	E1000_FCRTL = 0x2160,
	E1000_FCRTH = 0x2168,
	E1000_RDBAL = 0x2800,
	E1000_RDBAH = 0x2804,
	E1000_RDLEN = 0x2808,
	E1000_RDH = 0x2810,
	E1000_RDT = 0x2818,
	E1000_RDTR = 0x2820,
	E1000_RADV = 0x282c,
	E1000_TDBAL = 0x3800,
	E1000_TDBAH = 0x3804,
	E1000_TDLEN = 0x3808,
	E1000_TDH = 0x3810,
	E1000_TDT = 0x3818,
	E1000_TIDV = 0x3820,
	E1000_TXDCTL = 0x3828,
	E1000_TADV = 0x382c,
	E1000_RXCSUM = 0x5000,
	E1000_MTA = 0x5200, /* 128 words */
	E1000_RAL = 0x5400, /* 16 pairs with RAH */
	E1000_RAH = 0x5404,
	/* Statistics (SDM 13.7): reading one clears it. */
	E1000_CRCERRS = 0x4000,
	E1000_ALGNERRC = 0x4004,
	E1000_RXERRC = 0x400c,
	E1000_MPC = 0x4010,
	E1000_RUC = 0x40a4,
	E1000_RFC = 0x40a8,
	E1000_ROC = 0x40ac,
	E1000_RJC = 0x40b0,
};

#define E1000_MTA_WORDS 128u
#define E1000_RA_PAIRS  16u
#define E1000_RA_STRIDE 8u

/* SDM 13.4.1 */
enum {
	E1000_CTRL_GIO_MASTER_DISABLE = 1u << 2, /* 82574 10.2 */
	E1000_CTRL_SLU = 1u << 6,
	E1000_CTRL_FRCSPD = 1u << 11,
	E1000_CTRL_FRCDPX = 1u << 12,
	E1000_CTRL_RST = 1u << 26,
	E1000_CTRL_RFCE = 1u << 27,
	E1000_CTRL_TFCE = 1u << 28,
	E1000_CTRL_VME = 1u << 30,
	/* Speed and duplex are the PHY's to say, flow control and VLAN tags are not used. */
	E1000_CTRL_NOT_OURS = E1000_CTRL_GIO_MASTER_DISABLE | E1000_CTRL_FRCSPD |
			      E1000_CTRL_FRCDPX | E1000_CTRL_RFCE | E1000_CTRL_TFCE |
			      E1000_CTRL_VME,
};

/* SDM 13.4.2 */
enum {
	E1000_STATUS_FD = 1u << 0,
	E1000_STATUS_LU = 1u << 1,
	E1000_STATUS_SPEED_SHIFT = 6, /* 2 bits: 10, 100, 1000, 1000 Mbit/s */
	E1000_STATUS_SPEED_MASK = 3,
	E1000_STATUS_GIO_MASTER = 1u << 19, /* 82574 10.2: requests may be under way */
};

/* SDM 13.4.4; words 0 to 2 are the address (SDM 5.6.1). */
enum {
	E1000_EERD_START = 1u << 0,
	E1000_EERD_DONE = 1u << 4,
	E1000_EERD_ADDR_SHIFT = 8,
	E1000_EERD_DATA_SHIFT = 16,
};

/* SDM 13.4.17 to 13.4.21 */
enum {
	E1000_INT_TXDW = 1u << 0,
	E1000_INT_LSC = 1u << 2,
	E1000_INT_RXDMT0 = 1u << 4,
	E1000_INT_RXO = 1u << 6,
	E1000_INT_RXT0 = 1u << 7,
	E1000_INT_ALL = 0xffffffffu,
};
#define E1000_ITR_50US 195u /* of 256 ns */
#define E1000_TIDV_MIN 1u   /* SDM 13.4.41: 0 is not allowed; frames of ours do not use it */

/* SDM 13.4.22 */
enum {
	E1000_RCTL_EN = 1u << 1,
	E1000_RCTL_UPE = 1u << 3,
	E1000_RCTL_MPE = 1u << 4,
	E1000_RCTL_LPE = 1u << 5,
	E1000_RCTL_BAM = 1u << 15,
	E1000_RCTL_BSIZE_16K = 1u << 16, /* these three with BSEX */
	E1000_RCTL_BSIZE_8K = 2u << 16,
	E1000_RCTL_BSIZE_4K = 3u << 16,
	E1000_RCTL_BSEX = 1u << 25,
	E1000_RCTL_SECRC = 1u << 26,
};

/* SDM 13.4.33 */
enum {
	E1000_TCTL_EN = 1u << 1,
	E1000_TCTL_PSP = 1u << 3,
	E1000_TCTL_CT = 0xfu << 4,
	E1000_TCTL_COLD_FD = 0x40u << 12,
};
#define E1000_TIPG_8254X 0x60200au /* SDM 13.4.34: 10, 8, 6 */
#define E1000_TIPG_82574 0x602008u /* 82574 10.2 */

#define E1000_TXDCTL_82574 (1u << 22) /* 82574 10.2: must be 1 */
#define E1000_RAH_AV       (1u << 31)

/* Receive descriptor, legacy (SDM 3.2.3). */
struct e1000_rx_desc {
	u64 addr;
	u16 len;
	u16 csum;
	u8 status;
	u8 errors;
	u16 special;
};
_Static_assert(sizeof(struct e1000_rx_desc) == 16, "SDM 3.2.3");
enum {
	E1000_RXS_DD = 1u << 0,
	E1000_RXS_EOP = 1u << 1,
	E1000_RXE_CE = 1u << 0, /* CRC or alignment */
	E1000_RXE_SE = 1u << 1,
	E1000_RXE_SEQ = 1u << 2,
	E1000_RXE_CXE = 1u << 4,
	E1000_RXE_RXE = 1u << 7,
	E1000_RXE_LINE = E1000_RXE_SE | E1000_RXE_SEQ | E1000_RXE_CXE | E1000_RXE_RXE,
};

/* Transmit descriptors: TCP/IP data (SDM 3.3.7) and context (SDM 3.3.6). */
struct e1000_tx_desc {
	u64 addr; /* context: checksum offsets */
	u32 lower;
	u32 upper;
};
_Static_assert(sizeof(struct e1000_tx_desc) == 16, "SDM 3.3.7");
enum {
	E1000_TXD_DATA = 1u << 20, /* DTYP; 0: context */
	E1000_TXD_EOP = 1u << 24,
	E1000_TXD_IFCS = 1u << 25,
	E1000_TXD_RS = 1u << 27,
	E1000_TXD_DEXT = 1u << 29,
	E1000_TXS_DD = 1u << 0,     /* of upper */
	E1000_TXP_TXSM = 1u << 9,   /* of upper: POPTS */
	E1000_TXC_TUCSS_SHIFT = 32, /* of addr */
	E1000_TXC_TUCSO_SHIFT = 40,
};

#endif
