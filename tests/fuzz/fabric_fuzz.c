/* SPDX-License-Identifier: MIT */
/* links: hv/net/fabric.c hv/net/fabric_handshake.c hv/net/fabric_tx.c hv/net/fabric_rx.c hv/net/fabric_loss.c hv/net/fabric_cubic.c hv/net/fabric_mtu.c hv/net/fabric_wire.c hv/net/fabric_crypto.c arch/x86_64/ghash.c tests/fake/fake_fpu.c tests/fake/fake_road.c tests/fake/fake_host.c */
/* libs: -l:libbearssl.a */
/*
 * Hostile packets. First byte even: the rest is a UDP payload of a stranger with a right MAC where one belongs (so that
 * it gets past it); no session may come of it. Odd: the rest is the frames of a peer that has the key, in packets of up to 255
 * bytes, each after its length.
 */
#include <stdlib.h>
#include <string.h>

#include <hv/net/fabric_internal.h>
#include <tests/fake/fake_road.h>

#define REQUIRE(cond)            \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct fake_road wire;
static struct fake_node a, b;
static struct fake_link there, back;

/* A session that the input before has ended is opened again. */
static void connect_nodes(void)
{
	static bool ready;

	if (!ready) {
		fake_road_init(&wire, 1);
		fake_node_init(&a, &wire, 1, "key", 1500, 0, false);
		fake_node_init(&b, &wire, 2, "key", 1500, 0, false);
		fake_node_join(&a, &there, &b, &back);
		fake_node_expect(&b, 16);
		ready = true;
	}
	if (a.session != NULL && b.session != NULL)
		return;
	fake_node_join(&a, &there, &b, &back);
	if (a.session != NULL)
		fabric_close(a.session);
	fake_nodes_run(&a, &b, 61000000, NULL, 0);
	a.session = fabric_connect(&a.f, wire.now, &b.address);
	fake_nodes_run(&a, &b, 1000000, NULL, 0);
	REQUIRE(a.session != NULL && b.session != NULL);
	a.other = b.other = NULL; /* from here on only the input speaks */
}

static void stranger(const u8 *data, size_t size)
{
	struct fabric_peer peer = {3, FABRIC_PORT};
	u8 *p = malloc(size + 1);
	u32 sessions = b.f.session_count;

	REQUIRE(p != NULL);
	memcpy(p, data, size);
	if (size == INIT_LEN)
		fabric_crypto_mac(b.f.mac_key, p, INIT_MAC, NULL, 0, p + INIT_MAC);
	fake_node_receive(&b, &peer, p, (u32)size);
	fake_node_receive(&b, &a.address, p, (u32)size);
	REQUIRE(b.f.session_count == sessions && b.downs == a.downs);
	free(p);
}

static void peer_says(const u8 *frames, u32 len)
{
	u8 p[DATA_EXTRA + 256] = {0};

	wire_put32(p, WIRE_DATA | (u32)(a.session->tx.generation & 0xff) << 8);
	wire_put32(p + DATA_TO, a.session->peer_id);
	wire_put64(p + DATA_NUMBER, a.session->number);
	memcpy(p + DATA_HEADER, frames, len);
	fabric_crypto_seal(&a.session->tx.key, a.session->number++, p, len);
	fake_node_receive(&b, &a.address, p, len + DATA_EXTRA);
	REQUIRE(b.places - b.filled - b.unfilled <= FABRIC_PAGES);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < 1)
		return 0;
	connect_nodes();
	if (data[0] % 2 == 0) {
		stranger(data + 1, size - 1);
		return 0;
	}
	for (size_t at = 1; at + 1 < size && b.session != NULL;) {
		u32 len = (u32)min_u64(data[at], size - at - 1);

		if (len > 0)
			peer_says(data + at + 1, len);
		at += 1 + len;
	}
	/* A session that is to end goes on: a new one costs as much as ten thousand inputs. */
	b.session->closing = b.session->broken = b.session->told = false;
	b.session->message_len = 0;
	wire.now += 1000;
	(void)fabric_poll(&b.f, wire.now);
	return 0;
}
