/* SPDX-License-Identifier: MIT */
/* Port 0xe9: every byte written shows on the terminal that the emulator was started from. */
#include "e9_regs.h"

#include <tern/console.h>
#include <tern/drivers.h>
#include <tern/err.h>
#include <tern/io.h>

static void e9_write(UNUSED struct console *con, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		io_out8(E9_PORT, (u8)text[i]);
}

static struct console e9_console = {.name = "e9", .write = e9_write};

int e9_init(void)
{
	if (io_in8(E9_PORT) != E9_PORT)
		return -TERN_ENODEV;
	return console_register(&e9_console);
}
