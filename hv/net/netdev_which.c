/* SPDX-License-Identifier: MIT */
/* How an operator names a NIC: by PCI address or by MAC address. */
#include <tern/lib.h>
#include <tern/netdev.h>

#define MAC_TEXT   17u /* "52:54:00:12:34:51" */
#define MAC_GROUP  1u  /* of the first byte: not one station's */
#define SEGMENTS   0xffffu
#define BUSES      0xffu
#define DEVICES    0x1fu
#define FUNCTIONS  7u
#define HEX_DIGITS 4u /* of the longest number */

/* Reads a hexadecimal number up to the character end, and steps over that. */
static bool hex_until(const char **at, char end, u32 max, u32 *out)
{
	const char *s = *at;
	u32 v = 0, n = 0;

	for (; *s != end; s++) {
		u32 digit = str_digit(*s);

		if (digit > 15 || ++n > HEX_DIGITS)
			return false;
		v = v * 16 + digit;
	}
	if (n == 0 || v > max)
		return false;
	*at = end != '\0' ? s + 1 : s;
	*out = v;
	return true;
}

static bool parse_mac(const char *text, u8 mac[NETDEV_MAC])
{
	u32 v;

	if (strlen(text) != MAC_TEXT)
		return false;
	for (u32 i = 0; i < NETDEV_MAC; i++) {
		if (!hex_until(&text, i + 1 < NETDEV_MAC ? ':' : '\0', 0xff, &v))
			return false;
		mac[i] = (u8)v;
	}
	return (mac[0] & MAC_GROUP) == 0;
}

bool netdev_which_parse(const char *text, struct netdev_which *out)
{
	const char *colon = strchr(text, ':');
	u32 segment = 0, bus, dev, fn;

	*out = (struct netdev_which){.is_mac = true};
	if (parse_mac(text, out->mac))
		return true;
	if (colon != NULL && strchr(colon + 1, ':') != NULL &&
	    !hex_until(&text, ':', SEGMENTS, &segment))
		return false;
	if (!hex_until(&text, ':', BUSES, &bus) || !hex_until(&text, '.', DEVICES, &dev) ||
	    !hex_until(&text, '\0', FUNCTIONS, &fn))
		return false;
	*out = (struct netdev_which){
		.segment = (u16)segment, .bus = (u8)bus, .dev = (u8)dev, .fn = (u8)fn};
	return true;
}
