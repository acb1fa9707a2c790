/* SPDX-License-Identifier: MIT */
/* The pcap file format, version 2.4 (draft-ietf-opsawg-pcap), as a little-endian machine writes it. */
#ifndef HV_NET_PCAP_REGS_H
#define HV_NET_PCAP_REGS_H

#include <tern/types.h>

#define PCAP_MAGIC    0xa1b2c3d4u /* microseconds */
#define PCAP_MAJOR    2u
#define PCAP_MINOR    4u
#define PCAP_ETHERNET 1u /* LINKTYPE_ETHERNET */

struct pcap_file {
	u32 magic;
	u16 major, minor;
	u32 reserved[2];
	u32 snap;
	u32 link_type;
};
_Static_assert(sizeof(struct pcap_file) == 24, "pcap");

struct pcap_record {
	u32 seconds, microseconds;
	u32 captured; /* bytes that follow */
	u32 length;   /* bytes that the packet had */
};
_Static_assert(sizeof(struct pcap_record) == 16, "pcap");

#endif
