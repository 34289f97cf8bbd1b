/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owns the attacks that every TLS door must withstand, whatever is spoken behind it. Called by siege.c through a target's tables. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include "tests/chaos/siege.h"

int siege_enter(struct siege *s, struct raider *r)
{
	return raider_enter(r, s->port, &s->target->names->hostile, s->target->names->key);
}

static int door_wrong_key(struct siege *s, struct raider *r)
{
	static const uint8_t bad_key[SSI_TLS_KEY] = "a key that nobody knows";

	return raider_enter(r, s->port, &s->target->names->hostile, bad_key);
}

/* A name that nobody has, or the hostile one's with an incarnation that was never given out. */
int door_unknown_name(struct siege *s, struct raider *r)
{
	struct ssi_identity never = s->target->names->hostile;

	never.incarnation += 7;
	return raider_enter(r, s->port, s->i % 2 ? &never : &s->target->names->nobody, s->target->names->key);
}

static int enter_late(struct siege *s, struct raider *r, const struct ssi_identity *id, const uint8_t key[SSI_TLS_KEY])
{
	int k = raider_enter(r, s->port, id, key);

	return k < 0 ? k : raider_verdict(r);
}

int door_wrong_incarnation(struct siege *s, struct raider *r)
{
	return enter_late(s, r, &s->target->names->before, s->target->names->before_key);
}

int door_used_token(struct siege *s, struct raider *r)
{
	return enter_late(s, r, &s->target->names->used, s->target->names->used_key);
}

static int door_garbage(struct siege *s, struct raider *r)
{
	uint8_t noise[512];
	int k = raider_connect(r, s->port);

	gnutls_rnd(GNUTLS_RND_NONCE, noise, sizeof(noise));
	if (k >= 0)
		k = raider_spit(r, noise, sizeof(noise));
	return k < 0 ? k : raider_verdict(r);
}

/* A ClientHello of 126,976 bytes in many records: what is kept of it before a key is proved? */
static int door_long_hello(struct siege *s, struct raider *r)
{
	static uint8_t record[5 + 2000] = { 22, 3, 1, 2000 >> 8, 2000 & 255 };
	static const uint8_t first[] = { 1, 1, 0xf0, 0 };
	int k = raider_connect(r, s->port);

	for (int i = 0; i < 60 && k >= 0; i++) {
		memset(record + 5, 0, sizeof(first));
		if (i == 0)
			memcpy(record + 5, first, sizeof(first));
		k = raider_spit(r, record, sizeof(record));
	}
	return 0;                        /* it may have been refused meanwhile, or be refused when it is whole */
}

static int door_half_hello(struct siege *s, struct raider *r)
{
	static const uint8_t start[] = { 22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3 };
	int k = raider_connect(r, s->port);

	return k < 0 ? k : raider_spit(r, start, sizeof(start));
}

static int door_idle(struct siege *s, struct raider *r)
{
	return raider_connect(r, s->port);
}

const struct siege_attack door_attacks[] = {
	{ "wrong key", 200, 2000, false, -EKEYREJECTED, door_wrong_key },
	{ "unknown name", 200, 2000, false, -EKEYREJECTED, door_unknown_name },
	{ "wrong incarnation", 200, 2000, false, -EKEYREVOKED, door_wrong_incarnation },
	{ "used token", 200, 2000, false, -EKEYREVOKED, door_used_token },
	{ "garbage", 500, 5000, false, -ECONNRESET, door_garbage },
	{ "long hello", 200, 2000, true, 0, door_long_hello },
	{ "half hello", 2000, 10000, true, 0, door_half_hello },
	{ "idle", 10000, 10000, true, 0, door_idle },
	{ "come and go", 5000, 50000, false, 0, door_idle },
	{ 0 },
};
