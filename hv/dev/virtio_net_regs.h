/* SPDX-License-Identifier: MIT */
/* The network device's features, configuration, packet header and commands; virtio 1.2 section 5.1. */
#ifndef HV_DEV_VIRTIO_NET_REGS_H
#define HV_DEV_VIRTIO_NET_REGS_H

#include <tern/types.h>

#define VIRTIO_ID_NET 1u
#define NET_CLASS     0x020000u /* PCI: network, Ethernet */

enum net_queue { NET_RX, NET_TX, NET_CTRL, NET_QUEUES }; /* section 5.1.2, without multiqueue */

/* Section 5.1.3: bit numbers. */
enum net_feature {
	NET_F_CSUM = 0,
	NET_F_GUEST_CSUM = 1,
	NET_F_MTU = 3,
	NET_F_MAC = 5,
	NET_F_GUEST_TSO4 = 7,
	NET_F_GUEST_TSO6 = 8,
	NET_F_GUEST_ECN = 9,
	NET_F_HOST_TSO4 = 11,
	NET_F_HOST_TSO6 = 12,
	NET_F_HOST_ECN = 13,
	NET_F_MRG_RXBUF = 15,
	NET_F_STATUS = 16,
	NET_F_CTRL_VQ = 17,
	NET_F_CTRL_RX = 18,
	NET_F_CTRL_MAC_ADDR = 23,
};

#define NET_S_LINK_UP 1u

struct net_config { /* section 5.1.4, as far as offered features make it valid */
	u8 mac[6];
	u16 status;
	u16 max_pairs; /* not valid without MQ */
	u16 mtu;
};
_Static_assert(sizeof(struct net_config) == 12, "virtio 1.2 section 5.1.4");

#define NET_HDR_F_NEEDS_CSUM 1u
#define NET_HDR_GSO_NONE     0u
#define NET_HDR_GSO_TCPV4    1u
#define NET_HDR_GSO_TCPV6    4u
#define NET_HDR_GSO_ECN      0x80u

struct net_hdr { /* section 5.1.6 */
	u8 flags;
	u8 gso_type;
	u16 hdr_len; /* a hint (section 5.1.6.2.2) that is not trusted */
	u16 gso_size;
	u16 csum_start;
	u16 csum_offset;
	u16 num_buffers;
};
_Static_assert(sizeof(struct net_hdr) == 12, "virtio 1.2 section 5.1.6");

/* Section 5.1.6.5: class and command, data; the device answers with one byte. */
#define NET_CTRL_RX          0u
#define NET_CTRL_RX_PROMISC  0u
#define NET_CTRL_RX_ALLMULTI 1u
#define NET_CTRL_MAC         1u
#define NET_CTRL_MAC_TABLE   0u
#define NET_CTRL_MAC_ADDR    1u
#define NET_CTRL_HEADER      2u
#define NET_CTRL_OK          0u
#define NET_CTRL_ERR         1u

#endif
