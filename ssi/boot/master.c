/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owns the master's half of the boot dialogue: each body is decoded here and nowhere else, and leaves as bounded, printable text. Called
 * by ccm; calls the daemon's ops. It keeps no state: what a token is worth is known to the store alone.
 */
#include <errno.h>
#include <string.h>
#include "ssi/boot/boot.pb-c.h"
#include "ssi/boot/master.h"
#include "ssi/boot/text.h"

static int master_reply_keys(struct ssi_ccm_conn *c, uint64_t sequence, struct ssi_boot_keys *keys)
{
	Ssi__Boot__TokenReply m = SSI__BOOT__TOKEN_REPLY__INIT;
	uint8_t buf[128];
	int r;

	m.key.data = keys->key;
	m.key.len = sizeof(keys->key);
	m.identity.data = keys->identity;
	m.identity.len = sizeof(keys->identity);
	r = ssi_ccm_send(c, SSI_MOD_BOOT, SSI_BOOT_TOKEN_REPLY, sequence, buf, ssi__boot__token_reply__pack(&m, buf));
	explicit_bzero(buf, sizeof(buf));
	return r;
}

static int master_on_token(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	const struct ssi_identity *id = ssi_ccm_identity(c);
	const struct ssi_boot_master *b = userdata;
	Ssi__Boot__Token *m = ssi__boot__token__unpack(NULL, f->size, body);
	struct ssi_boot_keys keys;
	struct ssi_err e = { 0 };
	int r = -EBADMSG;

	/* It speaks for the boot whose token it proved to hold, and for no other. */
	if (m && !strcmp(m->mac, id->who) && m->incarnation == id->incarnation) {
		r = b->ops->token(c, id->who, id->incarnation, &keys, &e, b->userdata);
		if (r >= 0)
			r = master_reply_keys(c, f->sequence, &keys);
		else if (e.code)
			ssi_ccm_close(c, &e);
		explicit_bzero(&keys, sizeof(keys));
	}
	if (m)
		ssi__boot__token__free_unpacked(m, NULL);
	return r;
}

static int master_on_stage(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	const struct ssi_boot_master *b = userdata;
	Ssi__Boot__Stage *m = ssi__boot__stage__unpack(NULL, f->size, body);
	struct ssi_boot_stage s;

	if (!m)
		return -EBADMSG;
	ssi_boot_stage_copy(&s, m);
	b->ops->stage(c, &s, b->userdata);
	ssi__boot__stage__free_unpacked(m, NULL);
	return 0;
}

static int master_on_failed(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	const struct ssi_boot_master *b = userdata;
	Ssi__Boot__BootFailed *m = ssi__boot__boot_failed__unpack(NULL, f->size, body);
	char stage[32], text[512], next[512];

	if (!m)
		return -EBADMSG;
	b->ops->failed(c, ssi_text_copy(stage, sizeof(stage), m->stage), ssi_text_copy(text, sizeof(text), m->text),
		       ssi_text_copy(next, sizeof(next), m->next), m->delay_s, b->userdata);
	ssi__boot__boot_failed__free_unpacked(m, NULL);
	return 0;
}

static int master_on_event(struct ssi_ccm_conn *c, const struct ssi_ccm_head *f, const uint8_t *body, void *userdata)
{
	const struct ssi_boot_master *b = userdata;
	Ssi__Boot__NodeEvent *m = ssi__boot__node_event__unpack(NULL, f->size, body);
	char kind[32], text[512];

	if (!m)
		return -EBADMSG;
	b->ops->node_event(c, ssi_text_copy(kind, sizeof(kind), m->kind), ssi_text_copy(text, sizeof(text), m->text), b->userdata);
	ssi__boot__node_event__free_unpacked(m, NULL);
	return 0;
}

int ssi_boot_master(struct ssi_ccm *m, struct ssi_boot_master *b)
{
	const struct ssi_ccm_rule rules[] = {
		{ SSI_MOD_BOOT, SSI_BOOT_TOKEN, 256, SSI_FROM_BOOT, master_on_token, b },
		{ SSI_MOD_BOOT, SSI_BOOT_STAGE, 256, SSI_FROM_BOOT | SSI_FROM_NODE, master_on_stage, b },
		{ SSI_MOD_BOOT, SSI_BOOT_FAILED, 2048, SSI_FROM_BOOT | SSI_FROM_NODE, master_on_failed, b },
		{ SSI_MOD_BOOT, SSI_BOOT_NODE_EVENT, 2048, SSI_FROM_NODE, master_on_event, b },
	};

	return ssi_ccm_register(m, rules, sizeof(rules) / sizeof(*rules));
}
