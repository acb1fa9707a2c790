/* SPDX-License-Identifier: MIT */
/* The uplink: a NIC as a port of the virtual switch, by which guests reach the outside with their own addresses
 * (hv/net/uplink.c). */
#ifndef TERN_UPLINK_H
#define TERN_UPLINK_H

#include <tern/netdev.h>

#define UPLINK_NAME "uplink" /* of the port, and of the NIC's owner */

/* Opens the NIC that which names, as netdev_find() takes it, and connects it to VSWITCH_DEFAULT. What fails is in
 * the log. Once; boot CPU, after netdev_init(). */
void uplink_start(const char *which);
/* Disconnects it. */
void uplink_stop(void);

#endif
