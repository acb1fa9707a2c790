/* SPDX-License-Identifier: MIT */
/* Offsets of ARP, ICMP, UDP and DHCP. Numbers in them are big-endian. The rest is in net_regs.h. */
#ifndef HV_NET_IP_REGS_H
#define HV_NET_IP_REGS_H

#include "net_regs.h"

#define ETH_SRC 6u
#define ETH_LEN 14u
#define ETH_MIN \
	60u /* without the check sequence; shorter ones are padded (IEEE 802.3 section 3.2.8) */
#define ETH_TYPE_ARP 0x0806u

/* ARP for Ethernet and IPv4 (RFC 826) */
#define ARP_HTYPE     0u
#define ARP_PTYPE     2u
#define ARP_HLEN      4u
#define ARP_PLEN      5u
#define ARP_OP        6u
#define ARP_SENDER    8u
#define ARP_SENDER_IP 14u
#define ARP_TARGET    18u
#define ARP_TARGET_IP 24u
#define ARP_LEN       28u
#define ARP_ETHERNET  1u
#define ARP_REQUEST   1u
#define ARP_REPLY     2u

/* IPv4 (RFC 791 section 3.1) */
#define IP4_TTL       8u
#define IP4_DST       16u
#define IP4_V4_IHL5   0x45u /* version 4, no options */
#define IP4_DONT_FRAG 0x4000u
#define IP4_TTL_VALUE 64u
#define IP_ICMP       1u
#define IP_UDP        17u

/* ICMP echo (RFC 792) */
#define ICMP_TYPE       0u
#define ICMP_CODE       1u
#define ICMP_CSUM       2u
#define ICMP_HEADER     8u
#define ICMP_ECHO       8u
#define ICMP_ECHO_REPLY 0u

/* UDP (RFC 768) */
#define UDP_SRC    0u
#define UDP_DST    2u
#define UDP_LENGTH 4u
#define UDP_CSUM   6u
#define UDP_HEADER 8u

/* DHCP (RFC 2131 section 2) and its options (RFC 2132) */
#define DHCP_SERVER_PORT 67u
#define DHCP_CLIENT_PORT 68u
#define DHCP_OP          0u
#define DHCP_HTYPE       1u
#define DHCP_HLEN        2u
#define DHCP_XID         4u
#define DHCP_SECS        8u
#define DHCP_FLAGS       10u
#define DHCP_CIADDR      12u
#define DHCP_YIADDR      16u
#define DHCP_CHADDR      28u
#define DHCP_MAGIC       236u
#define DHCP_OPTIONS     240u
#define DHCP_MIN         300u /* what BOOTP relays expect at least (RFC 1542 section 2.1) */
#define DHCP_MAGIC_VALUE 0x63825363u
#define DHCP_BOOTREQUEST 1u
#define DHCP_BOOTREPLY   2u
#define DHCP_BROADCAST   0x8000u

#define DHCP_OPT_PAD       0u
#define DHCP_OPT_MASK      1u
#define DHCP_OPT_ROUTER    3u
#define DHCP_OPT_REQUESTED 50u
#define DHCP_OPT_LEASE     51u
#define DHCP_OPT_TYPE      53u
#define DHCP_OPT_SERVER    54u
#define DHCP_OPT_PARAMS    55u
#define DHCP_OPT_MAX_SIZE  57u
#define DHCP_OPT_T1        58u
#define DHCP_OPT_T2        59u
#define DHCP_OPT_CLIENT    61u
#define DHCP_OPT_END       255u

#define DHCP_DISCOVER 1u
#define DHCP_OFFER    2u
#define DHCP_REQUEST  3u
#define DHCP_ACK      5u
#define DHCP_NAK      6u

#endif
