/* SPDX-License-Identifier: MIT */
/*
 * The shell command "vm console": the operator's terminal at a guest's 16550, until Ctrl-]. While it lasts, the log
 * stays away from that terminal: a program that draws a screen would not know of its lines.
 */
#include "commands.h"
#include "guest_text.h"

#include <tern/console.h>
#include <tern/err.h>
#include <tern/lib.h>
#include <tern/vm.h>

#define KEY_LEAVE   0x1d /* Ctrl-] */
#define KEYS_MAX    256u /* that the guest has not taken yet */
#define KEYS_A_POLL 256u
/* Output of a poll: what a serial line shows in two periods of the poll timer. Guests run in between. */
#define PIECE 256u

/* Boot CPU, thread context: no lock. */
static struct {
	u32 vm_id;
	u64 at; /* next byte of the guest's output */
	struct guest_text text;
	char keys[KEYS_MAX];
	u32 key_count;
} con;

static struct vm *by_id(u32 id)
{
	struct vm *vm;

	for (u32 i = 0; (vm = vm_get(i)) != NULL; i++) {
		if (vm->id == id)
			return vm;
	}
	return NULL;
}

/* The number of the oldest byte that is kept. */
static u64 oldest(struct device *uart)
{
	u64 written = vuart_written(uart);

	return written - min_u64(written, VUART_RING);
}

/* It has stopped for good; *why is why. */
static bool has_ended(struct vm *vm, char why[VM_REASON_MAX])
{
	lock_token token = lock_take(&vm->lock);
	bool ended = vm->state >= VM_STOPPED && !vm->reset_wanted;

	str_copy(why, vm->reason, VM_REASON_MAX);
	lock_release(&vm->lock, token);
	return ended;
}

/* Gives the guest what was typed, as much of it as it has room for. False: the operator wants to leave. */
static bool pass_keys(struct device *uart)
{
	bool stay = true;
	u32 done;

	for (u32 i = 0; stay && i < KEYS_A_POLL; i++) {
		int key = console_read();

		if (key < 0)
			break;
		if (key == KEY_LEAVE)
			stay = false;
		else if (con.key_count < KEYS_MAX)
			con.keys[con.key_count++] = (char)key;
		else
			console_write_raw("\a", 1);
	}
	done = (u32)vuart_input(uart, con.keys, con.key_count);
	con.key_count -= done;
	memmove(con.keys, con.keys + done, con.key_count);
	return stay;
}

/* Shows a piece of what is new; false: nothing is. */
static bool pass_output(struct device *uart)
{
	char raw[PIECE], text[PIECE + GUEST_SEQUENCE_MAX];
	u64 before = con.at;
	size_t n = vuart_read(uart, &con.at, raw, sizeof(raw));

	if (con.at - before != n)
		console_printf("\n[%llu bytes came too fast]\n",
			       (unsigned long long)(con.at - before - n));
	console_write_raw(text, guest_text_pass(&con.text, raw, n, text));
	return n != 0;
}

static void leave(const char *why)
{
	u64 held = console_hold_log(false);

	if (con.text.changed)
		console_write_raw(guest_text_restore, strlen(guest_text_restore));
	console_printf("\n[%s", why);
	if (held != 0)
		console_printf("; %llu line%s for the log meanwhile", (unsigned long long)held,
			       held == 1 ? "" : "s");
	console_printf("]\n");
}

/* The session: a poll of it. */
static bool attend(void)
{
	struct vm *vm = by_id(con.vm_id);
	char why[VM_REASON_MAX];
	bool ended, stay;

	if (vm == NULL) {
		leave("the VM is gone");
		return false;
	}
	/* In this order: what it wrote before it stopped is shown. */
	ended = has_ended(vm, why);
	stay = pass_keys(vm->platform.uart);
	if (stay && (pass_output(vm->platform.uart) || !ended))
		return true;
	vuart_watch(vm->platform.uart, false);
	leave(stay ? why : "left");
	return false;
}

static void attach(struct vm *vm)
{
	con.vm_id = vm->id;
	con.at = oldest(vm->platform.uart);
	con.key_count = 0;
	memset(&con.text, 0, sizeof(con.text));
	console_printf("[%s: Ctrl-] leaves]\n", vm->name);
	(void)console_hold_log(true);
	vuart_watch(vm->platform.uart, true);
	shell_session(attend);
}

/* --- vm console VM --last LINES --- */

/* Steps over lines from *at on, at most count of them, to end. Returns how many there are. */
static u64 step_lines(struct device *uart, u64 *at, u64 end, u64 count)
{
	char text[PIECE];
	u64 lines = 0;

	while (*at < end && lines < count) {
		u64 next = *at;
		size_t n = vuart_read(uart, &next, text, min_u64(sizeof(text), end - *at)), i = 0;

		if (n == 0)
			break;
		*at = next - n;
		while (i < n && lines < count)
			lines += text[i++] == '\n';
		*at += i;
	}
	return lines;
}

static void print_text(struct device *uart, u64 at, u64 end)
{
	char raw[PIECE], text[PIECE];
	size_t n, k;

	while (at < end && (n = vuart_read(uart, &at, raw, min_u64(PIECE, end - at))) != 0) {
		k = 0;
		for (size_t i = 0; i < n; i++) {
			bool clean = (raw[i] >= ' ' && raw[i] <= '~') || raw[i] == '\n' ||
				     raw[i] == '\t';

			if (raw[i] != '\r')
				text[k++] = clean ? raw[i] : '?';
		}
		console_write(text, k);
	}
}

static void print_last(struct device *uart, u64 lines)
{
	u64 end = vuart_written(uart), begin = oldest(uart), at = begin, all;
	char last = '\n';

	/* An unfinished line counts as one. */
	all = step_lines(uart, &at, end, UINT64_MAX);
	at = end - min_u64(end, 1);
	(void)vuart_read(uart, &at, &last, 1);
	all += last != '\n';
	at = begin;
	if (all > lines)
		(void)step_lines(uart, &at, end, all - lines);
	print_text(uart, at, end);
	if (at < end && last != '\n')
		console_printf("\n");
}

int vm_console(struct vm *vm, int argc, char **argv)
{
	u64 lines;

	if (argc == 3) {
		attach(vm);
		return 0;
	}
	if (argc != 5 || strcmp(argv[3], "--last") != 0 || str_to_u64(argv[4], &lines) != 0)
		return -TERN_EINVAL;
	print_last(vm->platform.uart, lines);
	return 0;
}
