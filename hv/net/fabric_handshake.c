/* SPDX-License-Identifier: MIT */
/* The handshake's bytes and keys: docs/fabric.md, Packets and Keys. */
#include "fabric_internal.h"

#define LABEL     "tern fabric 1"
#define LABEL_LEN (sizeof(LABEL) - 1)
#define COOKIE_US (60 * FABRIC_SECOND)

void fabric_handshake_secrets(struct fabric *f, const u8 key[FABRIC_KEY])
{
	fabric_crypto_hkdf(LABEL, LABEL_LEN, key, FABRIC_KEY, "mac", 3, f->mac_key, FABRIC_KEY);
	fabric_crypto_hkdf(LABEL, LABEL_LEN, key, FABRIC_KEY, "psk", 3, f->psk, FABRIC_KEY);
	f->ops.random(f->ops.ctx, f->cookie_key[0], FABRIC_KEY);
	f->ops.random(f->ops.ctx, f->cookie_key[1], FABRIC_KEY);
}

void fabric_handshake_cookies(struct fabric *f, u64 now)
{
	if (now - f->cookie_since < COOKIE_US)
		return;
	memcpy(f->cookie_key[1], f->cookie_key[0], FABRIC_KEY);
	f->ops.random(f->ops.ctx, f->cookie_key[0], FABRIC_KEY);
	f->cookie_since = now;
}

static void make_cookie(const struct fabric *f, u32 which, const struct fabric_peer *from,
			const u8 *init, u8 out[FABRIC_MAC])
{
	u8 address[6];

	wire_put32(address, from->addr);
	wire_put16(address + 4, from->port);
	fabric_crypto_mac(f->cookie_key[which], address, sizeof(address), init + INIT_ID,
			  INIT_COOKIE - INIT_ID, out);
}

void fabric_handshake_init(struct fabric_session *s, const u8 *cookie)
{
	u8 *p = s->init;

	memset(p, 0, INIT_LEN);
	p[0] = WIRE_INIT;
	p[INIT_CIPHERS] = s->f->ciphers;
	wire_put32(p + INIT_ID, s->id);
	fabric_crypto_public(s->ephemeral, p + INIT_PUBLIC);
	if (cookie != NULL)
		memcpy(p + INIT_COOKIE, cookie, FABRIC_MAC);
	wire_put32(p + INIT_ATTEMPT, s->attempt++);
	fabric_crypto_mac(s->f->mac_key, p, INIT_MAC, NULL, 0, p + INIT_MAC);
}

bool fabric_handshake_init_good(const struct fabric *f, const u8 *init)
{
	u8 mac[FABRIC_MAC];

	fabric_crypto_mac(f->mac_key, init, INIT_MAC, NULL, 0, mac);
	return fabric_crypto_equal(mac, init + INIT_MAC, FABRIC_MAC);
}

bool fabric_handshake_cookie_good(const struct fabric *f, const struct fabric_peer *from,
				  const u8 *init)
{
	static const u8 none[FABRIC_MAC];
	u8 cookie[FABRIC_MAC];

	if (fabric_crypto_equal(init + INIT_COOKIE, none, FABRIC_MAC))
		return false;
	for (u32 which = 0; which < 2; which++) {
		make_cookie(f, which, from, init, cookie);
		if (fabric_crypto_equal(cookie, init + INIT_COOKIE, FABRIC_MAC))
			return true;
	}
	return false;
}

void fabric_handshake_challenge(const struct fabric *f, const struct fabric_peer *from,
				const u8 *init, u8 out[CHALLENGE_LEN])
{
	memset(out, 0, CHALLENGE_LEN);
	out[0] = WIRE_CHALLENGE;
	memcpy(out + CHALLENGE_ID, init + INIT_ID, 4);
	make_cookie(f, 0, from, init, out + CHALLENGE_COOKIE);
	fabric_crypto_mac(f->mac_key, out, CHALLENGE_MAC, init + INIT_MAC, FABRIC_MAC,
			  out + CHALLENGE_MAC);
}

bool fabric_handshake_challenge_good(const struct fabric_session *s, const u8 *challenge)
{
	u8 mac[FABRIC_MAC];

	fabric_crypto_mac(s->f->mac_key, challenge, CHALLENGE_MAC, s->init + INIT_MAC, FABRIC_MAC,
			  mac);
	return fabric_crypto_equal(mac, challenge + CHALLENGE_MAC, FABRIC_MAC);
}

/* What makes a forged RESPONSE cheap: it is looked at before the curve is. */
static void response_mac(const struct fabric *f, const u8 *init, const u8 *response,
			 u8 out[FABRIC_MAC])
{
	fabric_crypto_mac(f->mac_key, response, RESPONSE_MAC, init + INIT_ID, INIT_COOKIE - INIT_ID,
			  out);
}

struct secrets {
	u8 confirm[FABRIC_KEY], to_responder[FABRIC_KEY], to_initiator[FABRIC_KEY];
};

