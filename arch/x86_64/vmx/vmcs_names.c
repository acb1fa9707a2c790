/* SPDX-License-Identifier: MIT */
/* The names of the fields, for panics and for the entry auditor. */
#include "vmcs.h"

#define NAME(name, code) {code, #name},

static const struct {
	u32 field;
	const char *name;
} names[] = {VMCS_U16_FIELDS(NAME) VMCS_U32_FIELDS(NAME) VMCS_U64_FIELDS(NAME)
		     VMCS_NAT_FIELDS(NAME)};

const char *vmcs_field_name(u32 field)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].field == field)
			return names[i].name;
	return "?";
}
