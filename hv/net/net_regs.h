/* SPDX-License-Identifier: MIT */
/* Offsets and bits of the headers that the switch reads. Numbers in them are big-endian. */
#ifndef HV_NET_NET_REGS_H
#define HV_NET_NET_REGS_H

/* Ethernet (IEEE 802.3) and its tags (IEEE 802.1Q): type and four bytes a tag */
#define ETH_TYPE      12u
#define ETH_TAG       4u
#define ETH_TAGS_MAX  2u
#define ETH_TYPE_IP4  0x0800u
#define ETH_TYPE_IP6  0x86ddu
#define ETH_TYPE_VLAN 0x8100u
#define ETH_TYPE_QINQ 0x88a8u
#define ETH_GROUP     0x01u /* first byte of an address: broadcast or multicast */

/* IPv4 (RFC 791 section 3.1) */
#define IP4_VERSION_IHL 0u
#define IP4_LENGTH      2u
#define IP4_ID          4u
#define IP4_FRAGMENT    6u
#define IP4_MORE_OFFSET 0x3fffu /* "more fragments" and the offset: not 0 in a fragment */
#define IP4_PROTOCOL    9u
#define IP4_CSUM        10u
#define IP4_SRC         12u /* and the destination */
#define IP4_ADDRS_LEN   8u
#define IP4_HEADER      20u

/* IPv6 (RFC 8200 section 3) and its extension headers (section 4) */
#define IP6_LENGTH     4u
#define IP6_NEXT       6u
#define IP6_SRC        8u /* and the destination */
#define IP6_ADDRS_LEN  32u
#define IP6_HEADER     40u
#define IP6_EXT_MAX    8u /* headers before TCP that are walked */
#define IP6_HOP_BY_HOP 0u
#define IP6_ROUTING    43u
#define IP6_DEST       60u

/* TCP (RFC 9293 section 3.1) */
#define IP_TCP          6u
#define TCP_SEQ         4u
#define TCP_DATA_OFFSET 12u
#define TCP_FLAGS       13u
#define TCP_FIN         0x01u
#define TCP_PSH         0x08u
#define TCP_CWR         0x80u
#define TCP_CSUM        16u
#define TCP_HEADER      20u

#endif