/* Everything that both ends derive; out_confirm: the 16 bytes at the end of the RESPONSE. */
static bool derive(const struct fabric_session *s, const u8 *init, const u8 *response,
		   const u8 *peer_public, struct secrets *out, u8 out_confirm[FABRIC_MAC])
{
	u8 th[FABRIC_HASH], dh[FABRIC_KEY];

	if (!fabric_crypto_shared(s->ephemeral, peer_public, dh))
		return false;
	fabric_crypto_hash(LABEL, LABEL_LEN, init, INIT_BOUND, response, RESPONSE_BOUND, th);
	fabric_crypto_hkdf(s->f->psk, FABRIC_KEY, dh, FABRIC_KEY, th, sizeof(th), out,
			   sizeof(*out));
	fabric_crypto_mac(out->confirm, th, sizeof(th), NULL, 0, out_confirm);
	fabric_crypto_wipe(dh, sizeof(dh));
	return true;
}

static void next_secret(u8 secret[FABRIC_KEY])
{
	u8 next[FABRIC_KEY];

	fabric_crypto_hkdf(NULL, 0, secret, FABRIC_KEY, "next", 4, next, FABRIC_KEY);
	memcpy(secret, next, FABRIC_KEY);
	fabric_crypto_wipe(next, sizeof(next));
}

static void take_secrets(struct fabric_session *s, u64 now, struct secrets *from)
{
	const u8 *out = s->initiator ? from->to_responder : from->to_initiator;
	const u8 *in = s->initiator ? from->to_initiator : from->to_responder;

	memcpy(s->tx.secret, out, FABRIC_KEY);
	fabric_crypto_key(&s->tx.key, s->cipher, out);
	s->tx.since = now;
	memcpy(s->rx.secret, in, FABRIC_KEY);
	fabric_crypto_key(&s->rx.now, s->cipher, in);
	next_secret(s->rx.secret);
	fabric_crypto_key(&s->rx.next, s->cipher, s->rx.secret);
	fabric_crypto_wipe(from, sizeof(*from));
	fabric_crypto_wipe(s->ephemeral, sizeof(s->ephemeral));
}

bool fabric_handshake_respond(struct fabric_session *s, u64 now, const u8 *init)
{
	u8 both = s->f->ciphers & init[INIT_CIPHERS], *p = s->response;
	struct secrets secrets;

	if (both == 0)
		return false;
	s->cipher = both & FABRIC_AES_GCM ? FABRIC_AES_GCM : FABRIC_CHACHA_POLY1305;
	s->peer_id = wire_get32(init + INIT_ID);
	memcpy(s->peer_public, init + INIT_PUBLIC, FABRIC_KEY);
	p[0] = WIRE_RESPONSE;
	p[RESPONSE_CIPHER] = s->cipher;
	wire_put32(p + RESPONSE_TO, s->peer_id);
	wire_put32(p + RESPONSE_ID, s->id);
	fabric_crypto_public(s->ephemeral, p + RESPONSE_PUBLIC);
	response_mac(s->f, init, p, p + RESPONSE_MAC);
	if (!derive(s, init, p, s->peer_public, &secrets, p + RESPONSE_CONFIRM))
		return false;
	take_secrets(s, now, &secrets);
	return true;
}

bool fabric_handshake_finish(struct fabric_session *s, u64 now, const u8 *response)
{
	u8 cipher = response[RESPONSE_CIPHER], confirm[FABRIC_MAC];
	struct secrets secrets;

	response_mac(s->f, s->init, response, confirm);
	if (!fabric_crypto_equal(confirm, response + RESPONSE_MAC, FABRIC_MAC))
		return false;
	if ((cipher & s->f->ciphers) != cipher ||
	    (cipher != FABRIC_AES_GCM && cipher != FABRIC_CHACHA_POLY1305) ||
	    !derive(s, s->init, response, response + RESPONSE_PUBLIC, &secrets, confirm) ||
	    !fabric_crypto_equal(confirm, response + RESPONSE_CONFIRM, FABRIC_MAC))
		return false;
	s->cipher = cipher;
	s->peer_id = wire_get32(response + RESPONSE_ID);
	take_secrets(s, now, &secrets);
	return true;
}

void fabric_handshake_rekey(struct fabric_session *s, u64 now)
{
	next_secret(s->tx.secret);
	fabric_crypto_key(&s->tx.key, s->cipher, s->tx.secret);
	s->tx.generation++;
	s->tx.first = s->number;
	s->tx.since = now;
}

void fabric_handshake_follow(struct fabric_session *s, u64 first)
{
	s->rx.before = s->rx.now;
	s->rx.now = s->rx.next;
	next_secret(s->rx.secret);
	fabric_crypto_key(&s->rx.next, s->cipher, s->rx.secret);
	s->rx.generation++;
	s->rx.first = first;
}
